#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "services/datasets/stereo_dataset.h"
#include "services/disparity/stereo_crop.h"
#include "services/runtime/model.h"

namespace backfire::disparity {

/// A training split in memory.
struct StereoTraining {
  std::vector<torch::Tensor> left, right;   ///< UINT8 [H, W, 3], RGB.
  std::vector<torch::Tensor> truth;         ///< FP32 [H, W], pixels; 0 where unknown.
  std::vector<float> focal_times_baseline;  ///< Pixels times metres.
};

/// Reads a training split, reporting to `job`. FAILED_PRECONDITION: it is empty. INVALID_ARGUMENT:
/// the crop exceeds an image. Else errors of reading, or CANCELLED.
absl::StatusOr<StereoTraining> ReadStereoTraining(const datasets::StereoDataset& dataset,
                                                  const CropOptions& crop,
                                                  runtime::JobContext& job);

/// Crops of one step.
struct StereoBatch {
  torch::Tensor left, right;           ///< FP32 [B, 3, H, W], normalised.
  torch::Tensor truth;                 ///< FP32 [B, H, W].
  torch::Tensor focal_times_baseline;  ///< FP32 [B].
};

/// The batch of a step: a function of seed and step alone, so that a training can go on anywhere.
StereoBatch MakeStereoBatch(const StereoTraining& data, const CropOptions& crop, int64_t seed,
                            int64_t step);

}  // namespace backfire::disparity
