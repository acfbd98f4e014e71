#include "services/detection/point_rcnn/box_coding.h"

#include <ATen/ATen.h>

#include <cmath>

namespace backfire::detection {
namespace {

constexpr double kTurn = 2 * M_PI;

// Where each part of a regression begins.
struct Columns {
  explicit Columns(const BinCoding& coding)
      : bins(coding.location_bins()), headings(coding.heading_bins) {}
  int64_t bins, headings;
  int64_t x_bin() const { return 0; }
  int64_t z_bin() const { return bins; }
  int64_t x_residual() const { return 2 * bins; }
  int64_t z_residual() const { return 3 * bins; }
  int64_t y() const { return 4 * bins; }
  int64_t heading_bin() const { return 4 * bins + 1; }
  int64_t heading_residual() const { return heading_bin() + headings; }
  int64_t size() const { return heading_bin() + 2 * headings; }
};

double HeadingBin(const BinCoding& coding) {
  return (coding.refines ? M_PI / 2 : kTurn) / static_cast<double>(coding.heading_bins);
}

at::Tensor SizeTensor(const std::array<float, 3>& size, const at::Tensor& like) {
  return at::tensor({size[0], size[1], size[2]}).to(like.options());
}

// The residual of the bin that has the largest score, and the bin [N, 1].
struct Chosen {
  at::Tensor bin, residual;
};
Chosen Choose(const at::Tensor& regression, int64_t scores, int64_t residuals, int64_t bins) {
  const at::Tensor bin = regression.narrow(1, scores, bins).argmax(1, /*keepdim=*/true);
  return {bin, regression.narrow(1, residuals, bins).gather(1, bin)};
}

// Cross entropy of the bins, and smooth L1 of the true bin's residual.
struct BinLoss {
  at::Tensor bin, residual;
};
BinLoss LossOfBins(const at::Tensor& regression, int64_t scores, int64_t residuals, int64_t bins,
                   const at::Tensor& true_bin, const at::Tensor& true_residual) {
  const at::Tensor residual =
      regression.narrow(1, residuals, bins).gather(1, true_bin.unsqueeze(1)).squeeze(1);
  return {at::cross_entropy_loss(regression.narrow(1, scores, bins), true_bin),
          at::smooth_l1_loss(residual, true_residual)};
}

}  // namespace

at::Tensor DecodeBoxes(const at::Tensor& origins, const at::Tensor& regression,
                       const BinCoding& coding, const std::array<float, 3>& mean_size) {
  const Columns at(coding);
  const auto position = [&](int64_t scores, int64_t residuals) {
    const Chosen chosen = Choose(regression, scores, residuals, at.bins);
    return (chosen.bin.to(regression.scalar_type()) * coding.bin_m + coding.bin_m / 2 -
            coding.scope_m) +
           chosen.residual * coding.bin_m;
  };
  at::Tensor x = position(at.x_bin(), at.x_residual());
  at::Tensor z = position(at.z_bin(), at.z_residual());
  const at::Tensor y = origins.narrow(1, 1, 1) + regression.narrow(1, at.y(), 1);

  const double width = HeadingBin(coding);
  const Chosen chosen = Choose(regression, at.heading_bin(), at.heading_residual(), at.headings);
  const at::Tensor bin = chosen.bin.to(regression.scalar_type());
  at::Tensor heading;
  if (coding.refines) {
    heading = (bin * width + width / 2) + chosen.residual * (width / 2) - M_PI / 4;
  } else {
    heading = at::remainder(bin * width + chosen.residual * (width / 2), kTurn);
    heading = at::where(heading > M_PI, heading - kTurn, heading);
  }
  const at::Tensor mean = SizeTensor(mean_size, regression);
  const at::Tensor size = regression.narrow(1, at.size(), 3) * mean + mean;

  if (origins.size(1) == 7) {
    const at::Tensor turn = -origins.narrow(1, 6, 1);
    const at::Tensor cos = turn.cos(), sin = turn.sin();
    const at::Tensor turned_x = x * cos - z * sin;
    z = x * sin + z * cos;
    x = turned_x;
    heading = heading + origins.narrow(1, 6, 1);
  }
  return at::cat({x + origins.narrow(1, 0, 1), y, z + origins.narrow(1, 2, 1), size, heading}, 1);
}

at::Tensor RegressionLoss::location() const { return x_bin + z_bin + x_residual + z_residual + y; }
at::Tensor RegressionLoss::heading() const { return heading_bin + heading_residual; }
at::Tensor RegressionLoss::total() const { return location() + heading() + 3 * size; }

RegressionLoss LossOfRegression(const at::Tensor& regression, const at::Tensor& truth,
                                const BinCoding& coding, const std::array<float, 3>& mean_size) {
  const Columns at(coding);
  const auto location = [&](int64_t column, int64_t scores, int64_t residuals) {
    const at::Tensor shifted =
        (truth.select(1, column) + coding.scope_m).clamp(0, coding.scope_m * 2 - 1e-3);
    const at::Tensor bin = at::floor(shifted / coding.bin_m);
    const at::Tensor residual = (shifted - (bin * coding.bin_m + coding.bin_m / 2)) / coding.bin_m;
    return LossOfBins(regression, scores, residuals, at.bins, bin.to(at::kLong), residual);
  };
  RegressionLoss loss;
  const BinLoss x = location(0, at.x_bin(), at.x_residual());
  const BinLoss z = location(2, at.z_bin(), at.z_residual());
  loss.x_bin = x.bin;
  loss.x_residual = x.residual;
  loss.z_bin = z.bin;
  loss.z_residual = z.residual;
  loss.y = at::smooth_l1_loss(regression.select(1, at.y()), truth.select(1, 1));

  const double width = HeadingBin(coding);
  at::Tensor shifted, heading = at::remainder(truth.select(1, 6), kTurn);
  if (coding.refines) {
    // Front and back are told apart by the proposal; here the angle folds into a half turn.
    const at::Tensor opposite = (heading > M_PI * 0.5).logical_and(heading < M_PI * 1.5);
    heading = at::where(opposite, at::remainder(heading + M_PI, kTurn), heading);
    shifted =
        (at::remainder(heading + M_PI * 0.5, kTurn) - M_PI * 0.25).clamp(1e-3, M_PI * 0.5 - 1e-3);
  } else {
    shifted = at::remainder(heading + width / 2, kTurn);
  }
  // Rounding may put an angle just below a full turn into a bin too many.
  const at::Tensor bin =
      at::floor(shifted / width).clamp(0, static_cast<double>(coding.heading_bins - 1));
  const at::Tensor residual = (shifted - (bin * width + width / 2)) / (width / 2);
  const BinLoss angle = LossOfBins(regression, at.heading_bin(), at.heading_residual(), at.headings,
                                   bin.to(at::kLong), residual);
  loss.heading_bin = angle.bin;
  loss.heading_residual = angle.residual;

  const at::Tensor mean = SizeTensor(mean_size, regression);
  loss.size =
      at::smooth_l1_loss(regression.narrow(1, at.size(), 3), (truth.narrow(1, 3, 3) - mean) / mean);
  return loss;
}

}  // namespace backfire::detection
