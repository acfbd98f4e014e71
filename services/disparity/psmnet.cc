#include "services/disparity/psmnet.h"

#include <torch/types.h>

#include <string>
#include <utility>

#include "services/disparity/soft_argmin.h"

namespace backfire::disparity {
namespace {

ConvolutionOptions Conv3d(int64_t in, int64_t out, int64_t stride = 1) {
  ConvolutionOptions options;
  options.dimensions = 3;
  options.in = in;
  options.out = out;
  options.stride = stride;
  return options;
}

ConvolutionOptions Doubling(int64_t in, int64_t out) {
  ConvolutionOptions options = Conv3d(in, out, 2);
  options.doubling = true;
  return options;
}

void Keep(PsmNetTrace* trace, const std::string& name, const torch::Tensor& value) {
  if (trace != nullptr) (*trace)[name] = value.clone();
}

}  // namespace

HourglassImpl::HourglassImpl(int64_t channels, Random& random) {
  const int64_t c = channels;
  conv1_ = register_module("conv1", Layers());
  conv1_->Add("0", Conv3d(c, 2 * c, 2), true, random);
  conv2_ = register_module("conv2", ConvBn(Conv3d(2 * c, 2 * c), random));
  conv3_ = register_module("conv3", Layers());
  conv3_->Add("0", Conv3d(2 * c, 2 * c, 2), true, random);
  conv4_ = register_module("conv4", Layers());
  conv4_->Add("0", Conv3d(2 * c, 2 * c), true, random);
  conv5_ = register_module("conv5", ConvBn(Doubling(2 * c, 2 * c), random));
  conv6_ = register_module("conv6", ConvBn(Doubling(2 * c, c), random));
}

HourglassImpl::Result HourglassImpl::forward(const torch::Tensor& x, const torch::Tensor& pre,
                                             const torch::Tensor& post) {
  Result result;
  result.pre = conv2_->forward(conv1_->forward(x), /*relu=*/true, post);
  const torch::Tensor bottom = conv4_->forward(conv3_->forward(result.pre));
  result.post = conv5_->forward(bottom, /*relu=*/true, pre.defined() ? pre : result.pre);
  result.out = conv6_->forward(result.post, /*relu=*/false);
  return result;
}

PsmNetImpl::PsmNetImpl(const PsmNetOptions& options, int64_t seed) : options_(options) {
  Random random(static_cast<uint64_t>(seed));
  const int64_t c = options.volume_channels;
  feature_extraction_ = register_module("feature_extraction", FeatureExtraction(options, random));
  dres0_ = register_module("dres0", Layers());
  dres0_->Add("0", Conv3d(2 * options.features, c), true, random)
      .Add("2", Conv3d(c, c), true, random);
  const auto add_pair = [&](const std::string& name) {
    Layers pair = register_module(name, Layers());
    pair->Add("0", Conv3d(c, c), true, random).Add("2", Conv3d(c, c), false, random);
    return pair;
  };
  const auto add_head = [&](const std::string& name) {
    Layers head = register_module(name, Layers());
    head->Add("0", Conv3d(c, c), true, random).AddConvolution("2", Conv3d(c, 1), random);
    heads_.push_back(head);
  };
  dres1_ = add_pair("dres1");
  if (options.hourglasses == 0) {
    for (const char* name : {"dres2", "dres3", "dres4"}) pairs_.push_back(add_pair(name));
    add_head("classify");
    return;
  }
  for (int64_t i = 0; i < options.hourglasses; ++i) {
    hourglasses_.push_back(register_module("dres" + std::to_string(i + 2), Hourglass(c, random)));
  }
  for (int64_t i = 0; i < options.hourglasses; ++i) add_head("classif" + std::to_string(i + 1));
}

std::vector<torch::Tensor> PsmNetImpl::BasicScores(torch::Tensor volume, PsmNetTrace* trace) {
  torch::Tensor cost = dres0_->forward(std::move(volume));
  Keep(trace, "dres0", cost);
  std::vector<Layers> pairs = pairs_;
  pairs.insert(pairs.begin(), dres1_);
  for (size_t i = 0; i < pairs.size(); ++i) {
    torch::Tensor residual = pairs[i]->forward(cost);
    Keep(trace, "dres" + std::to_string(i + 1), residual);
    cost = residual.add_(cost);
  }
  const torch::Tensor score = heads_[0]->forward(std::move(cost));
  Keep(trace, "classify", score);
  return {score.squeeze(1)};
}

std::vector<torch::Tensor> PsmNetImpl::Scores(torch::Tensor volume, PsmNetTrace* trace) {
  torch::Tensor base = dres0_->forward(std::move(volume));
  Keep(trace, "dres0", base);
  torch::Tensor residual = dres1_->forward(base);
  Keep(trace, "dres1", residual);
  base = residual.add_(base);

  std::vector<torch::Tensor> scores;
  torch::Tensor out = base, first_pre, post, total;
  for (size_t i = 0; i < hourglasses_.size(); ++i) {
    const std::string number = std::to_string(i + 1), name = "dres" + std::to_string(i + 2);
    HourglassImpl::Result result = hourglasses_[i]->forward(out, first_pre, post);
    Keep(trace, name + ".out", result.out);
    Keep(trace, name + ".pre", result.pre);
    Keep(trace, name + ".post", result.post);
    // The authors' third hourglass gets the first one's `pre`, not the second's.
    if (i == 0) first_pre = result.pre;
    post = result.post;
    out = result.out.add_(base);
    torch::Tensor score = heads_[i]->forward(out);
    Keep(trace, "classif" + number, score);
    total = total.defined() ? score.add_(total) : score;
    Keep(trace, "cost" + number, total);
    scores.push_back(total.squeeze(1));
  }
  return scores;
}

std::vector<torch::Tensor> PsmNetImpl::forward(const torch::Tensor& left,
                                               const torch::Tensor& right, PsmNetTrace* trace) {
  for (const int64_t dimension : {2, 3}) {
    TORCH_CHECK(left.size(dimension) % options_.multiple() == 0,
                "image sides must be multiples of ", options_.multiple(), ": got ", left.sizes());
  }
  const auto features = [&](const torch::Tensor& images, const char* prefix) {
    return feature_extraction_->forward(
        options_.contrast_window == 0 ? images : LocalContrast(images, options_.contrast_window),
        prefix, trace);
  };
  torch::Tensor left_features, right_features;
  // In evaluation one batch gives the same as two, sooner.
  if (options_.joint_batch || (!is_training() && trace == nullptr)) {
    const auto halves = features(torch::cat({left, right}, 0), "both").chunk(2, 0);
    left_features = halves[0];
    right_features = halves[1];
  } else {
    left_features = features(left, "left");
    right_features = features(right, "right");
  }
  torch::Tensor volume =
      CostVolume(left_features, right_features, options_.planes(), options_.volume);
  Keep(trace, "cost_volume", volume);
  std::vector<torch::Tensor> scores = hourglasses_.empty() ? BasicScores(std::move(volume), trace)
                                                           : Scores(std::move(volume), trace);
  if (!is_training()) scores = {scores.back()};
  std::vector<torch::Tensor> disparities;
  for (const torch::Tensor& score : scores) {
    disparities.push_back(SoftArgmin(score, options_.max_disparity, left.size(2), left.size(3),
                                     options_.align_corners));
  }
  if (trace != nullptr && !is_training()) {
    Keep(trace, "cost_up",
         UpsampleScores(scores.back(), options_.max_disparity, left.size(2), left.size(3),
                        options_.align_corners)
             .unsqueeze(1));
    Keep(trace, "pred", disparities.back().unsqueeze(1));
  }
  return disparities;
}

torch::Tensor Normalise(const torch::Tensor& images) {
  const auto options = torch::TensorOptions().device(images.device());
  const torch::Tensor scale =
      torch::tensor({1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f)}, options);
  const torch::Tensor shift =
      torch::tensor({-0.485f / 0.229f, -0.456f / 0.224f, -0.406f / 0.225f}, options);
  return images.permute({0, 3, 1, 2})
      .to(torch::kFloat32)
      .contiguous()
      .mul_(scale.view({1, 3, 1, 1}))
      .add_(shift.view({1, 3, 1, 1}));
}

torch::Tensor LocalContrast(const torch::Tensor& images, int64_t window) {
  // About three of 255 levels: below, contrast is noise.
  constexpr double kLeastDeviation = 0.05;
  const auto mean = [&](const torch::Tensor& x) {
    // Rows, then columns: the mean over a square is the mean of means.
    const auto along = [&](const torch::Tensor& y, int64_t height, int64_t width) {
      return at::avg_pool2d(y, {height, width}, {1, 1}, {height / 2, width / 2},
                            /*ceil_mode=*/false, /*count_include_pad=*/false);
    };
    return along(along(x, 1, window), window, 1);
  };
  const torch::Tensor centred = images - mean(images);
  const torch::Tensor variance = mean((centred * centred).mean(1, /*keepdim=*/true));
  return centred / (variance + kLeastDeviation * kLeastDeviation).sqrt();
}

std::vector<double> OutputWeights(size_t outputs) {
  static const std::vector<double> kPublished = {0.5, 0.7, 1.0};
  if (outputs <= kPublished.size()) {
    return {kPublished.end() - static_cast<std::ptrdiff_t>(outputs), kPublished.end()};
  }
  std::vector<double> weights(outputs - kPublished.size(), kPublished.front());
  weights.insert(weights.end(), kPublished.begin(), kPublished.end());
  return weights;
}

}  // namespace backfire::disparity
