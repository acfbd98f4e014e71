#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "services/disparity/cost_volume.h"

namespace backfire::disparity {

/// Sizes of a PSMNet. The defaults are the published `stackhourglass` (Chang and Chen, CVPR 2018).
struct PsmNetOptions {
  int64_t max_disparity = 192;  ///< Pixels; a multiple of 4 * volume_scale.

  /// Side, in pixels, of the window whose mean and deviation each pixel of an image is measured by
  /// before the network sees it; odd. 0: as published, images are seen as they are.
  int64_t contrast_window = 0;

  // Features of an image, at a quarter of its resolution.
  int64_t channels = 32;        ///< Of firstconv and layer1; layer2 has twice as many.
  int64_t deep_channels = 128;  ///< Of layer3, layer4 and the fusion behind them.
  std::array<int64_t, 4> blocks = {3, 16, 3, 3};  ///< Residual blocks of layer1 ... layer4.
  /// Spatial pyramid: side of the pooled windows of branch1, branch2 ..., in feature pixels.
  std::vector<int64_t> pyramid = {64, 32, 16, 8};
  int64_t branch_channels = 32;
  int64_t features = 32;

  // The cost volume, and what works on it.
  CostVolumeKind volume = CostVolumeKind::kConcatenation;
  int64_t volume_scale = 4;  ///< It has a plane, a row and a column per so many pixels: 4 or 8.
  int64_t volume_channels = 32;
  int64_t hourglasses = 3;  ///< 0: `basic`, four residual pairs instead.

  /// Interpolation everywhere as PyTorch before 0.4 did it, with which the authors' released
  /// weights were trained.
  bool align_corners = false;
  /// In training, normalise both images' features as one batch. The published network does it one
  /// image after the other; as one batch is faster.
  bool joint_batch = false;

  int64_t planes() const { return max_disparity / volume_scale; }
  /// Sides of an image must be multiples of this.
  int64_t multiple() const { return 4 * volume_scale; }
};

/// The published `basic` network.
inline PsmNetOptions BasicPsmNet() {
  PsmNetOptions options;
  options.hourglasses = 0;
  return options;
}

/// A small one, for `c` channels: one block or two per layer, difference volume, one hourglass.
inline PsmNetOptions SmallPsmNet(int64_t c) {
  PsmNetOptions options;
  options.max_disparity = 96;
  options.channels = c;
  options.deep_channels = 2 * c;
  options.blocks = {1, 2, 1, 1};
  options.pyramid = {16, 8, 4};
  options.branch_channels = c / 2;
  options.features = c / 2;
  options.volume = CostVolumeKind::kDifference;
  options.volume_channels = c;
  options.hourglasses = 1;
  options.joint_batch = true;
  return options;
}

}  // namespace backfire::disparity
