#pragma once

#include <cstdint>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/datasets/stereo_dataset.h"
#include "services/vision/detection_report.h"
#include "services/vision/score_choice.h"
#include "services/vision/stereo_client.h"
#include "services/vision/stereo_input.h"

namespace backfire::vision {

/// What one release says of a stranger's pair, in the terms of the pair as it came.
struct ReleaseView {
  std::string release;
  cv::Mat disparity;                        ///< CV_32FC1, pixels of the original image.
  cv::Range sent_rows = cv::Range::all();   ///< Rows of it that the release was asked about.
  std::vector<cv::Point3f> points;          ///< Metres, camera 0.
  std::vector<metrics::Object> detections;  ///< 2D boxes in pixels of the original image.
  std::optional<runtime::Tensor> boxes_2d;  ///< In pixels of the fitted image; where asked for.
};

/// A frame of a dataset, as it came. Errors of the dataset.
absl::StatusOr<StereoInput> ReadFrame(const datasets::StereoDataset& dataset, runtime::Split split,
                                      int64_t example);

/// What a release sees of a dataset's validation split, beside the labels: for ChooseScore. Errors
/// of the dataset and of `see`.
/// @param see       Answers with one view of a frame.
/// @param progress  Called after each frame with (frames done, frames in all); false: these will
/// do.
absl::StatusOr<std::vector<JudgedFrame>> JudgeValidation(
    const datasets::StereoDataset& dataset,
    const std::function<absl::StatusOr<std::vector<ReleaseView>>(const StereoInput&)>& see,
    const std::function<bool(int64_t, int64_t)>& progress);

/// Asks each release about a pair: fits the pair into `size`, calls, maps the answers back. No
/// release listed: the live one. Errors of FitStereoInput and Perceive; the latter name the
/// release.
absl::StatusOr<std::vector<ReleaseView>> PerceiveWithReleases(
    inference::GRPCInferenceService::StubInterface& gateway, const StereoInput& input,
    cv::Size size, const std::vector<int64_t>& releases, const StereoCall& call);

/// A detector's service, and what it detects.
struct DetectorPeer {
  std::string model, type;  ///< `car`, `Car`.
  inference::GRPCInferenceService::StubInterface* stub = nullptr;
  int64_t version = 0;  ///< Which of its loaded versions answers; 0: the highest.
};

/// What the detectors say of a LiDAR's points in place of a release's point cloud, or of the points
/// of a known disparity: the same boxes, the same calibration. `view` must have its boxes
/// (StereoCall::boxes).
/// @param points  [count, 4], metres, camera 0; see pointcloud::ReadLidar.
absl::StatusOr<ReleaseView> PerceiveLidar(const std::vector<DetectorPeer>& detectors,
                                          const StereoInput& input, cv::Size size,
                                          const ReleaseView& view, const std::vector<float>& points,
                                          absl::Duration timeout);

/// The page that shows these views (CV_8UC3, RGB); detections below `min_score` are left out.
cv::Mat DrawPerception(const std::string& title, const StereoInput& input,
                       const std::vector<ReleaseView>& views,
                       const std::optional<std::vector<metrics::Object>>& labels, double min_score);

/// A frame of a comparison, with what each system sees of it.
struct ComparedFrame {
  std::string name;
  StereoInput input;
  std::vector<metrics::Object> labels;
  std::vector<ReleaseView> views;  ///< Detections that are to be shown.
};

/// Frames below each other, systems side by side (CV_8UC3, RGB).
/// @param frames  At least one, each with as many views as there are names.
/// @param max_depth_m  How far bird's-eye views reach.
cv::Mat DrawComparedFrames(const std::string& title, const std::vector<std::string>& names,
                           const std::vector<ComparedFrame>& frames, double max_depth_m);

/// The detections of views, for reports.
std::vector<ReleaseDetections> DetectionsOf(const std::vector<ReleaseView>& views);

}  // namespace backfire::vision
