#include "services/vision/perceive.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/vision/comparison_sheet.h"
#include "services/vision/disparity_of_points.h"
#include "services/vision/view_page.h"

namespace backfire::vision {
namespace {

// Pads the shown rows to the original's aspect, so that the map lies under the image row by row.
cv::Mat DisparityInOriginal(const cv::Mat& fitted, const Placement& placement) {
  const cv::Rect content = placement.Content();
  const int scaled_height =
      std::max(content.height + std::max(placement.crop_top, 0),
               static_cast<int>(placement.original.height * placement.scale_y + 0.5));
  cv::Mat disparity(scaled_height, content.width, CV_32FC1, cv::Scalar(0));
  const int top = std::max(placement.crop_top, 0);
  cv::Mat shown = disparity(cv::Rect(0, top, content.width, content.height));
  fitted(content).copyTo(shown);
  return disparity / placement.scale_x;
}

// Rows of DisparityInOriginal that were sent.
cv::Range SentRows(const Placement& placement) {
  const int top = std::max(placement.crop_top, 0);
  return {top, top + placement.Content().height};
}

}  // namespace

absl::StatusOr<StereoInput> ReadFrame(const datasets::StereoDataset& dataset, runtime::Split split,
                                      int64_t example) {
  StereoInput input;
  BACKFIRE_ASSIGN_OR_RETURN(input.left, dataset.LeftImage(split, example));
  BACKFIRE_ASSIGN_OR_RETURN(input.right, dataset.RightImage(split, example));
  BACKFIRE_ASSIGN_OR_RETURN(input.calibration, dataset.Calibration(split, example));
  return input;
}

absl::StatusOr<std::vector<JudgedFrame>> JudgeValidation(
    const datasets::StereoDataset& dataset,
    const std::function<absl::StatusOr<std::vector<ReleaseView>>(const StereoInput&)>& see,
    const std::function<bool(int64_t, int64_t)>& progress) {
  constexpr auto kSplit = runtime::Split::kValidation;
  std::vector<JudgedFrame> frames;
  for (int64_t i = 0; i < dataset.size(kSplit); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(const StereoInput input, ReadFrame(dataset, kSplit, i));
    BACKFIRE_ASSIGN_OR_RETURN(std::vector<ReleaseView> views, see(input));
    JudgedFrame& frame = frames.emplace_back();
    frame.detections = std::move(views.front().detections);
    BACKFIRE_ASSIGN_OR_RETURN(frame.labels, dataset.Labels(kSplit, i));
    if (!progress(i + 1, dataset.size(kSplit))) break;
  }
  return frames;
}

absl::StatusOr<std::vector<ReleaseView>> PerceiveWithReleases(
    inference::GRPCInferenceService::StubInterface& gateway, const StereoInput& input,
    cv::Size size, const std::vector<int64_t>& releases, const StereoCall& call) {
  BACKFIRE_ASSIGN_OR_RETURN(const FittedInput fitted, FitStereoInput(input, size));
  std::vector<std::optional<int64_t>> wanted(releases.begin(), releases.end());
  if (wanted.empty()) wanted.emplace_back(call.release);
  std::vector<ReleaseView> views;
  for (const std::optional<int64_t>& release : wanted) {
    StereoCall one = call;
    one.release = release;
    auto perception = Perceive(gateway, fitted.input, one);
    if (!perception.ok()) {
      return Annotate(perception.status(), release.has_value() ? absl::StrCat("release ", *release)
                                                               : std::string("the live release"));
    }
    ReleaseView view;
    view.release = std::move(perception->release);
    view.disparity = DisparityInOriginal(perception->disparity, fitted.placement);
    view.sent_rows = SentRows(fitted.placement);
    view.points = std::move(perception->points);
    view.detections = std::move(perception->detections);
    view.boxes_2d = std::move(perception->boxes_2d);
    MapToOriginal(view.detections, fitted.placement);
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<ReleaseView> PerceiveLidar(const std::vector<DetectorPeer>& detectors,
                                          const StereoInput& input, cv::Size size,
                                          const ReleaseView& view, const std::vector<float>& points,
                                          absl::Duration timeout) {
  if (!view.boxes_2d.has_value()) return absl::InternalError("the release's boxes are not there");
  BACKFIRE_ASSIGN_OR_RETURN(const FittedInput fitted, FitStereoInput(input, size));
  const auto count = static_cast<int64_t>(points.size()) / 4;
  runtime::Tensor cloud = runtime::MakeTensor(runtime::Datatype::kFp32, {count, 4});
  if (count > 0) std::memcpy(cloud.data.data(), points.data(), cloud.data.size());
  ReleaseView lidar;
  lidar.release = "LiDAR";
  for (const DetectorPeer& detector : detectors) {
    auto detections =
        DetectInCloud(*detector.stub, detector.model, detector.version, detector.type, cloud,
                      *view.boxes_2d, datasets::ToTensor(fitted.input.calibration), timeout);
    if (!detections.ok()) return Annotate(detections.status(), detector.model);
    lidar.detections.insert(lidar.detections.end(), detections->begin(), detections->end());
  }
  MapToOriginal(lidar.detections, fitted.placement);
  for (int64_t i = 0; i < count; ++i) {
    lidar.points.emplace_back(points[static_cast<size_t>(4 * i)],
                              points[static_cast<size_t>(4 * i + 1)],
                              points[static_cast<size_t>(4 * i + 2)]);
  }
  lidar.disparity = DisparityOfPoints(lidar.points, input.left.size(), input.calibration);
  return lidar;
}

cv::Mat DrawPerception(const std::string& title, const StereoInput& input,
                       const std::vector<ReleaseView>& views,
                       const std::optional<std::vector<metrics::Object>>& labels,
                       double min_score) {
  PageContent content;
  content.title = title;
  content.left = input.left;
  content.calibration = input.calibration;
  content.labels = labels;
  for (const ReleaseView& view : views) {
    PageLayer layer;
    const bool numbered = !view.release.empty() && view.release[0] >= '0' && view.release[0] <= '9';
    layer.name = numbered ? absl::StrCat("release ", view.release) : view.release;
    layer.disparity = view.disparity;
    layer.sent_rows = view.sent_rows;
    layer.points = view.points;
    std::copy_if(view.detections.begin(), view.detections.end(),
                 std::back_inserter(layer.detections),
                 [min_score](const metrics::Object& detection) {
                   return detection.score.value_or(0) >= min_score;
                 });
    content.layers.push_back(std::move(layer));
  }
  return DrawPage(content);
}

cv::Mat DrawComparedFrames(const std::string& title, const std::vector<std::string>& names,
                           const std::vector<ComparedFrame>& frames, double max_depth_m) {
  std::vector<PageContent> contents;
  for (const ComparedFrame& frame : frames) {
    PageContent& content = contents.emplace_back();
    content.title = frame.name;
    content.left = frame.input.left;
    content.calibration = frame.input.calibration;
    content.labels = frame.labels;
    for (size_t i = 0; i < names.size(); ++i) {
      PageLayer& layer = content.layers.emplace_back();
      layer.name = names[i];
      layer.disparity = frame.views[i].disparity;
      layer.points = frame.views[i].points;
      layer.detections = frame.views[i].detections;
    }
  }
  return DrawComparison(title, contents, max_depth_m);
}

std::vector<ReleaseDetections> DetectionsOf(const std::vector<ReleaseView>& views) {
  std::vector<ReleaseDetections> result;
  for (const ReleaseView& view : views) result.push_back({view.release, view.detections});
  return result;
}

}  // namespace backfire::vision
