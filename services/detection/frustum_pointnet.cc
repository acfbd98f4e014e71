#include "services/detection/frustum_pointnet.h"

#include <torch/torch.h>

#include <cmath>
#include <vector>

namespace backfire::detection {
namespace {

namespace nn = torch::nn;
using learning::Stack;

constexpr double kPi = 3.14159265358979323846;
constexpr double kBinWidth = 2 * kPi / kHeadingBins;

// Layers that see every point by itself; inputs are [B * N, C].
Stack PointLayers(const std::vector<int64_t>& sizes) {
  Stack layers;
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    layers->push_back(nn::Linear(sizes[i], sizes[i + 1]));
    layers->push_back(nn::BatchNorm1d(sizes[i + 1]));
    layers->push_back(nn::ReLU());
  }
  return layers;
}

Stack Head(const std::vector<int64_t>& sizes) {
  Stack layers;
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    layers->push_back(nn::Linear(sizes[i], sizes[i + 1]));
    if (i + 2 < sizes.size()) layers->push_back(nn::ReLU());
  }
  return layers;
}

// [B, N, C] through layers for points.
torch::Tensor PerPoint(Stack& layers, const torch::Tensor& x) {
  return layers->forward(x.reshape({-1, x.size(2)})).view({x.size(0), x.size(1), -1});
}

// Maximum over the points where mask [B, N] is not 0.
torch::Tensor MaskedMax(const torch::Tensor& x, const torch::Tensor& mask) {
  return std::get<0>(x.masked_fill(mask.unsqueeze(2) == 0, -1e4).max(1));
}

// Corners [B, 8, 3] of boxes.
torch::Tensor Corners(const torch::Tensor& centre, const torch::Tensor& size,
                      const torch::Tensor& heading) {
  const auto options = centre.options();
  const torch::Tensor sign_l = torch::tensor({1.f, 1.f, -1.f, -1.f, 1.f, 1.f, -1.f, -1.f}, options);
  const torch::Tensor sign_w = torch::tensor({1.f, -1.f, -1.f, 1.f, 1.f, -1.f, -1.f, 1.f}, options);
  const torch::Tensor sign_h = torch::tensor({1.f, 1.f, 1.f, 1.f, -1.f, -1.f, -1.f, -1.f}, options);
  const torch::Tensor half = size / 2;
  const torch::Tensor l = half.select(1, 2).unsqueeze(1) * sign_l;
  const torch::Tensor w = half.select(1, 1).unsqueeze(1) * sign_w;
  const torch::Tensor h = half.select(1, 0).unsqueeze(1) * sign_h;
  const torch::Tensor c = heading.cos().unsqueeze(1), s = heading.sin().unsqueeze(1);
  return torch::stack({c * l + s * w, h, -s * l + c * w}, 2) + centre.unsqueeze(1);
}

}  // namespace

FrustumPointNetImpl::FrustumPointNetImpl(const std::array<float, 3>& mean_size)
    : mean_size_(torch::tensor({mean_size[0], mean_size[1], mean_size[2]})) {
  segment_points_ = register_module("segment_points", PointLayers({4, 64, 64}));
  segment_global_ = register_module("segment_global", PointLayers({64, 128, 256}));
  segment_head_ = register_module("segment_head", PointLayers({64 + 256, 128, 64}));
  segment_head_->push_back(nn::Linear(64, 2));
  tnet_points_ = register_module("tnet_points", PointLayers({3, 64, 128}));
  tnet_head_ = register_module("tnet_head", Head({128 + 1, 128, 3}));
  box_points_ = register_module("box_points", PointLayers({3, 64, 128, 256}));
  box_head_ = register_module("box_head", Head({256 + 1, 256, 128, 3 + 2 * kHeadingBins + 3}));
}

FrustumPrediction FrustumPointNetImpl::forward(const torch::Tensor& points,
                                               const torch::Tensor& depth) {
  const int64_t batch = points.size(0), count = points.size(1);
  FrustumPrediction prediction;
  const torch::Tensor scaled_depth = (depth / 20.0).view({-1, 1});
  // Clutter far behind an object would otherwise dwarf it.
  const torch::Tensor held = points.clamp(-15.0, 15.0);
  const torch::Tensor input =
      torch::cat({held, scaled_depth.unsqueeze(1).expand({batch, count, 1})}, 2);
  const torch::Tensor local = PerPoint(segment_points_, input);
  const torch::Tensor global = std::get<0>(PerPoint(segment_global_, local).max(1));
  prediction.mask_logits = PerPoint(
      segment_head_, torch::cat({local, global.unsqueeze(1).expand({batch, count, -1})}, 2));

  // The mask is a decision, not a gradient's path. Where nothing was found, everything counts.
  torch::Tensor mask = prediction.mask_logits.select(2, 1) > prediction.mask_logits.select(2, 0);
  mask = mask | (mask.sum(1, /*keepdim=*/true) == 0);
  const torch::Tensor weight = mask.to(torch::kFloat32).unsqueeze(2);
  const torch::Tensor mean = (held * weight).sum(1) / weight.sum(1);

  const torch::Tensor from_mean = held - mean.unsqueeze(1);
  const torch::Tensor shift = tnet_head_->forward(
      torch::cat({MaskedMax(PerPoint(tnet_points_, from_mean), mask), scaled_depth}, 1));
  prediction.first_centre = mean + shift;

  const torch::Tensor from_centre = from_mean - shift.unsqueeze(1);
  const torch::Tensor box = box_head_->forward(
      torch::cat({MaskedMax(PerPoint(box_points_, from_centre), mask), scaled_depth}, 1));
  prediction.centre = prediction.first_centre + box.narrow(1, 0, 3);
  prediction.heading_logits = box.narrow(1, 3, kHeadingBins);
  prediction.heading_residuals = box.narrow(1, 3 + kHeadingBins, kHeadingBins) * (kBinWidth / 2);
  prediction.size_residual = box.narrow(1, 3 + 2 * kHeadingBins, 3);
  return prediction;
}

torch::Tensor FrustumPointNetImpl::Size(const FrustumPrediction& prediction) const {
  return mean_size_.to(prediction.size_residual.device()) *
         prediction.size_residual.clamp(-1, 1).exp();
}

torch::Tensor FrustumPointNetImpl::Heading(const FrustumPrediction& prediction) const {
  const torch::Tensor bin = prediction.heading_logits.argmax(1, /*keepdim=*/true);
  const torch::Tensor residual = prediction.heading_residuals.gather(1, bin).squeeze(1);
  return bin.squeeze(1).to(torch::kFloat32) * kBinWidth + residual;
}

torch::Tensor FrustumPointNetImpl::Loss(const FrustumPrediction& prediction,
                                        const FrustumTruth& truth) const {
  const torch::Tensor segmentation =
      torch::cross_entropy_loss(prediction.mask_logits.reshape({-1, 2}), truth.mask.reshape({-1}));
  const torch::Tensor first_centre = torch::smooth_l1_loss(prediction.first_centre, truth.centre);
  const torch::Tensor centre = torch::smooth_l1_loss(prediction.centre, truth.centre);

  // Bin i is centred on i * kBinWidth.
  const torch::Tensor heading = torch::remainder(truth.heading, 2 * kPi);
  const torch::Tensor bin =
      torch::remainder(torch::floor(heading / kBinWidth + 0.5), kHeadingBins).to(torch::kInt64);
  torch::Tensor off = heading - bin.to(torch::kFloat32) * kBinWidth;
  off = torch::where(off > kPi, off - 2 * kPi, off);
  const torch::Tensor residual =
      prediction.heading_residuals.gather(1, bin.unsqueeze(1)).squeeze(1);
  const torch::Tensor heading_class = torch::cross_entropy_loss(prediction.heading_logits, bin);
  const torch::Tensor heading_residual =
      torch::smooth_l1_loss(residual / (kBinWidth / 2), off / (kBinWidth / 2));

  const torch::Tensor log_size = (truth.size / mean_size_.to(truth.size.device())).log();
  const torch::Tensor size = torch::smooth_l1_loss(prediction.size_residual * 5, log_size * 5);

  const torch::Tensor heading_of_bin = bin.to(torch::kFloat32) * kBinWidth + residual;
  const torch::Tensor predicted = Corners(prediction.centre, Size(prediction), heading_of_bin);
  const torch::Tensor expected = Corners(truth.centre, truth.size, truth.heading);
  const torch::Tensor corners = (predicted - expected).norm(2, 2).mean();
  return segmentation + first_centre + 2 * centre + 0.2 * heading_class + heading_residual + size +
         corners;
}

}  // namespace backfire::detection
