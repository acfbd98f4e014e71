#include "services/vision/perceive.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
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

}  // namespace

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
    view.points = std::move(perception->points);
    view.detections = std::move(perception->detections);
    MapToOriginal(view.detections, fitted.placement);
    views.push_back(std::move(view));
  }
  return views;
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
    layer.name = absl::StrCat("release ", view.release);
    layer.disparity = view.disparity;
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

std::vector<ReleaseDetections> DetectionsOf(const std::vector<ReleaseView>& views) {
  std::vector<ReleaseDetections> result;
  for (const ReleaseView& view : views) result.push_back({view.release, view.detections});
  return result;
}

}  // namespace backfire::vision
