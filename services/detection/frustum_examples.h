#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/detection/frustum.h"
#include "services/detection/frustum_parameters.h"
#include "services/runtime/model.h"

namespace backfire::detection {

/// A labelled object, with the points that any of its jittered boxes may hold.
struct FrustumExample {
  metrics::Object label;
  datasets::StereoCalibration calibration;
  std::vector<ProjectedPoint> points;
};

/// Reads what a training learns from: every label of `type` that the parameters ask for, however
/// few points it has, so that two clouds of the same frames give the same objects.
/// FAILED_PRECONDITION: there is none.
absl::StatusOr<std::vector<FrustumExample>> ReadFrustumExamples(const std::string& type,
                                                                const FrustumParameters& p,
                                                                const runtime::TrainingTask& task,
                                                                runtime::JobContext& job);

/// Batch, row by row, of p.batch frusta.
struct FrustumBatch {
  std::vector<float> points;   ///< [batch, p.frustum.points, 4].
  std::vector<int64_t> mask;   ///< [batch, p.frustum.points].
  std::vector<float> center;   ///< [batch, 3].
  std::vector<float> size;     ///< [batch, 3]: length, width, height.
  std::vector<float> heading;  ///< [batch].
  std::vector<float> weight;   ///< [batch]: 0 where a frustum has no points.
};

/// The batch of a step: a function of seed and step alone, so that a training can go on anywhere.
FrustumBatch MakeFrustumBatch(const std::vector<FrustumExample>& examples,
                              const FrustumParameters& p, Random& random);

}  // namespace backfire::detection
