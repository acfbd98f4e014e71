#include "services/detection/point_rcnn/point_rcnn.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "services/detection/point_rcnn/box_coding.h"

namespace backfire::detection {
namespace {

using pointnet2::Ball;
using pointnet2::Clouds;
using torch::Tensor;

// One level of the published backbone: two balls, and a network on each.
struct Level {
  int64_t divisor;
  float radii[2];
  std::vector<int64_t> hidden[2];
};
const Level kLevels[] = {
    {4, {0.1f, 0.5f}, {{16, 16, 32}, {32, 32, 64}}},
    {16, {0.5f, 1.0f}, {{64, 64, 128}, {64, 96, 128}}},
    {64, {1.0f, 2.0f}, {{128, 196, 256}, {128, 196, 256}}},
    {256, {2.0f, 4.0f}, {{256, 256, 512}, {256, 384, 512}}},
};
const std::vector<int64_t> kPropagations[] = {{128, 128}, {256, 256}, {512, 512}, {512, 512}};
constexpr int64_t kSamples[] = {16, 32};
constexpr int64_t kHead = 128;
// The probability of an object that an untrained network starts with.
constexpr double kPrior = 0.01;
constexpr int64_t kRoiExtra = 2;  // Mask and depth.

// Channels under a multiplier: multiples of 8, at least 8.
int64_t Scaled(int64_t channels, double width) {
  if (width == 1) return channels;
  return std::max<int64_t>(8, 8 * std::llround(static_cast<double>(channels) * width / 8));
}
std::vector<int64_t> Scaled(const std::vector<int64_t>& channels, double width) {
  std::vector<int64_t> scaled;
  for (const int64_t c : channels) scaled.push_back(Scaled(c, width));
  return scaled;
}

std::vector<int64_t> Chain(int64_t first, const std::vector<int64_t>& rest) {
  std::vector<int64_t> chain{first};
  chain.insert(chain.end(), rest.begin(), rest.end());
  return chain;
}

}  // namespace

ProposalNetworkImpl::ProposalNetworkImpl(const PointRcnnOptions& options, Random& random)
    : dropout_(options.dropout) {
  auto backbone = register_module("backbone_net", torch::nn::ModuleDict());
  torch::nn::ModuleList levels, propagations;
  std::vector<int64_t> skip{0};  // Channels of each level's points; level 0 are the cloud's.
  for (const Level& level : kLevels) {
    std::vector<Ball> balls;
    std::vector<std::vector<int64_t>> channels;
    int64_t out = 0;
    for (int i = 0; i < 2; ++i) {
      balls.push_back({static_cast<float>(level.radii[i] * options.radius_scale), kSamples[i]});
      channels.push_back(Chain(skip.back(), Scaled(level.hidden[i], options.width)));
      out += channels.back().back();
    }
    levels_.emplace_back(std::max<int64_t>(1, options.points / level.divisor), balls, channels,
                         /*batch_norm=*/true, random);
    levels->push_back(levels_.back());
    skip.push_back(out);
  }
  std::vector<std::vector<int64_t>> chains(std::size(kPropagations));
  int64_t coarse = skip.back();
  for (size_t k = chains.size(); k-- > 0;) {
    chains[k] = Chain(coarse + skip[k], Scaled(kPropagations[k], options.width));
    coarse = chains[k].back();
  }
  for (const std::vector<int64_t>& chain : chains) {
    propagations_.emplace_back(chain, random);
    propagations->push_back(propagations_.back());
  }
  backbone->register_module("SA_modules", levels.ptr());
  backbone->register_module("FP_modules", propagations.ptr());

  const auto head = [&](const std::string& name, int64_t out, std::vector<PointLayer>& layers) {
    auto list = register_module(name, torch::nn::ModuleDict());
    PointLayerOptions first{coarse, Scaled(kHead, options.width)};
    first.batch_norm = true;
    first.kernel_dims = 1;
    PointLayerOptions last{first.out, out};
    last.bias = true;
    last.relu = false;
    last.kernel_dims = 1;
    layers = {PointLayer(first, random), PointLayer(last, random)};
    // 1 is the dropout, which has no weights.
    list->register_module("0", layers[0].ptr());
    list->register_module("2", layers[1].ptr());
  };
  head("rpn_cls_layer", 1, score_head_);
  head("rpn_reg_layer", kProposalCoding.columns(), regression_head_);
  const torch::NoGradGuard no_gradient;
  score_head_[1]->bias.fill_(-std::log((1 - kPrior) / kPrior));
  // Almost nothing at first: every point proposes the mean box.
  regression_head_[1]->weight.mul_(
      0.001 / std::sqrt(2.0 / static_cast<double>(Scaled(kHead, options.width) +
                                                  kProposalCoding.columns())));
}

Tensor ProposalNetworkImpl::Head(std::vector<PointLayer>& layers, const Tensor& features,
                                 Random* dropout) {
  Tensor hidden = layers[0]->forward(features);
  if (is_training() && dropout != nullptr && dropout_ > 0) {
    // Bits of our own generator: LibTorch's is one for all jobs of the process.
    Tensor kept = torch::empty(hidden.sizes());
    auto* value = kept.data_ptr<float>();
    const auto scale = static_cast<float>(1 / (1 - dropout_));
    const auto limit = static_cast<uint32_t>(dropout_ * 65536);
    for (int64_t i = 0; i < kept.numel();) {
      uint64_t bits = dropout->Bits();
      for (int k = 0; k < 4 && i < kept.numel(); ++k, ++i, bits >>= 16) {
        value[i] = (bits & 0xFFFF) < limit ? 0 : scale;
      }
    }
    hidden = hidden * kept.to(hidden.device());
  }
  return layers[1]->forward(hidden);
}

PointPredictions ProposalNetworkImpl::forward(const Clouds& clouds, Random* dropout) {
  PointPredictions result;
  std::vector<Clouds> sets{clouds};
  std::vector<Tensor> features{Tensor()};
  for (size_t i = 0; i < levels_.size(); ++i) {
    result.levels.push_back(
        levels_[i]->forward(sets.back(), features.back(), /*in_farthest_order=*/i > 0));
    sets.push_back(result.levels.back().sampling.centres);
    features.push_back(result.levels.back().features);
  }
  for (size_t k = propagations_.size(); k-- > 0;) {
    result.neighbours.push_back(pointnet2::ThreeNearest(sets[k], sets[k + 1]));
    features[k] = propagations_[k]->forward(result.neighbours.back(), features[k + 1], features[k]);
    result.propagated.push_back(features[k]);
  }
  result.features = features[0];
  result.scores = Head(score_head_, result.features, dropout).squeeze(1);
  result.regression = Head(regression_head_, result.features, dropout);
  return result;
}

RefinementNetworkImpl::RefinementNetworkImpl(const PointRcnnOptions& options, Random& random) {
  const int64_t channels = Scaled(128, options.width);
  // In the order of the published weights.
  const auto scaled = [&](std::vector<int64_t> sizes) { return Scaled(sizes, options.width); };
  auto levels = register_module("SA_modules", torch::nn::ModuleList());
  const auto add = [&](int64_t centres, std::vector<Ball> balls, std::vector<int64_t> sizes) {
    levels_.emplace_back(centres, std::move(balls),
                         std::vector<std::vector<int64_t>>{std::move(sizes)},
                         /*batch_norm=*/false, random);
    levels->push_back(levels_.back());
  };
  const auto ball = [&](double radius) {
    return std::vector<Ball>{{static_cast<float>(radius * options.radius_scale), 64}};
  };
  add(std::max<int64_t>(1, options.roi_points / 4), ball(0.2), scaled({128, 128, 128, 128}));
  add(std::max<int64_t>(1, options.roi_points / 16), ball(0.4), scaled({128, 128, 128, 256}));
  add(0, {}, scaled({256, 256, 256, 512}));

  lift_ = register_module(
      "xyz_up_layer",
      SharedMlp(std::vector<int64_t>{3 + kRoiExtra, channels, channels}, false, random));
  merge_ = register_module(
      "merge_down_layer",
      SharedMlp(
          std::vector<int64_t>{channels + Scaled(kPropagations[0].back(), options.width), channels},
          false, random));

  const auto head = [&](const std::string& name, int64_t out, std::vector<PointLayer>& layers) {
    auto list = register_module(name, torch::nn::ModuleDict());
    const std::vector<int64_t> sizes{Scaled(512, options.width), Scaled(256, options.width),
                                     Scaled(256, options.width), out};
    const char* names[] = {"0", "2", "3"};  // 1 is a dropout of nothing.
    for (size_t i = 0; i < 3; ++i) {
      PointLayerOptions layer{sizes[i], sizes[i + 1]};
      layer.bias = true;
      layer.relu = i < 2;
      layer.kernel_dims = 1;
      layers.emplace_back(layer, random);
      list->register_module(names[i], layers.back().ptr());
    }
  };
  head("cls_layer", 1, score_head_);
  head("reg_layer", kRefinementCoding.columns(), regression_head_);
  const torch::NoGradGuard no_gradient;
  const double deviation = std::sqrt(
      2.0 / static_cast<double>(Scaled(256, options.width) + kRefinementCoding.columns()));
  regression_head_[2]->weight.mul_(0.001 / deviation);
}

RoiPredictions RefinementNetworkImpl::forward(const RoiPoints& rois) {
  RoiPredictions result;
  result.lifted = lift_->forward(torch::cat({rois.clouds.xyz, rois.extra}, 1));
  result.merged = merge_->forward(torch::cat({result.lifted, rois.features}, 1));
  Clouds clouds = rois.clouds;
  Tensor features = result.merged;
  for (size_t i = 0; i < levels_.size(); ++i) {
    result.levels.push_back(levels_[i]->forward(clouds, features, /*in_farthest_order=*/i > 0));
    features = result.levels.back().features;
    clouds = result.levels.back().sampling.centres;
  }
  Tensor scores = features, regression = features;
  for (PointLayer& layer : score_head_) scores = layer->forward(scores);
  for (PointLayer& layer : regression_head_) regression = layer->forward(regression);
  result.scores = scores.squeeze(1);
  result.regression = regression;
  return result;
}

PointRcnnImpl::PointRcnnImpl(const PointRcnnOptions& network_options, uint64_t seed)
    : options(network_options) {
  Random random(seed, 0x504E4554);
  proposals = register_module("rpn", ProposalNetwork(options, random));
  refinement = register_module("rcnn_net", RefinementNetwork(options, random));
}

}  // namespace backfire::detection
