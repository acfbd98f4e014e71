#include "services/detection/point_rcnn/point_layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace backfire::detection {
namespace {

using pointnet2::Groups;
using torch::Tensor;

// Rows of a grouped network that are worked on at a time where nothing has to be kept: what they
// become stays in the cache.
constexpr int64_t kRowsAtATime = 4096;

Tensor Normal(const std::vector<int64_t>& shape, double deviation, Random& random) {
  Tensor values = torch::empty(shape);
  auto* value = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    value[i] = static_cast<float>(deviation * random.Normal());
  }
  return values;
}

// A module of nothing but what is registered in it: a level in the names of weights.
struct LevelImpl : torch::nn::Module {};

}  // namespace

PointLayerImpl::PointLayerImpl(const PointLayerOptions& options, Random& random)
    : options_(options) {
  std::vector<int64_t> shape{options.out, options.in};
  shape.insert(shape.end(), static_cast<size_t>(options.kernel_dims), 1);
  const auto in = static_cast<double>(options.in), out = static_cast<double>(options.out);
  const double deviation = options.batch_norm ? std::sqrt(2 / in) : std::sqrt(2 / (in + out));
  auto conv = register_module("conv", std::make_shared<LevelImpl>());
  weight = conv->register_parameter("weight", Normal(shape, deviation, random));
  if (options.bias) bias = conv->register_parameter("bias", torch::zeros({options.out}));
  if (options.batch_norm) {
    auto level = register_module("bn", std::make_shared<LevelImpl>());
    norm_ = level->register_module("bn", torch::nn::BatchNorm1d(options.out));
  }
}

bool PointLayerImpl::Folds() const { return !is_training() && !torch::GradMode::is_enabled(); }

std::pair<Tensor, Tensor> PointLayerImpl::Folded() const {
  Tensor matrix = weight.view({options_.out, options_.in});
  Tensor shift = bias.defined() ? bias : torch::zeros({options_.out}, weight.options());
  if (!norm_.is_empty()) {
    const Tensor scale = norm_->weight * (norm_->running_var + norm_->options.eps()).rsqrt();
    matrix = matrix * scale.unsqueeze(1);
    shift = (shift - norm_->running_mean) * scale + norm_->bias;
  }
  return {matrix, shift};
}

Tensor PointLayerImpl::Finish(Tensor rows) {
  if (!norm_.is_empty()) rows = norm_->forward(rows);
  return options_.relu ? torch::relu(rows) : rows;
}

Tensor PointLayerImpl::forward(const Tensor& rows) {
  if (Folds()) {
    const auto [matrix, shift] = Folded();
    Tensor result = torch::addmm(shift, rows, matrix.t());
    return options_.relu ? result.relu_() : result;
  }
  const Tensor matrix = weight.view({options_.out, options_.in});
  return Finish(bias.defined() ? torch::addmm(bias, rows, matrix.t())
                               : torch::mm(rows, matrix.t()));
}

Tensor PointLayerImpl::ForwardGrouped(const Tensor& features, const Groups& groups) {
  const int64_t rest = options_.in - 3;
  if (Folds()) {
    const auto [matrix, shift] = Folded();
    const Tensor multiplied =
        rest > 0 ? torch::mm(features, matrix.narrow(1, 3, rest).t()) : Tensor();
    return pointnet2::GroupedLayer(multiplied, groups, matrix.narrow(1, 0, 3), shift);
  }
  const Tensor matrix = weight.view({options_.out, options_.in});
  Tensor rows = torch::mm(groups.offset, matrix.narrow(1, 0, 3).t());
  if (rest > 0) {
    rows =
        rows + pointnet2::Gather(torch::mm(features, matrix.narrow(1, 3, rest).t()), groups.index);
  }
  return Finish(bias.defined() ? rows + bias : rows);
}

SharedMlpImpl::SharedMlpImpl(const std::vector<int64_t>& channels, bool batch_norm,
                             Random& random) {
  for (size_t i = 0; i + 1 < channels.size(); ++i) {
    PointLayerOptions options;
    options.in = channels[i];
    options.out = channels[i + 1];
    options.batch_norm = batch_norm;
    options.bias = !batch_norm;
    layers_.push_back(register_module("layer" + std::to_string(i), PointLayer(options, random)));
  }
}

Tensor SharedMlpImpl::forward(Tensor rows) {
  for (PointLayer& layer : layers_) rows = layer->forward(rows);
  return rows;
}

Tensor SharedMlpImpl::RestOfGroups(Tensor rows, const Tensor& start) {
  for (size_t i = 1; i < layers_.size(); ++i) rows = layers_[i]->forward(rows);
  return pointnet2::GroupMax(rows, start);
}

Tensor SharedMlpImpl::ForwardGrouped(const Tensor& features, const Groups& groups) {
  const Tensor rows = layers_[0]->ForwardGrouped(features, groups);
  const int64_t count = groups.start.size(0) - 1;
  if (torch::GradMode::is_enabled() || is_training() || !rows.device().is_cpu() ||
      rows.size(0) <= kRowsAtATime) {
    return RestOfGroups(rows, groups.start);
  }
  std::vector<Tensor> parts;
  const auto* start = groups.start.data_ptr<int64_t>();
  for (int64_t first = 0; first < count;) {
    int64_t last = first + 1;
    while (last < count && start[last + 1] - start[first] <= kRowsAtATime) ++last;
    parts.push_back(RestOfGroups(rows.narrow(0, start[first], start[last] - start[first]),
                                 groups.start.narrow(0, first, last - first + 1) - start[first]));
    first = last;
  }
  return torch::cat(parts);
}

SetAbstractionImpl::SetAbstractionImpl(int64_t centres, std::vector<pointnet2::Ball> balls,
                                       const std::vector<std::vector<int64_t>>& channels,
                                       bool batch_norm, Random& random)
    : centres_(centres), balls_(std::move(balls)), batch_norm_(batch_norm) {
  auto mlps = register_module("mlps", torch::nn::ModuleList());
  for (std::vector<int64_t> sizes : channels) {
    sizes[0] += 3;  // The offset from the centre.
    mlps_.emplace_back(sizes, batch_norm, random);
    mlps->push_back(mlps_.back());
  }
}

Abstraction SetAbstractionImpl::forward(const pointnet2::Clouds& clouds, const Tensor& features,
                                        bool in_farthest_order) {
  Abstraction result;
  if (centres_ == 0) {
    Groups all;
    all.start = torch::tensor(clouds.start, torch::kLong).to(clouds.xyz.device());
    all.index = torch::arange(clouds.start.back(), all.start.options());
    all.offset = clouds.xyz;
    result.sampling.groups = {all};
  } else {
    std::vector<pointnet2::Ball> balls = balls_;
    // A repeated point changes no maximum, but it does batch norm's statistics.
    for (pointnet2::Ball& ball : balls) ball.fill_up = batch_norm_ && is_training();
    result.sampling = pointnet2::SampleAndGroup(clouds, centres_, balls, in_farthest_order);
  }
  std::vector<Tensor> parts;
  for (size_t i = 0; i < mlps_.size(); ++i) {
    parts.push_back(mlps_[i]->ForwardGrouped(features, result.sampling.groups[i]));
  }
  result.features = parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
  return result;
}

FeaturePropagationImpl::FeaturePropagationImpl(const std::vector<int64_t>& channels,
                                               Random& random) {
  mlp_ = register_module("mlp", SharedMlp(channels, /*batch_norm=*/true, random));
}

Tensor FeaturePropagationImpl::forward(const pointnet2::Neighbours& neighbours, const Tensor& known,
                                       const Tensor& skip) {
  const Tensor interpolated = pointnet2::Interpolate(known, neighbours);
  return mlp_->forward(skip.defined() ? torch::cat({interpolated, skip}, 1) : interpolated);
}

}  // namespace backfire::detection
