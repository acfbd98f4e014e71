#pragma once

#include <memory>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/metrics/object.h"
#include "services/vision/stereo_input.h"

namespace backfire::vision {

/// What a stereo system says of one pair.
struct Perception {
  std::string release;                      ///< The release that answered.
  cv::Mat disparity;                        ///< CV_32FC1, pixels; <= 0: no match.
  std::vector<cv::Point3f> points;          ///< Metres, rectified camera-0 frame.
  std::vector<metrics::Object> detections;  ///< Cars, then pedestrians; surest first.
};

/// Which system is asked, and how.
struct StereoCall {
  std::string model = "stereo";
  std::optional<int64_t> release;  ///< None: the live one.
  absl::Duration timeout = absl::Seconds(60);
};

/// The request of the Open Inference Protocol for a pair: left, right and calibration, raw.
inference::ModelInferRequest MakeRequest(const StereoInput& input, const StereoCall& call);
/// Reads its answer. INTERNAL: an output is missing, or not what the protocol says it must be.
/// @param size  Of the images that were sent: disparity must have it.
absl::StatusOr<Perception> ReadResponse(const inference::ModelInferResponse& response,
                                        cv::Size size);

/// Asks a gateway (or anything that serves such a system). The gateway's own codes; UNAVAILABLE
/// where it cannot be reached. Thread-safe.
absl::StatusOr<Perception> Perceive(inference::GRPCInferenceService::StubInterface& gateway,
                                    const StereoInput& input, const StereoCall& call);

}  // namespace backfire::vision
