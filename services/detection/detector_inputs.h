#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "services/datasets/calibration.h"
#include "services/metrics/object.h"
#include "services/runtime/tensor.h"

namespace backfire::detection {

/// Points of a tensor, which must outlive it.
struct PointCloudView {
  const float* values = nullptr;  ///< [count, columns]: x, y, z (m), then intensity where given.
  int64_t count = 0;
  int64_t columns = 3;  ///< 3 or 4.
  const float* point(int64_t i) const { return values + i * columns; }
};

/// INVALID_ARGUMENT: not FP32 [N, 3] or [N, 4], or a value is not finite (names the element).
absl::StatusOr<PointCloudView> ViewPointCloud(const runtime::Tensor& points);

/// A 2D box, where an object of one class may be.
struct Proposal {
  metrics::Box2d box;
  double score = 0;
};

/// The proposals of one class, in the tensor's order. INVALID_ARGUMENT: not FP32
/// [N, kProposalColumns], or a value is not finite.
absl::StatusOr<std::vector<Proposal>> ReadProposals(const runtime::Tensor& boxes_2d,
                                                    int proposal_class);

/// What a detector is asked with. `points` views the tensors' memory.
struct DetectorInputs {
  PointCloudView points;
  std::vector<Proposal> proposals;
  datasets::StereoCalibration calibration;
};

/// INVALID_ARGUMENT, naming the input: it is missing, of the wrong shape or not finite.
absl::StatusOr<DetectorInputs> ReadDetectorInputs(const runtime::TensorMap& inputs,
                                                  int proposal_class);

}  // namespace backfire::detection
