#include "services/datasets/kitti_clusters.h"

#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/base/text_file.h"
#include "services/datasets/kitti_layout.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;

// Words of each line that has some, with the line's number from 1.
std::vector<std::pair<int, std::vector<std::string>>> Lines(const std::string& content) {
  std::vector<std::pair<int, std::vector<std::string>>> lines;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    ++number;
    std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (!words.empty()) lines.emplace_back(number, std::move(words));
  }
  return lines;
}

absl::Status Fault(const fs::path& path, int line, absl::string_view message) {
  return absl::DataLossError(absl::StrCat(path.string(), ":", line, ": ", message));
}

// Notes a fault; false if it ends the reading.
bool GoesOn(absl::Status fault, std::vector<absl::Status>* faults, absl::Status& first) {
  if (faults == nullptr) {
    first = std::move(fault);
    return false;
  }
  faults->push_back(std::move(fault));
  return true;
}

}  // namespace

absl::StatusOr<KittiClusters> KittiClusters::Read(const fs::path& directory,
                                                  const std::string& parameter,
                                                  std::vector<absl::Status>* faults,
                                                  const runtime::DatasetAccess& access) {
  KittiClusters clusters;
  if (parameter == "each") return clusters;
  const fs::path path = directory / parameter;
  BACKFIRE_RETURN_IF_ERROR(access.roots.Check(path));
  absl::Status failure;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    clusters.path_ = path.string();
    BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadTextFile(path));
    for (const auto& [number, words] : Lines(content)) {
      if (number % kLinesBetweenLooks == 0) BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
      if (words[0][0] == '#') continue;
      std::string fault;
      if (words.size() != 2) {
        fault = "a line must be FRAME CLUSTER";
      } else if (!clusters.cluster_of_.emplace(words[0], words[1]).second) {
        fault = absl::StrCat("frame ", words[0], " is there twice");
      }
      if (!fault.empty() && !GoesOn(Fault(path, number, fault), faults, failure)) return failure;
    }
    return clusters;
  }
  const fs::path mapping = path / "train_mapping.txt", order = path / "train_rand.txt";
  clusters.path_ = order.string();
  for (const fs::path& file : {mapping, order}) {
    BACKFIRE_RETURN_IF_ERROR(access.roots.Check(file));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string mapped, ReadTextFile(mapping));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string ordered, ReadTextFile(order));
  std::map<int64_t, std::string> drive_of;  // By line.
  for (const auto& [number, words] : Lines(mapped)) {
    if (number % kLinesBetweenLooks == 0) BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
    if (words.size() == 3) {
      drive_of[number] = words[1];
    } else if (!GoesOn(Fault(mapping, number, "a line must be DATE DRIVE FRAME"), faults,
                       failure)) {
      return failure;
    }
  }
  int64_t frame = 0;
  int number = 0;
  for (const absl::string_view text : absl::StrSplit(ordered, '\n')) {
    ++number;
    for (const absl::string_view word :
         absl::StrSplit(text, absl::ByAnyChar(", \t"), absl::SkipEmpty())) {
      if (frame % kLinesBetweenLooks == 0) BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
      int64_t line = 0;
      const bool known = absl::SimpleAtoi(word, &line) && drive_of.count(line) > 0;
      if (known) {
        clusters.cluster_of_[absl::StrFormat("%06d", frame)] = drive_of[line];
      } else if (!GoesOn(Fault(order, number,
                               absl::StrCat("the number of frame ", frame,
                                            " must be that of a line of ", mapping.string(),
                                            ": got \"", word, "\"")),
                         faults, failure)) {
        return failure;
      }
      ++frame;
    }
  }
  return clusters;
}

absl::StatusOr<std::string> KittiClusters::Of(const std::string& frame) const {
  if (path_.empty()) return frame;
  const auto found = cluster_of_.find(frame);
  if (found != cluster_of_.end()) return found->second;
  return absl::NotFoundError(absl::StrCat(path_, ": says nothing of frame ", frame));
}

}  // namespace backfire::datasets
