#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "services/detection/point_rcnn/point_rcnn.h"

namespace backfire::detection {

/// How many proposals the first stage hands over.
struct ProposalLimits {
  int64_t before = 9000;   ///< Surest ones that suppression looks at, of one cloud.
  int64_t after = 100;     ///< Kept.
  double threshold = 0.8;  ///< Overlap above which the less sure one goes.
  static ProposalLimits ForTraining() { return {9000, 512, 0.85}; }
};

/// Boxes, surest first within each range of distance.
struct Proposals {
  at::Tensor boxes;   ///< FP32 [n, 7] on the CPU, y of the bottom; n <= after.
  at::Tensor scores;  ///< FP32 [n], raw.
};

/// One cloud's proposals. 70 percent of both limits go to boxes with 0 < z <= 40 m, the rest to
/// those within 80 m; where none is that far, the near ones ranked after the near limit compete for
/// its share.
/// @param xyz  [points, 3]. @param scores  [points]. @param regression  [points, 76].
Proposals ProposeBoxes(const at::Tensor& xyz, const at::Tensor& scores,
                       const at::Tensor& regression, const std::array<float, 3>& mean_size,
                       const ProposalLimits& limits);

/// The boxes that all points of a cloud propose, [points, 7], with y of the bottom.
at::Tensor DecodeProposals(const at::Tensor& xyz, const at::Tensor& regression,
                           const std::array<float, 3>& mean_size);
/// ProposeBoxes from such.
Proposals SelectProposals(const at::Tensor& boxes, const at::Tensor& scores,
                          const ProposalLimits& limits);

/// Cuts the points of RoIs out of one cloud: those inside the box grown by 1 m to every side, the
/// first `limit` in their order, turned into its frame. An empty RoI gets one point of zeros,
/// turned as any other.
/// @param xyz       [points, 3]. @param mask, depth  [points]: see RoiPoints.
/// @param features  [points, channels]. @param rois  FP32 [rois, 7] on the CPU.
RoiPoints PoolRois(const at::Tensor& xyz, const at::Tensor& mask, const at::Tensor& depth,
                   const at::Tensor& features, const at::Tensor& rois, int64_t limit);

/// The RoIs of several clouds, one after the other.
RoiPoints JoinRois(const std::vector<RoiPoints>& parts);

/// What lies between the stages: sigmoid(score) > 0.3, and distance / 70 - 0.5.
at::Tensor SegmentationMask(const at::Tensor& scores);
at::Tensor NormalisedDepth(const at::Tensor& xyz);

}  // namespace backfire::detection
