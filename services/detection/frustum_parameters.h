#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/detection/frustum.h"

namespace backfire::detection {

/// How the score of a detection comes from the box's (2D) and the network's.
enum class FrustumScore {
  kCombined,  ///< Product of the proposal's score with the next.
  kNetwork,   ///< Mean probability of the mask's points times those of heading bin and size cluster
              ///< (the original code's, which adds the logarithms).
  kMask,      ///< Highest probability of a point in the mask (the port's).
  kProposal,  ///< The 2D detector's alone.
};

/// Parameters of both recipes; FullFrustumRecipe says what each means.
struct FrustumParameters {
  int64_t steps = 0, batch = 0, threads = 1;
  double learning_rate = 0;
  double width = 1, dropout = 0;
  int64_t object_points = 512;
  FrustumOptions frustum;
  bool published_depth_shift = false;
  bool doubled_size_residual = true;
  double box_jitter = 0.1, min_box_height_px = 25;
  double train_max_depth_m = 0, train_fraction = 1;
  int64_t min_points = 1;
  double min_score = 0;
  FrustumScore score = FrustumScore::kCombined;
};

/// Recipe `frustum-pointnet-full`: the published numbers. Hours on a CPU.
v1::Recipe FullFrustumRecipe();
/// Recipe `frustum-pointnet`: the same network, narrower and on fewer points, which learns a small
/// world in a minute.
v1::Recipe SmallFrustumRecipe();

/// INVALID_ARGUMENT: a parameter is out of range.
absl::StatusOr<FrustumParameters> ReadFrustumParameters(const v1::Recipe& recipe);

}  // namespace backfire::detection
