#include "tests/parity/directory_parity.h"

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::parity {
namespace {

namespace fs = std::filesystem;

// Tensors by file, as contents.tsv lists them; empty where there is no such file.
absl::StatusOr<std::map<std::string, std::set<std::string>>> ReadContents(const fs::path& path) {
  std::map<std::string, std::set<std::string>> contents;
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return contents;
  BACKFIRE_RETURN_IF_ERROR(text.status());
  int64_t number = 0;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    ++number;
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    if (number == 1) {
      if (cells.size() < 2 || cells[0] != "file" || cells[1] != "tensor") {
        return absl::DataLossError(
            absl::StrCat(path.string(), ":1: the first columns must be called file and tensor"));
      }
      continue;
    }
    if (line.empty()) continue;
    if (cells.size() < 2 || cells[1].empty() || !ParseVectorFileName(cells[0]).ok()) {
      return absl::DataLossError(
          absl::StrCat(path.string(), ":", number,
                       ": must be NETWORK.SET[.PART].pt, a tab, and a tensor's name: got ",
                       absl::CHexEscape(line.substr(0, 100))));
    }
    contents[cells[0]].insert(cells[1]);
  }
  return contents;
}

absl::Status RunFile(const VectorCase& vector_case, const std::vector<NetworkParity>& networks,
                     ParityReport& report) {
  for (const NetworkParity& network : networks) {
    if (network.network != vector_case.name.network) continue;
    try {
      return network.run(vector_case, report);
    } catch (const std::exception& error) {  // LibTorch throws, with a stack of many lines.
      const std::string text = error.what();
      return absl::InternalError(text.substr(0, text.find('\n')));
    }
  }
  return absl::NotFoundError(absl::StrCat("no network here is called ", vector_case.name.network));
}

}  // namespace

ParityOutcome RunDirectory(const fs::path& directory, const std::string& only,
                           const std::vector<NetworkParity>& networks,
                           const std::function<void(const std::string&)>& print) {
  ParityOutcome outcome;
  const auto fail = [&](const std::string& what) {
    ++outcome.failed;
    print(absl::StrCat("  ", what, "  MISMATCH"));
  };
  std::error_code error;
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (absl::EndsWith(name, ".pt")) files.insert(name);
  }
  if (error) {
    fail(absl::StrCat(directory.string(), ": ", error.message()));
    return outcome;
  }
  const auto contents = ReadContents(directory / "contents.tsv");
  if (!contents.ok()) {
    fail(std::string(contents.status().message()));
    return outcome;
  }
  for (const auto& [file, tensors] : *contents) files.insert(file);

  for (const std::string& file : files) {
    if (!only.empty() && !absl::StrContains(file.substr(0, file.find('.')), only)) continue;
    ++outcome.files;
    print(file);
    const absl::StatusOr<VectorFileName> name = ParseVectorFileName(file);
    if (!name.ok()) {
      fail(std::string(name.status().message()));
      continue;
    }
    absl::StatusOr<VectorMap> vectors = ReadVectorFile(directory / file);
    if (!vectors.ok()) {
      fail(std::string(vectors.status().message()));
      continue;
    }
    const VectorCase vector_case{directory, *name, *std::move(vectors)};
    const auto listed = contents->find(file);
    if (listed != contents->end()) {
      for (const std::string& tensor : listed->second) {
        if (vector_case.vectors.count(tensor) == 0) {
          fail(absl::StrCat(tensor, ": contents.tsv lists it, and the file lacks it"));
        }
      }
    }
    ParityReport report(vector_case, print);
    const absl::Status status = RunFile(vector_case, networks, report);
    if (status.ok()) {
      report.Finish();
    } else {
      fail(std::string(status.message()));
    }
    outcome.compared += report.compared();
    outcome.failed += report.failed();
  }
  if (outcome.files == 0) {
    fail(absl::StrCat(directory.string(), ": no vector file",
                      only.empty() ? "" : " of a network like ", only));
  }
  return outcome;
}

}  // namespace backfire::parity
