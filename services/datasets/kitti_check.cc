#include "services/datasets/kitti_check.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/base/text_file.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/kitti_clusters.h"
#include "services/datasets/kitti_layout.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;

constexpr std::array<Split, 3> kCheckedSplits = {Split::kTrain, Split::kValidation, Split::kTest};

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
    for (const char* separator : {":", " "}) absl::ConsumePrefix(&message, separator);
  }
  fault.message = std::string(message);
  return fault;
}

class KittiChecker {
 public:
  KittiChecker(const KittiOptions& options, const KittiLayout& layout, DatasetReport& report)
      : options_(options), layout_(layout), report_(report) {}

  absl::Status Run(const std::function<void(int64_t, int64_t)>& progress,
                   const std::function<bool()>& cancelled) {
    std::array<std::vector<std::string>, 3> ids;
    int64_t total = 0, done = 0;
    for (const Split split : kCheckedSplits) {
      const auto i = static_cast<size_t>(split);
      std::vector<absl::Status> faults;
      auto list = layout_.ReadList(options_.lists[i], &faults, runtime::DatasetAccess::Unlimited());
      const std::string path =
          (options_.directory / "ImageSets" / absl::StrCat(options_.lists[i], ".txt")).string();
      for (const absl::Status& fault : faults) Add(fault, path);
      if (!list.ok()) {
        Add(list.status(), absl::StartsWith(list.status().message(), path) ? path : "");
        continue;
      }
      ids[i] = *std::move(list);
      total += static_cast<int64_t>(ids[i].size());
    }
    CheckClusters(ids);
    CheckOverlap(ids, Split::kTrain, Split::kValidation);
    CheckOverlap(ids, Split::kTrain, Split::kTest);
    CheckOverlap(ids, Split::kValidation, Split::kTest);
    for (const Split split : kCheckedSplits) {
      const auto i = static_cast<size_t>(split);
      report_.splits[i].frames = static_cast<int64_t>(ids[i].size());
      if (ids[i].empty() && !options_.lists[i].empty()) {
        report_.warnings.push_back(absl::StrCat("the split ", report_.splits[i].name, " is empty"));
      }
      lacks_ = {{"right image", KittiFile::kRight, {}},
                {"label file", KittiFile::kLabels, {}},
                {"disparity map or scan", KittiFile::kDisparity, {}}};
      notices_.clear();
      for (const std::string& id : ids[i]) {
        if (cancelled()) return absl::CancelledError("interrupted");
        CheckFrame(id, report_.splits[i]);
        progress(++done, total);
      }
      ReportLacks(report_.splits[i]);
      ReportNotices(report_.splits[i]);
      ReportClasses(report_.splits[i]);
    }
    return absl::OkStatus();
  }

 private:
  // Frames of a split without a kind of file.
  struct Lack {
    const char* what;
    KittiFile file;
    std::vector<std::string> ids;
  };
  enum LackIndex { kNoRight, kNoLabels, kNoTruth };

  // Datasets without a kind of file serve those who don't need it; a split where some frames have
  // it has lost the others', and a training ends there.
  void ReportLacks(const SplitSummary& summary) {
    for (const Lack& lack : lacks_) {
      if (lack.ids.empty()) continue;
      if (static_cast<int64_t>(lack.ids.size()) == summary.frames) {
        report_.warnings.push_back(
            absl::StrCat("no frame of the split ", summary.name, " has a ", lack.what));
        continue;
      }
      for (const std::string& id : lack.ids) {
        report_.faults.push_back(
            {layout_.Path(lack.file, id).string(), 0,
             absl::StrCat("is missing: ", summary.frames - static_cast<int64_t>(lack.ids.size()),
                          " of ", summary.frames, " frames of the split ", summary.name, " have a ",
                          lack.what)});
      }
    }
  }

  // Detectors of a class can't be trained, nor judged, on a split that has none of it.
  void ReportClasses(const SplitSummary& summary) {
    if (summary.labelled == 0) return;
    for (const char* type : {"Car", "Pedestrian"}) {
      if (summary.objects.count(type) > 0) continue;
      report_.warnings.push_back(
          absl::StrCat("no label of the split ", summary.name, " is of class ", type));
    }
  }

  // What is allowed in a file, and may be a mistake; said once, for all frames of a split.
  void Notice(const std::string& text, const std::string& id) { notices_[text].push_back(id); }
  void ReportNotices(const SplitSummary& summary) {
    for (const auto& [text, ids] : notices_) {
      report_.warnings.push_back(absl::StrCat(summary.name, ": ", ids.size(),
                                              ids.size() == 1 ? " frame, " : " frames, the first ",
                                              ids.front(), ": ", text));
    }
  }

  void Add(const absl::Status& status, const std::string& path) {
    report_.faults.push_back(FaultOf(status, path));
  }

  // Of a status that begins with the path of its file.
  void AddOf(const absl::Status& status) {
    Add(status, std::string(status.message().substr(0, status.message().find(':'))));
  }

  void CheckClusters(const std::array<std::vector<std::string>, 3>& ids) {
    if (options_.clusters.empty()) {
      report_.warnings.push_back(
          "no `clusters`: if frames are alike, as those of one drive are, verdicts are too sure; "
          "name them, or say clusters=each");
      return;
    }
    std::vector<absl::Status> faults;
    const auto clusters = KittiClusters::Read(options_.directory, options_.clusters, &faults,
                                              runtime::DatasetAccess::Unlimited());
    for (const absl::Status& fault : faults) AddOf(fault);
    if (!clusters.ok()) return Add(clusters.status(), options_.clusters);
    std::array<std::set<std::string>, 3> of_split;
    for (const Split split : kCheckedSplits) {
      for (const std::string& id : ids[static_cast<size_t>(split)]) {
        const auto cluster = clusters->Of(id);
        if (cluster.ok()) {
          of_split[static_cast<size_t>(split)].insert(*cluster);
        } else {
          AddOf(cluster.status());
        }
      }
    }
    // Frames of a drive that was learnt from say less of streets that nobody has seen.
    const auto& train = of_split[static_cast<size_t>(Split::kTrain)];
    const auto& test = of_split[static_cast<size_t>(Split::kTest)];
    const auto shared = std::count_if(test.begin(), test.end(), [&](const std::string& cluster) {
      return train.count(cluster) > 0;
    });
    if (shared == 0) return;
    report_.warnings.push_back(absl::StrCat("of the ", test.size(), " clusters of the test split, ",
                                            shared, " have frames in the training split as well"));
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
    NoteAbsence(kNoRight, id);
    const std::optional<KittiCalibration> calibration = CheckCalibration(id, left);
    for (const KittiFile file : {KittiFile::kDisparity, KittiFile::kVisibleDisparity}) {
      const auto disparity = Value(file, id, false, ReadDisparityImage);
      if (!disparity) continue;
      CheckSize(file, id, disparity->size(), left);
      if (cv::countNonZero(*disparity) == 0) Notice("the disparity map has no pixel of truth", id);
      summary.disparities += file == KittiFile::kDisparity;
    }
    const auto scan = Value(KittiFile::kLidar, id, false, ReadLidar);
    summary.scans += scan.has_value();
    if (scan) CheckScan(id, *scan);
    CheckTruth(id, calibration);
    if (scan && !scan->empty() && calibration && left)
      CheckScanIsSeen(id, *scan, *calibration, *left);
    CheckLabels(id, summary);
  }

  bool Exists(KittiFile file, const std::string& id) const {
    std::error_code error;
    return fs::exists(layout_.Path(file, id), error);
  }

  void NoteAbsence(LackIndex index, const std::string& id) {
    if (!Exists(lacks_[index].file, id)) lacks_[index].ids.push_back(id);
  }

  // The files that the URI's ground truth of disparity comes from.
  void CheckTruth(const std::string& id, const std::optional<KittiCalibration>& calibration) {
    const bool map = Exists(KittiFile::kDisparity, id), scan = Exists(KittiFile::kLidar, id);
    const bool from_scan = options_.disparity == DisparitySource::kLidar ||
                           (options_.disparity == DisparitySource::kAuto && !map);
    if (options_.disparity == DisparitySource::kAuto) {
      if (!map && !scan) lacks_[kNoTruth].ids.push_back(id);
    } else if (!(from_scan ? scan : map)) {
      report_.faults.push_back(
          {layout_.Path(from_scan ? KittiFile::kLidar : KittiFile::kDisparity, id).string(), 0,
           absl::StrCat("is missing, and the URI has disparity=", from_scan ? "lidar" : "file")});
    }
    if (!from_scan || !scan || !calibration) return;
    if (const auto motion = calibration->RectFromVelo(); !motion.ok()) {
      const std::string path = layout_.Path(KittiFile::kCalibration, id).string();
      report_.faults.push_back({path, 0, std::string(motion.status().message())});
    }
  }

  // Truth that is nowhere, or a scan beside the picture, would train on nothing without a word.
  void CheckScanIsSeen(const std::string& id, const std::vector<LidarPoint>& scan,
                       const KittiCalibration& calibration, const cv::Mat& left) {
    const auto disparity = DisparityFromLidar(scan, calibration, left.size());
    if (!disparity.ok() || cv::countNonZero(*disparity) > 0) return;
    Notice(
        "no point of the scan is in the left image: is Tr_velo_to_cam of another sensor, or of "
        "other axes (x forward, y left, z up)?",
        id);
  }

  void CheckScan(const std::string& id, const std::vector<LidarPoint>& scan) {
    if (scan.empty()) return Notice("the scan has no point: was it cut off?", id);
    constexpr float kFarthestM = 300;
    const auto odd = [](const LidarPoint& point) {
      return point.reflectance < 0 || point.reflectance > 1 ||
             std::hypot(point.x, point.y, point.z) > kFarthestM;
    };
    if (!std::any_of(scan.begin(), scan.end(), odd)) return;
    Notice(
        "the scan has reflectances beyond [0, 1] or points beyond 300 m: a scan has four float32 a "
        "point (x, y, z, reflectance), and no other number of columns",
        id);
  }

  // What is read of it, if there is no fault.
  std::optional<KittiCalibration> CheckCalibration(const std::string& id,
                                                   const std::optional<cv::Mat>& left) {
    const std::string path = layout_.Path(KittiFile::kCalibration, id).string();
    const auto content = ReadTextFile(path);
    if (!content.ok()) {
      if (!layout_.stereo_2015() || !absl::IsNotFound(content.status())) {
        Add(content.status(), path);
      }
      return std::nullopt;
    }
    std::vector<absl::Status> faults;
    KittiCalibration calibration = ParseKittiCalibration(*content, path, faults);
    for (const absl::Status& fault : faults) Add(fault, path);
    if (!faults.empty()) return std::nullopt;
    const Projection& camera = *calibration.image_from_rect[2];
    const std::string doubt = left ? Doubt(camera, left->cols, left->rows) : "";
    if (!doubt.empty()) Notice(doubt, id);
    return calibration;
  }

  void CheckLabels(const std::string& id, SplitSummary& summary) {
    NoteAbsence(kNoLabels, id);
    const std::string path = layout_.Path(KittiFile::kLabels, id).string();
    const auto content = ReadTextFile(path);
    if (!content.ok()) {
      if (!absl::IsNotFound(content.status())) Add(content.status(), path);
      return;
    }
    ++summary.labelled;
    std::vector<absl::Status> faults;
    CountLabels(ParseObjectLines(*content, path, faults), options_.height_scale, summary);
    for (const absl::Status& fault : faults) Add(fault, path);
  }

  const KittiOptions& options_;
  const KittiLayout& layout_;
  DatasetReport& report_;
  std::vector<Lack> lacks_;                                  // Of the split that is read.
  std::map<std::string, std::vector<std::string>> notices_;  // Frames by text.
};

}  // namespace

void CountLabels(const std::vector<metrics::Object>& labels, double height_scale,
                 SplitSummary& summary) {
  for (const metrics::Object& label : labels) {
    ++summary.objects[label.type];
    if (label.type != "DontCare" && label.box_2d.height() >= 25 * height_scale &&
        label.occlusion <= 1 && label.truncation <= 0.3) {
      ++summary.counted[label.type];
    }
  }
}

absl::Status CheckKitti(const KittiOptions& options, const KittiLayout& layout,
                        const std::function<void(int64_t, int64_t)>& progress,
                        const std::function<bool()>& cancelled, DatasetReport& report) {
  return KittiChecker(options, layout, report).Run(progress, cancelled);
}

}  // namespace backfire::datasets
