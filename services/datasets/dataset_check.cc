#include "services/datasets/dataset_check.h"

#include <cmath>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/base/text_file.h"
#include "services/datasets/dataset_sources.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/kitti_layout.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;

constexpr std::array<Split, 3> kSplits = {Split::kTrain, Split::kValidation, Split::kTest};

// Takes `PATH:LINE: ` or `PATH: ` from the front of a status's message.
DatasetFault FaultOf(const absl::Status& status, const std::string& path) {
  DatasetFault fault;
  fault.file = path;
  absl::string_view message = status.message();
  if (absl::ConsumePrefix(&message, path)) {
    absl::string_view rest = message;
    if (absl::ConsumePrefix(&rest, ":")) {
      const size_t digits = rest.find_first_not_of("0123456789");
      if (digits != 0 && digits != absl::string_view::npos && rest[digits] == ':' &&
          absl::SimpleAtoi(rest.substr(0, digits), &fault.line)) {
        message = rest.substr(digits);
      }
    }
    absl::ConsumePrefix(&message, ":");
    absl::ConsumePrefix(&message, " ");
  }
  fault.message = std::string(message);
  return fault;
}

void Count(const std::vector<metrics::Object>& labels, SplitSummary& summary) {
  for (const metrics::Object& label : labels) {
    ++summary.objects[label.type];
    if (label.type != "DontCare" && label.box_2d.height() >= 25 && label.occlusion <= 1 &&
        label.truncation <= 0.3) {
      ++summary.counted[label.type];
    }
  }
}

class KittiChecker {
 public:
  KittiChecker(const KittiOptions& options, const KittiLayout& layout, DatasetReport& report)
      : options_(options), layout_(layout), report_(report) {}

  absl::Status Run(const std::function<void(int64_t, int64_t)>& progress,
                   const std::function<bool()>& cancelled) {
    std::array<std::vector<std::string>, 3> ids;
    int64_t total = 0, done = 0;
    for (const Split split : kSplits) {
      const auto i = static_cast<size_t>(split);
      std::vector<absl::Status> faults;
      auto list = layout_.ReadList(options_.lists[i], &faults);
      const std::string path =
          (options_.directory / "ImageSets" / absl::StrCat(options_.lists[i], ".txt")).string();
      for (const absl::Status& fault : faults) Add(fault, path);
      if (!list.ok()) {
        Add(list.status(), path);
        continue;
      }
      ids[i] = *std::move(list);
      total += static_cast<int64_t>(ids[i].size());
    }
    CheckOverlap(ids, Split::kTrain, Split::kValidation);
    CheckOverlap(ids, Split::kTrain, Split::kTest);
    CheckOverlap(ids, Split::kValidation, Split::kTest);
    for (const Split split : kSplits) {
      const auto i = static_cast<size_t>(split);
      report_.splits[i].frames = static_cast<int64_t>(ids[i].size());
      for (const std::string& id : ids[i]) {
        if (cancelled()) return absl::CancelledError("interrupted");
        CheckFrame(id, report_.splits[i]);
        progress(++done, total);
      }
    }
    return absl::OkStatus();
  }

 private:
  void Add(const absl::Status& status, const std::string& path) {
    report_.faults.push_back(FaultOf(status, path));
  }

  // Who is tested on what he was trained on learns nothing; settings chosen on the test split are
  // common practice on KITTI, and worth a warning.
  void CheckOverlap(const std::array<std::vector<std::string>, 3>& ids, Split a, Split b) {
    const auto& first = ids[static_cast<size_t>(a)];
    const std::set<std::string> in_first(first.begin(), first.end());
    std::vector<std::string> shared;
    for (const std::string& id : ids[static_cast<size_t>(b)]) {
      if (in_first.count(id) > 0) shared.push_back(id);
    }
    if (shared.empty()) return;
    const std::string text =
        absl::StrCat("the splits ", std::string(runtime::SplitName(a)), " and ",
                     std::string(runtime::SplitName(b)), " share ", shared.size(),
                     shared.size() == 1 ? " frame: " : " frames, the first: ", shared.front());
    if (a == Split::kTrain) {
      report_.faults.push_back({"", 0, text});
    } else {
      report_.warnings.push_back(text);
    }
  }

  // What a reader made of a file; a file that may be absent is no fault.
  template <typename Read>
  auto Value(KittiFile file, const std::string& id, bool required, const Read& read)
      -> std::optional<typename decltype(read(fs::path()))::value_type> {
    const fs::path path = layout_.Path(file, id);
    auto value = read(path);
    if (value.ok()) return *std::move(value);
    if (required || !absl::IsNotFound(value.status())) Add(value.status(), path.string());
    return std::nullopt;
  }

  void CheckSize(KittiFile file, const std::string& id, cv::Size size,
                 const std::optional<cv::Mat>& left) {
    if (!left || left->size() == size) return;
    const std::string path = layout_.Path(file, id).string();
    report_.faults.push_back(
        {path, 0,
         absl::StrCat("is ", size.width, "x", size.height, " pixels, the left image ", left->cols,
                      "x", left->rows)});
  }

  void CheckFrame(const std::string& id, SplitSummary& summary) {
    const auto left = Value(KittiFile::kLeft, id, true, ReadRgbImage);
    if (left) {
      summary.sizes.insert(absl::StrCat(left->cols, "x", left->rows));
      const auto window = TransformFor(options_.transform, left->size());
      if (!window.ok()) Add(window.status(), layout_.Path(KittiFile::kLeft, id).string());
    }
    const auto right = Value(KittiFile::kRight, id, false, ReadRgbImage);
    if (right) {
      ++summary.right_images;
      CheckSize(KittiFile::kRight, id, right->size(), left);
    }
    CheckCalibration(id);
    for (const KittiFile file : {KittiFile::kDisparity, KittiFile::kVisibleDisparity}) {
      const auto disparity = Value(file, id, false, ReadDisparityImage);
      if (!disparity) continue;
      CheckSize(file, id, disparity->size(), left);
      summary.disparities += file == KittiFile::kDisparity;
    }
    summary.scans += Value(KittiFile::kLidar, id, false, ReadLidar).has_value();
    CheckLabels(id, summary);
  }

  void CheckCalibration(const std::string& id) {
    const std::string path = layout_.Path(KittiFile::kCalibration, id).string();
    const auto content = ReadTextFile(path);
    if (!content.ok()) {
      if (!layout_.stereo_2015() || !absl::IsNotFound(content.status())) {
        Add(content.status(), path);
      }
      return;
    }
    std::vector<absl::Status> faults;
    ParseKittiCalibration(*content, path, faults);
    for (const absl::Status& fault : faults) Add(fault, path);
  }

  void CheckLabels(const std::string& id, SplitSummary& summary) {
    const std::string path = layout_.Path(KittiFile::kLabels, id).string();
    const auto content = ReadTextFile(path);
    if (!content.ok()) {
      if (!absl::IsNotFound(content.status())) Add(content.status(), path);
      return;
    }
    ++summary.labelled;
    std::vector<absl::Status> faults;
    Count(ParseObjectLines(*content, path, faults), summary);
    for (const absl::Status& fault : faults) Add(fault, path);
  }

  const KittiOptions& options_;
  const KittiLayout& layout_;
  DatasetReport& report_;
};

// A rendered dataset has no files that could be wrong: draws it, and counts.
absl::Status CheckRendered(const StereoDataset& dataset, DatasetReport& report,
                           const std::function<void(int64_t, int64_t)>& progress,
                           const std::function<bool()>& cancelled) {
  int64_t total = 0, done = 0;
  for (const Split split : kSplits) total += dataset.size(split);
  for (const Split split : kSplits) {
    SplitSummary& summary = report.splits[static_cast<size_t>(split)];
    summary.frames = dataset.size(split);
    for (int64_t i = 0; i < dataset.size(split); ++i) {
      if (cancelled()) return absl::CancelledError("interrupted");
      BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset.Labels(split, i));
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left, dataset.LeftImage(split, i));
      Count(labels, summary);
      summary.sizes.insert(absl::StrCat(left.cols, "x", left.rows));
      ++summary.right_images, ++summary.disparities, ++summary.labelled;
      progress(++done, total);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DatasetReport> CheckDataset(const std::string& uri,
                                           const std::function<void(int64_t, int64_t)>& progress,
                                           const std::function<bool()>& cancelled) {
  BACKFIRE_ASSIGN_OR_RETURN(const DatasetUri parsed, ParseDatasetUri(uri));
  DatasetReport report;
  for (const Split split : kSplits) {
    report.splits[static_cast<size_t>(split)].name = std::string(runtime::SplitName(split));
  }
  if (parsed.scheme == "kitti") {
    BACKFIRE_ASSIGN_OR_RETURN(const KittiOptions options, ParseKittiUri(uri, parsed));
    BACKFIRE_ASSIGN_OR_RETURN(const KittiLayout layout, KittiLayout::Find(options.directory));
    BACKFIRE_RETURN_IF_ERROR(KittiChecker(options, layout, report).Run(progress, cancelled));
    if (!report.faults.empty()) return report;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset, OpenStereoDataset(uri));
  report.digest = dataset->digest();
  if (parsed.scheme != "kitti") {
    BACKFIRE_RETURN_IF_ERROR(CheckRendered(*dataset, report, progress, cancelled));
  }
  return report;
}

}  // namespace backfire::datasets
