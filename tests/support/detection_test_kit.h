#pragma once

#include "services/datasets/stereo_dataset.h"
#include "services/detection/detector_model.h"
#include "services/runtime/tensor.h"

namespace backfire::testing {

/// The truth as a detector's parents would give it: a point for every pixel (every `stride`-th row
/// and column) with a disparity, the labels' 2D boxes of cars with score 0.9, the calibration.
/// @param far_m  Points beyond aren't given.
runtime::TensorMap TrueDetectorInputs(const datasets::StereoDataset& dataset, runtime::Split split,
                                      int64_t example, int stride = 1, double far_m = 60);

/// A detector of cars, by KITTI's mean size.
detection::DetectorConfig CarConfig();

}  // namespace backfire::testing
