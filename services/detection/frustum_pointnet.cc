#include "services/detection/frustum_pointnet.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace backfire::detection {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

constexpr int64_t kBoxOutputs = 3 + 2 * kHeadingBins + 4 * kSizeClusterCount;

int64_t Scaled(int64_t channels, double width) {
  return std::max<int64_t>(4, std::lround(static_cast<double>(channels) * width));
}

// A layer that sees every point by itself: x is [points, in], so that its 1x1 convolution is one
// matrix product.
Tensor PerPoint(const nn::Conv1d& layer, const Tensor& x) {
  return torch::linear(x, layer->weight.squeeze(2), layer->bias);
}

// [B * N, C] as the published code has it, [B, C, N].
void Record(LayerTrace* trace, const char* name, const Tensor& x, int64_t batch) {
  if (trace != nullptr) (*trace)[name] = x.view({batch, -1, x.size(1)}).transpose(1, 2);
}

// Maximum over the points of each frustum, [B * N, C] -> [B, C], and who has it: one pass, rows in
// memory's order. LibTorch's own reduction over a middle dimension goes down the columns.
struct MaximumOverPoints : torch::autograd::Function<MaximumOverPoints> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, int64_t batch) {
    const Tensor values = x.contiguous();
    const int64_t channels = values.size(1), count = values.size(0) / batch;
    Tensor maximum = torch::empty({batch, channels}, values.options());
    Tensor argument = torch::zeros({batch, channels}, torch::kInt);
    const float* in = values.data_ptr<float>();
    for (int64_t b = 0; b < batch; ++b) {
      float* best = maximum.data_ptr<float>() + b * channels;
      int* at = argument.data_ptr<int>() + b * channels;
      const float* row = in + b * count * channels;
      std::copy(row, row + channels, best);
      for (int64_t n = 1; n < count; ++n) {
        row += channels;
        for (int64_t c = 0; c < channels; ++c) {
          const bool larger = row[c] > best[c];
          best[c] = larger ? row[c] : best[c];
          at[c] = larger ? static_cast<int>(n) : at[c];
        }
      }
    }
    context->saved_data["argument"] = argument;
    context->saved_data["count"] = count;
    return maximum;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const Tensor gradient = gradients[0].contiguous();
    const Tensor argument = context->saved_data["argument"].toTensor();
    const int64_t count = context->saved_data["count"].toInt();
    const int64_t batch = gradient.size(0), channels = gradient.size(1);
    Tensor result = torch::zeros({batch * count, channels}, gradient.options());
    float* out = result.data_ptr<float>();
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t n = argument.data_ptr<int>()[b * channels + c];
        out[(b * count + n) * channels + c] = gradient.data_ptr<float>()[b * channels + c];
      }
    }
    return {result, Tensor()};
  }
};

Tensor MaxOverPoints(const Tensor& x, int64_t batch) {
  if (x.is_cpu() && x.scalar_type() == torch::kFloat32) return MaximumOverPoints::apply(x, batch);
  return std::get<0>(x.view({batch, -1, x.size(1)}).max(1));
}

Tensor Dropped(const Tensor& x, double dropout, Random& random) {
  Tensor kept = torch::empty(x.sizes(), torch::kFloat32);
  const auto scale = static_cast<float>(1 / (1 - dropout));
  float* values = kept.data_ptr<float>();
  for (int64_t i = 0; i < kept.numel(); ++i) values[i] = random.Uniform() < dropout ? 0 : scale;
  return x * kept.to(x.device());
}

// Which points of each frustum become the object's, [B, count]: where the mask has too few, again
// and again. In order, or at random.
Tensor DrawObjectPoints(const Tensor& mask, int64_t count, Random* random) {
  const Tensor on_cpu = mask.to(torch::kCPU).contiguous();
  Tensor chosen = torch::zeros({mask.size(0), count}, torch::kInt64);
  std::vector<int64_t> members;
  for (int64_t b = 0; b < mask.size(0); ++b) {
    members.clear();
    const bool* row = on_cpu.data_ptr<bool>() + b * mask.size(1);
    for (int64_t n = 0; n < mask.size(1); ++n) {
      if (row[n]) members.push_back(n);
    }
    if (members.empty()) continue;
    const auto size = static_cast<int64_t>(members.size());
    int64_t* out = chosen.data_ptr<int64_t>() + b * count;
    for (int64_t j = 0; j < count; ++j) {
      if (random != nullptr && j < size) {
        std::swap(members[static_cast<size_t>(j)],
                  members[static_cast<size_t>(j + random->Below(size - j))]);
      }
      out[j] = members[static_cast<size_t>(j % size)];
    }
  }
  return chosen.to(mask.device());
}

Tensor Huber(const Tensor& error, double delta) {
  const Tensor absolute = error.abs();
  const Tensor inner = absolute.clamp_max(delta);
  return 0.5 * inner.square() + delta * (absolute - inner);
}

// Corners [B, 8, 3] of boxes; size is length, width, height.
Tensor Corners(const Tensor& center, const Tensor& heading, const Tensor& size) {
  const auto options = center.options();
  const Tensor sign_l = torch::tensor({1.f, 1.f, -1.f, -1.f, 1.f, 1.f, -1.f, -1.f}, options);
  const Tensor sign_w = torch::tensor({1.f, -1.f, -1.f, 1.f, 1.f, -1.f, -1.f, 1.f}, options);
  const Tensor sign_h = torch::tensor({1.f, 1.f, 1.f, 1.f, -1.f, -1.f, -1.f, -1.f}, options);
  const Tensor half = size / 2;
  const Tensor l = half.select(1, 0).unsqueeze(1) * sign_l;
  const Tensor w = half.select(1, 1).unsqueeze(1) * sign_w;
  const Tensor h = half.select(1, 2).unsqueeze(1) * sign_h;
  const Tensor c = heading.cos().unsqueeze(1), s = heading.sin().unsqueeze(1);
  return torch::stack({c * l + s * w, h, -s * l + c * w}, 2) + center.unsqueeze(1);
}

constexpr double kPi = 3.14159265358979323846;
constexpr double kBinWidth = 2 * kPi / kHeadingBins;

}  // namespace

std::pair<int64_t, double> HeadingBin(double heading) {
  double angle = std::fmod(heading, 2 * kPi);
  if (angle < 0) angle += 2 * kPi;
  const double shifted = std::fmod(angle + kBinWidth / 2, 2 * kPi);
  const auto bin =
      std::min<int64_t>(kHeadingBins - 1, static_cast<int64_t>(std::floor(shifted / kBinWidth)));
  return {bin, shifted - (static_cast<double>(bin) * kBinWidth + kBinWidth / 2)};
}

static Tensor FrustumMeanSizes() {
  std::vector<float> sizes;
  for (const SizeCluster& cluster : kSizeClusters) {
    sizes.insert(sizes.end(), {cluster.length, cluster.width, cluster.height});
  }
  return torch::tensor(sizes).view({kSizeClusterCount, 3});
}

FrustumLoss ComputeFrustumLoss(const FrustumPrediction& prediction, const FrustumTruth& truth,
                               const FrustumLossOptions& options) {
  const auto mean = [&truth](const Tensor& per_frustum) {
    if (!truth.weight.defined()) return per_frustum.mean();
    return (per_frustum * truth.weight).mean();
  };
  const auto cross_entropy = [](const Tensor& scores, const Tensor& label) {
    return torch::cross_entropy_loss(scores, label, {}, at::Reduction::None);
  };
  FrustumLoss loss;
  loss.mask =
      torch::cross_entropy_loss(prediction.logits.reshape({-1, 2}), truth.mask.reshape({-1}));
  loss.center = mean(Huber((prediction.center - truth.center).norm(2, 1), 2));
  const Tensor& stage1_target = options.stage1_from_label ? truth.center : prediction.center;
  loss.stage1_center = mean(Huber((prediction.stage1_center - stage1_target).norm(2, 1), 1));

  loss.heading_class = mean(cross_entropy(prediction.heading_scores, truth.heading_bin));
  const Tensor heading_residual =
      prediction.heading_residual.gather(1, truth.heading_bin.unsqueeze(1)).squeeze(1);
  loss.heading_residual =
      20 * mean(Huber(heading_residual - truth.heading_residual / (kBinWidth / 2), 1));

  loss.size_class = mean(cross_entropy(prediction.size_scores, truth.size_cluster));
  const Tensor means = FrustumMeanSizes().to(truth.center.device()).index({truth.size_cluster});
  const Tensor size_residual =
      prediction.size_residual.gather(1, truth.size_cluster.view({-1, 1, 1}).expand({-1, 1, 3}))
          .squeeze(1);
  loss.size_residual =
      20 * mean(Huber((truth.size_residual / means - size_residual).norm(2, 1), 1));

  const Tensor bin_angle = truth.heading_bin.to(truth.center.scalar_type()) * kBinWidth;
  const double residuals = options.doubled_size_residual ? 2 : 1;
  const Tensor predicted =
      Corners(prediction.center, bin_angle + heading_residual * (kBinWidth / 2),
              means * (1 + residuals * size_residual));
  const Tensor heading = bin_angle + truth.heading_residual;
  const Tensor size = means + truth.size_residual;
  // Which end is the front is the heading's business.
  const Tensor distance =
      torch::min((predicted - Corners(truth.center, heading, size)).norm(2, 2),
                 (predicted - Corners(truth.center, heading + kPi, size)).norm(2, 2));
  loss.corners = 10 * mean(Huber(distance, 1).mean(1));
  loss.total = loss.mask + loss.center + loss.heading_class + loss.size_class +
               loss.heading_residual + loss.size_residual + loss.stage1_center + loss.corners;
  return loss;
}

InstanceSegmentationImpl::InstanceSegmentationImpl(const FrustumPointNetOptions& options)
    : options_(options) {
  const auto conv = [&](const char* name, int64_t in, int64_t out) {
    return register_module(name, nn::Conv1d(in, out, 1));
  };
  const auto norm = [&](const char* name, int64_t channels) {
    return register_module(name, nn::BatchNorm1d(channels));
  };
  const auto c = [&](int64_t channels) { return Scaled(channels, options.width); };
  conv1 = conv("conv1", kFrustumChannels, c(64));
  conv2 = conv("conv2", c(64), c(64));
  conv3 = conv("conv3", c(64), c(64));
  conv4 = conv("conv4", c(64), c(128));
  conv5 = conv("conv5", c(128), c(1024));
  bn1 = norm("bn1", c(64));
  bn2 = norm("bn2", c(64));
  bn3 = norm("bn3", c(64));
  bn4 = norm("bn4", c(128));
  bn5 = norm("bn5", c(1024));
  dconv1 = conv("dconv1", c(64) + c(1024) + kFrustumClasses, c(512));
  dconv2 = conv("dconv2", c(512), c(256));
  dconv3 = conv("dconv3", c(256), c(128));
  dconv4 = conv("dconv4", c(128), c(128));
  dconv5 = conv("dconv5", c(128), 2);
  dbn1 = norm("dbn1", c(512));
  dbn2 = norm("dbn2", c(256));
  dbn3 = norm("dbn3", c(128));
  dbn4 = norm("dbn4", c(128));
}

Tensor InstanceSegmentationImpl::forward(const Tensor& points, const Tensor& one_hot,
                                         Random* random, LayerTrace* trace) {
  const int64_t batch = points.size(0);
  const Tensor y1 = bn1->forward(PerPoint(conv1, points.reshape({-1, kFrustumChannels})));
  Record(trace, "seg.bn1", y1, batch);
  const Tensor y2 = bn2->forward(PerPoint(conv2, y1.relu()));
  Record(trace, "seg.bn2", y2, batch);
  const Tensor x2 = y2.relu();
  const Tensor x3 = bn3->forward(PerPoint(conv3, x2)).relu();
  const Tensor x4 = bn4->forward(PerPoint(conv4, x3)).relu();
  const Tensor y5 = bn5->forward(PerPoint(conv5, x4));
  Record(trace, "seg.bn5", y5, batch);
  const Tensor global = torch::cat({MaxOverPoints(y5.relu(), batch), one_hot}, 1);

  // dconv1 of [point features | global features | class]: what all points share is computed once.
  const Tensor& local = options_.variant == FrustumVariant::kPort ? x2 : x3;
  const Tensor weight = dconv1->weight.squeeze(2);
  const int64_t own = local.size(1);
  const Tensor shared =
      torch::linear(global, weight.narrow(1, own, weight.size(1) - own), dconv1->bias);
  const Tensor mixed =
      (torch::linear(local, weight.narrow(1, 0, own)).view({batch, -1, shared.size(1)}) +
       shared.unsqueeze(1))
          .view({-1, shared.size(1)});
  const Tensor z1 = dbn1->forward(mixed);
  Record(trace, "seg.dbn1", z1, batch);
  Tensor x = dbn2->forward(PerPoint(dconv2, z1.relu())).relu();
  x = dbn3->forward(PerPoint(dconv3, x)).relu();
  x = dbn4->forward(PerPoint(dconv4, x)).relu();
  if (is_training() && random != nullptr && options_.dropout > 0) {
    x = Dropped(x, options_.dropout, *random);
  }
  return PerPoint(dconv5, x).view({batch, -1, 2});
}

CenterTNetImpl::CenterTNetImpl(const FrustumPointNetOptions& options) {
  const auto c = [&](int64_t channels) { return Scaled(channels, options.width); };
  conv1 = register_module("conv1", nn::Conv1d(3, c(128), 1));
  conv2 = register_module("conv2", nn::Conv1d(c(128), c(128), 1));
  conv3 = register_module("conv3", nn::Conv1d(c(128), c(256), 1));
  fc1 = register_module("fc1", nn::Linear(c(256) + kFrustumClasses, c(256)));
  fc2 = register_module("fc2", nn::Linear(c(256), c(128)));
  fc3 = register_module("fc3", nn::Linear(c(128), 3));
  bn1 = register_module("bn1", nn::BatchNorm1d(c(128)));
  bn2 = register_module("bn2", nn::BatchNorm1d(c(128)));
  bn3 = register_module("bn3", nn::BatchNorm1d(c(256)));
  fcbn1 = register_module("fcbn1", nn::BatchNorm1d(c(256)));
  fcbn2 = register_module("fcbn2", nn::BatchNorm1d(c(128)));
}

Tensor CenterTNetImpl::forward(const Tensor& points, const Tensor& one_hot, LayerTrace* trace) {
  const int64_t batch = points.size(0);
  Tensor x = bn1->forward(PerPoint(conv1, points.reshape({-1, 3}))).relu();
  x = bn2->forward(PerPoint(conv2, x)).relu();
  x = bn3->forward(PerPoint(conv3, x));
  Record(trace, "stn.bn3", x, batch);
  x = torch::cat({MaxOverPoints(x.relu(), batch), one_hot}, 1);
  x = fcbn1->forward(fc1->forward(x)).relu();
  x = fcbn2->forward(fc2->forward(x)).relu();
  return fc3->forward(x);
}

BoxEstimationImpl::BoxEstimationImpl(const FrustumPointNetOptions& options) {
  const auto c = [&](int64_t channels) { return Scaled(channels, options.width); };
  conv1 = register_module("conv1", nn::Conv1d(3, c(128), 1));
  conv2 = register_module("conv2", nn::Conv1d(c(128), c(128), 1));
  conv3 = register_module("conv3", nn::Conv1d(c(128), c(256), 1));
  conv4 = register_module("conv4", nn::Conv1d(c(256), c(512), 1));
  bn1 = register_module("bn1", nn::BatchNorm1d(c(128)));
  bn2 = register_module("bn2", nn::BatchNorm1d(c(128)));
  bn3 = register_module("bn3", nn::BatchNorm1d(c(256)));
  bn4 = register_module("bn4", nn::BatchNorm1d(c(512)));
  fc1 = register_module("fc1", nn::Linear(c(512) + kFrustumClasses, c(512)));
  fc2 = register_module("fc2", nn::Linear(c(512), c(256)));
  fc3 = register_module("fc3", nn::Linear(c(256), kBoxOutputs));
  fcbn1 = register_module("fcbn1", nn::BatchNorm1d(c(512)));
  fcbn2 = register_module("fcbn2", nn::BatchNorm1d(c(256)));
}

Tensor BoxEstimationImpl::forward(const Tensor& points, const Tensor& one_hot, LayerTrace* trace) {
  const int64_t batch = points.size(0);
  Tensor x = bn1->forward(PerPoint(conv1, points.reshape({-1, 3}))).relu();
  x = bn2->forward(PerPoint(conv2, x)).relu();
  x = bn3->forward(PerPoint(conv3, x)).relu();
  x = bn4->forward(PerPoint(conv4, x));
  Record(trace, "est.bn4", x, batch);
  x = torch::cat({MaxOverPoints(x.relu(), batch), one_hot}, 1);
  x = fcbn1->forward(fc1->forward(x)).relu();
  x = fcbn2->forward(fc2->forward(x)).relu();
  return fc3->forward(x);
}

FrustumPointNetImpl::FrustumPointNetImpl(const FrustumPointNetOptions& options)
    : options_(options) {
  segmentation_ = register_module("InsSeg", InstanceSegmentation(options));
  t_net_ = register_module("STN", CenterTNet(options));
  box_net_ = register_module("est", BoxEstimation(options));
}

FrustumPrediction FrustumPointNetImpl::forward(const Tensor& points, const Tensor& one_hot,
                                               Random* random, LayerTrace* trace) {
  const int64_t batch = points.size(0);
  FrustumPrediction p;
  p.logits = segmentation_->forward(points, one_hot, random, trace);
  // The mask is a decision: no gradient goes through it.
  const Tensor logits = p.logits.detach();
  p.mask = logits.select(2, 0) < logits.select(2, 1);
  const Tensor xyz = points.narrow(2, 0, 3);
  const Tensor weight = p.mask.to(xyz.scalar_type()).unsqueeze(2);
  const Tensor count = weight.sum(1);  // [B, 1]
  const Tensor mean = (xyz * weight).sum(1) / count.clamp_min(1);
  const Tensor chosen = DrawObjectPoints(p.mask, options_.object_points, random);
  const Tensor drawn = (xyz - mean.unsqueeze(1)).gather(1, chosen.unsqueeze(2).expand({-1, -1, 3}));
  p.object_points = drawn * (count > 0).to(xyz.scalar_type()).unsqueeze(2);

  p.center_delta = t_net_->forward(p.object_points, one_hot, trace);
  p.stage1_center = p.center_delta + mean;
  p.box = box_net_->forward(p.object_points - p.center_delta.unsqueeze(1), one_hot, trace);
  p.center = p.box.narrow(1, 0, 3) + p.stage1_center;
  p.heading_scores = p.box.narrow(1, 3, kHeadingBins);
  p.heading_residual = p.box.narrow(1, 3 + kHeadingBins, kHeadingBins);
  p.size_scores = p.box.narrow(1, 3 + 2 * kHeadingBins, kSizeClusterCount);
  p.size_residual = p.box.narrow(1, 3 + 2 * kHeadingBins + kSizeClusterCount, 3 * kSizeClusterCount)
                        .reshape({batch, kSizeClusterCount, 3});
  return p;
}

}  // namespace backfire::detection
