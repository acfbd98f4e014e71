#include "orchestrator/fsck/fsck.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "orchestrator/fsck/python_store.h"
#include "orchestrator/store/sqlite_repository.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/runtime/job_file.h"
#include "services/runtime/loaded_file.h"
#include "services/runtime/outputs/example_file.h"
#include "services/runtime/version_file.h"
#include "services/runtime/version_name.h"
#include "services/runtime/version_number.h"

namespace backfire::fsck {
namespace {

namespace fs = std::filesystem;
using runtime::Unsealed;

constexpr char kStoreFile[] = "orchestrator.sqlite";
constexpr char kPythonStoreFile[] = "state.db";

// Files of a folder with the mark all have checksums; without it, they are an older program's.
Unsealed RuleOf(const fs::path& collection) {
  std::error_code error;
  return fs::exists(collection / runtime::kSealedMark, error) ? Unsealed::kRefuse
                                                              : Unsealed::kVerify;
}

// `.../models/{model}/versions/{number}`.
absl::Status CheckVersion(const fs::path& folder, int64_t number) {
  const fs::path versions = folder.parent_path();
  const std::string model = absl::StrCat("models/", versions.parent_path().filename().string());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version,
                            runtime::ReadVersionFile(folder, model, number, RuleOf(versions)));
  return runtime::ReadWeightsFile(folder, version).status();
}

absl::Status CheckJob(const fs::path& folder) {
  const Unsealed rule = RuleOf(folder.parent_path());
  BACKFIRE_RETURN_IF_ERROR(runtime::ReadRequestFile(folder, rule).status());
  const absl::Status ended = runtime::ReadJobFile(folder, rule).status();
  return absl::IsNotFound(ended) ? absl::OkStatus() : ended;
}

absl::Status CheckOutputs(const fs::path& file) {
  const absl::Status opened = runtime::ExampleFile::Open(file).status();
  // What has gone meanwhile gave way to others.
  if (absl::IsNotFound(opened)) return absl::OkStatus();
  if (!absl::IsDataLoss(opened)) return opened;
  return absl::DataLossError(absl::StrCat(std::string(opened.message()),
                                          "; its service computes it anew when it is needed"));
}

std::optional<Finding> Check(const fs::directory_entry& entry) {
  std::error_code error;
  const fs::path& path = entry.path();
  const fs::path parent = path.parent_path();
  if (path.filename() == kStoreFile) {
    return Finding{"store", path, store::SqliteRepository::Verify(path)};
  }
  if (path.filename() == kPythonStoreFile) {
    return Finding{"store", path, CheckPythonStore(path)};
  }
  if (path.filename() == runtime::kVersionFile && parent.parent_path().filename() == "versions") {
    const auto number = runtime::ParseVersionNumber(parent.filename());
    if (number.has_value()) return Finding{"version", parent, CheckVersion(parent, *number)};
  }
  if (path.filename() == runtime::kLoadedFile && fs::exists(parent / "versions", error)) {
    return Finding{"loaded", path, runtime::ReadLoadedFile(path).status()};
  }
  if (path.filename() == runtime::kRequestFile && parent.parent_path().filename() == "jobs") {
    return Finding{"job", parent, CheckJob(parent)};
  }
  if (path.extension() == runtime::kExampleFileSuffix && parent.filename() == "outputs") {
    return Finding{"outputs", path, CheckOutputs(path)};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::vector<Finding>> CheckFolder(const fs::path& folder) {
  std::error_code error;
  // A path without its last slash, so that the folders above a file are as they are called.
  fs::recursive_directory_iterator entry(folder, error), end;
  if (error) return ErrnoToStatus(error.value(), folder.string());
  std::vector<Finding> findings;
  while (entry != end) {
    if (auto finding = Check(*entry)) findings.push_back(*std::move(finding));
    entry.increment(error);
    if (error) return ErrnoToStatus(error.value(), folder.string());
  }
  std::sort(findings.begin(), findings.end(),
            [](const Finding& a, const Finding& b) { return a.path < b.path; });
  return findings;
}

}  // namespace backfire::fsck
