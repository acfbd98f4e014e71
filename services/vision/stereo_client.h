#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/metrics/object.h"
#include "services/runtime/tensor.h"
#include "services/vision/stereo_input.h"

namespace backfire::vision {

/// What a stereo system says of one pair.
struct Perception {
  std::string release;                      ///< The release that answered.
  cv::Mat disparity;                        ///< CV_32FC1, pixels; <= 0: no match.
  std::vector<cv::Point3f> points;          ///< Metres, rectified camera-0 frame.
  std::vector<metrics::Object> detections;  ///< Cars, then pedestrians; surest first.
  std::optional<runtime::Tensor> boxes_2d;  ///< Where StereoCall::boxes asked for them.
};

/// Which system is asked, and how.
struct StereoCall {
  std::string model = "stereo";
  std::optional<int64_t> release;  ///< None: the live one.
  absl::Duration timeout = absl::Seconds(60);
  bool boxes = false;  ///< Also asks for the 2D boxes that the detectors looked in.
};

/// The request of the Open Inference Protocol for a pair: left, right and calibration, raw.
inference::ModelInferRequest MakeRequest(const StereoInput& input, const StereoCall& call);
/// Reads its answer. INTERNAL: an output is missing, or not what the protocol says it must be.
/// @param size  Of the images that were sent: disparity must have it.
absl::StatusOr<Perception> ReadResponse(const inference::ModelInferResponse& response,
                                        cv::Size size);

/// Whether a gateway's system takes a pair and gives what MakeRequest asks for, as its metadata has
/// it. Errors as Perceive's.
absl::StatusOr<bool> IsStereoSystem(inference::GRPCInferenceService::StubInterface& gateway,
                                    const StereoCall& call);

/// Asks a gateway (or anything that serves such a system). The gateway's own codes; UNAVAILABLE
/// where it cannot be reached. Thread-safe.
absl::StatusOr<Perception> Perceive(inference::GRPCInferenceService::StubInterface& gateway,
                                    const StereoInput& input, const StereoCall& call);

/// Asks one detector's service what it finds in a cloud of the caller's: whatever its point cloud
/// comes from. Errors as Perceive's.
/// @param model   The service's own: `car`. `type` is what it detects: `Car`.
/// @param version Which of its loaded versions answers; 0: the highest.
/// @param points  FP32 [N, 4]. `boxes_2d` and `calibration` as the vertex has them.
absl::StatusOr<std::vector<metrics::Object>> DetectInCloud(
    inference::GRPCInferenceService::StubInterface& detector, const std::string& model,
    int64_t version, const std::string& type, const runtime::Tensor& points,
    const runtime::Tensor& boxes_2d, const runtime::Tensor& calibration, absl::Duration timeout);

}  // namespace backfire::vision
