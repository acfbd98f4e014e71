#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/metrics/object.h"
#include "services/runtime/tensor.h"

namespace backfire::detection {

/// Columns of the tensor `detections`, FP32 [N, 12], surest first: left, top, right, bottom (pixels
/// of the left image); height, width, length (m); x, y, z of the bottom centre (m, rectified camera
/// frame); rotation_y (rad); score.
inline constexpr int64_t kDetectionColumns = 12;

runtime::Tensor DetectionsToTensor(const std::vector<metrics::Object>& detections);
/// `type` is what the vertex detects: `Car`. INVALID_ARGUMENT: wrong datatype or shape.
absl::StatusOr<std::vector<metrics::Object>> DetectionsFromTensor(const runtime::Tensor& tensor,
                                                                  const std::string& type);

/// Columns of the tensor `boxes_2d`, FP32 [N, 6], surest first: left, top, right, bottom (pixels of
/// the left image), score in [0, 1], class (0 Car, 1 Pedestrian).
inline constexpr int64_t kProposalColumns = 6;

}  // namespace backfire::detection
