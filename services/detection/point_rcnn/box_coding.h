#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace backfire::detection {

/// How a stage of PointRCNN writes a box as bins and residuals (Shi et al., CVPR 2019,
/// section 3.2). Columns: x-bins, z-bins, x-residuals, z-residuals, y, heading bins, heading
/// residuals, h, w, l.
struct BinCoding {
  double scope_m = 3;         ///< x and z are searched this far to both sides.
  double bin_m = 0.5;         ///< Width of a bin.
  int64_t heading_bins = 12;  ///< Over the circle; in the refinement over the quarter about 0.
  bool refines = false;       ///< Relative to a proposal, whose heading is known up to pi / 4.

  int64_t location_bins() const { return 2 * static_cast<int64_t>(scope_m / bin_m); }
  int64_t columns() const { return 4 * location_bins() + 1 + 2 * heading_bins + 3; }
};

/// Of the first stage: 76 columns; and of the second: 46.
inline constexpr BinCoding kProposalCoding{3, 0.5, 12, false};
inline constexpr BinCoding kRefinementCoding{1.5, 0.5, 9, true};

/// Boxes [N, 7] from regressions [N, columns]. `origins` is [N, 3], points, whose result has the
/// box's *centre* as y; or [N, 7], proposals, whose headings turn the result, and whose y is the
/// bottom's. `mean_size`: height, width, length, metres.
at::Tensor DecodeBoxes(const at::Tensor& origins, const at::Tensor& regression,
                       const BinCoding& coding, const std::array<float, 3>& mean_size);

/// Loss of regressions against what is true, each a mean over the rows, which must be at least one.
struct RegressionLoss {
  at::Tensor x_bin, z_bin, x_residual, z_residual, y;  ///< Their sum is the location's.
  at::Tensor heading_bin, heading_residual;
  at::Tensor size;  ///< Without its weight, 3.
  at::Tensor location() const;
  at::Tensor heading() const;
  at::Tensor total() const;
};

/// @param truth  [N, 7]: offset x, y, z, then h, w, l (metres), heading (radians), all relative to
/// the
///   origin as DecodeBoxes has it.
RegressionLoss LossOfRegression(const at::Tensor& regression, const at::Tensor& truth,
                                const BinCoding& coding, const std::array<float, 3>& mean_size);

}  // namespace backfire::detection
