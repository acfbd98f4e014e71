#include "services/runtime/versions/version_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/crash_point.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/runtime/version_file.h"
#include "services/runtime/version_number.h"

namespace backfire::runtime {
absl::Status CheckDigest(const v1::Version& version, const std::string& expected) {
  if (expected.empty() || expected == version.digest()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      version.name(), " has digest ", version.digest(), ": the caller expects ", expected,
      "; if this service's data directory was lost or replaced, restore it from a backup, or apply "
      "the system with another seed for a baseline of new versions"));
}

VersionStore::VersionStore(std::filesystem::path directory, std::string model_name)
    : directory_(std::move(directory)), model_name_(std::move(model_name)) {}

absl::StatusOr<std::unique_ptr<VersionStore>> VersionStore::Open(
    const std::filesystem::path& directory, const std::string& model_name) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory));
  std::unique_ptr<VersionStore> store(new VersionStore(directory, model_name));
  BACKFIRE_RETURN_IF_ERROR(store->Scan());
  return store;
}

absl::Status VersionStore::Scan() {
  MutexLock writing(writing_);
  MutexLock lock(mutex_);
  std::error_code error;
  const bool is_sealed = std::filesystem::exists(directory_ / kSealedMark, error);
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename();
    std::error_code ignored;
    if (absl::StartsWith(name, "tmp.")) {
      std::filesystem::remove_all(entry.path(), ignored);
      continue;
    }
    const std::optional<int64_t> number = ParseVersionNumber(name);
    if (!number.has_value()) continue;
    last_number_ = std::max(last_number_, *number);
    absl::StatusOr<v1::Version> version = ReadVersionFile(
        entry.path(), model_name_, *number, is_sealed ? Unsealed::kRefuse : Unsealed::kSeal);
    if (absl::IsNotFound(version.status())) {
      // Deleted: an empty folder keeps the number.
      std::filesystem::remove(entry.path() / kWeightsFile, ignored);
      continue;
    }
    if (!version.ok()) {
      spdlog::error("version state=UNREADABLE version={} error=\"{}\"",
                    VersionName(model_name_, *number), std::string(version.status().message()));
    }
    versions_.emplace(*number, std::move(version));
  }
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("read ", directory_.string()));
  if (is_sealed) return absl::OkStatus();
  return WriteFileAtomically(directory_ / kSealedMark, "Every version.json here has a checksum.\n");
}

absl::StatusOr<v1::Version> VersionStore::Add(v1::Version version, const std::string& weights) {
  MutexLock writing(writing_);
  if (std::optional<v1::Version> known = FindByInputKey(version.input_key())) return *known;
  const int64_t number = last_number_ + 1;
  version.set_name(VersionName(model_name_, number));
  version.set_digest(ComputeDigest(version.input_key(), weights));
  version.set_weights_bytes(static_cast<int64_t>(weights.size()));
  std::sort(version.mutable_lineage()->begin(), version.mutable_lineage()->end(),
            [](const auto& a, const auto& b) { return a.input() < b.input(); });
  BACKFIRE_RETURN_IF_ERROR(Write(number, version, weights));
  CrashPoint("version-added", version.name());
  last_number_ = number;
  MutexLock lock(mutex_);
  versions_.emplace(number, version);
  return version;
}

absl::Status VersionStore::AddCopy(const v1::Version& version, const std::string& weights) {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
  if (id.model_name != model_name_) {
    return absl::InvalidArgumentError(
        absl::StrCat(version.name(), " is no version of ", model_name_));
  }
  if (ComputeInputKey(model_name_, version) != version.input_key()) {
    return absl::DataLossError(
        absl::StrCat("the input_key of ", version.name(), " is not that of its description"));
  }
  if (ComputeDigest(version.input_key(), weights) != version.digest()) {
    return absl::DataLossError(absl::StrCat("the bytes of ", version.name(),
                                            " do not match its digest ", version.digest()));
  }
  MutexLock writing(writing_);
  BACKFIRE_RETURN_IF_ERROR(Erase(id.number));
  BACKFIRE_RETURN_IF_ERROR(Write(id.number, version, weights));
  last_number_ = std::max(last_number_, id.number);
  MutexLock lock(mutex_);
  versions_.emplace(id.number, version);
  return absl::OkStatus();
}

absl::Status VersionStore::Write(int64_t number, const v1::Version& version,
                                 const std::string& weights) {
  const std::filesystem::path temporary = directory_ / absl::StrCat("tmp.", number);
  std::error_code error;
  const auto write = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(temporary / kWeightsFile, weights));
    BACKFIRE_RETURN_IF_ERROR(WriteVersionFile(temporary, version));
    CrashPoint("version-rename", version.name());
    std::filesystem::rename(temporary, directory_ / absl::StrCat(number), error);
    if (error) return ErrnoToStatus(error.value(), absl::StrCat("rename ", temporary.string()));
    return SyncDirectory(directory_);
  };
  if (const absl::Status status = write(); !status.ok()) {
    std::filesystem::remove_all(temporary, error);
    return status;
  }
  return absl::OkStatus();
}

std::optional<v1::Version> VersionStore::FindByInputKey(const std::string& input_key) const {
  MutexLock lock(mutex_);
  for (const auto& [number, version] : versions_) {
    if (version.ok() && version->input_key() == input_key) return *version;
  }
  return std::nullopt;
}

absl::StatusOr<v1::Version> VersionStore::Get(int64_t number) const {
  MutexLock lock(mutex_);
  const auto found = versions_.find(number);
  if (found == versions_.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no version ", VersionName(model_name_, number)));
  }
  return found->second;
}

std::vector<v1::Version> VersionStore::List() const {
  MutexLock lock(mutex_);
  std::vector<v1::Version> list;
  for (const auto& [number, version] : versions_) {
    if (version.ok()) list.push_back(*version);
  }
  return list;
}

absl::StatusOr<std::string> VersionStore::ReadWeights(int64_t number) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, Get(number));
  return ReadWeightsFile(directory_ / absl::StrCat(number), version);
}

absl::Status VersionStore::Delete(int64_t number) {
  MutexLock writing(writing_);
  return Erase(number);
}

absl::Status VersionStore::Erase(int64_t number) {
  {
    MutexLock lock(mutex_);
    versions_.erase(number);
  }
  const std::filesystem::path folder = directory_ / absl::StrCat(number);
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return absl::OkStatus();
  // The description goes first: a folder without one is a deleted version, of which the weights may
  // be left if the process was killed here.
  std::filesystem::remove(folder / kVersionFile, error);
  CrashPoint("version-delete", VersionName(model_name_, number));
  if (!error) std::filesystem::remove(folder / kWeightsFile, error);
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("delete ", folder.string()));
  return SyncDirectory(folder);
}

}  // namespace backfire::runtime
