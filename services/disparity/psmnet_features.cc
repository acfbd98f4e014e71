#include "services/disparity/psmnet_features.h"

#include <torch/types.h>

#include <algorithm>

namespace backfire::disparity {
namespace {

// A module that only gives its children's names a prefix.
class Container : public torch::nn::Module {};

torch::Tensor Resize(const torch::Tensor& x, int64_t height, int64_t width, bool align_corners) {
  return at::upsample_bilinear2d(x, {height, width}, align_corners);
}

}  // namespace

FeatureExtractionImpl::FeatureExtractionImpl(const PsmNetOptions& options, Random& random)
    : pyramid_(options.pyramid), align_corners_(options.align_corners) {
  const int64_t c = options.channels, deep = options.deep_channels;
  ConvolutionOptions plain;
  plain.in = plain.out = c;
  ConvolutionOptions first = plain;
  first.in = 3;
  first.stride = 2;
  firstconv_ = register_module("firstconv", Layers());
  firstconv_->Add("0", first, true, random)
      .Add("2", plain, true, random)
      .Add("4", plain, true, random);

  const int64_t outputs[] = {c, 2 * c, deep, deep}, strides[] = {1, 2, 1, 1},
                dilations[] = {1, 1, 1, 2};
  int64_t in = c;
  for (size_t i = 0; i < 4; ++i) {
    const auto layer =
        register_module("layer" + std::to_string(i + 1), std::make_shared<Container>());
    std::vector<Block>& blocks = layers_.emplace_back();
    for (int64_t b = 0; b < options.blocks[i]; ++b) {
      const auto module = layer->register_module(std::to_string(b), std::make_shared<Container>());
      ConvolutionOptions conv1;
      conv1.in = in;
      conv1.out = outputs[i];
      conv1.stride = b == 0 ? strides[i] : 1;
      conv1.dilation = dilations[i];
      ConvolutionOptions conv2 = conv1;
      conv2.in = outputs[i];
      conv2.stride = 1;
      Block block;
      block.conv1 = module->register_module("conv1", Layers());
      block.conv1->Add("0", conv1, true, random);
      block.conv2 = module->register_module("conv2", ConvBn(conv2, random));
      if (conv1.stride != 1 || conv1.in != conv1.out) {
        ConvolutionOptions shortcut = conv1;
        shortcut.kernel = shortcut.dilation = 1;
        block.downsample = module->register_module("downsample", ConvBn(shortcut, random));
      }
      blocks.push_back(block);
      in = outputs[i];
    }
  }
  for (size_t i = 0; i < pyramid_.size(); ++i) {
    ConvolutionOptions branch;
    branch.in = in;
    branch.out = options.branch_channels;
    branch.kernel = 1;
    branches_.push_back(register_module("branch" + std::to_string(i + 1), Layers()));
    branches_.back()->Add("1", branch, true, random);  // 0 is the pooling.
  }
  ConvolutionOptions fusion;
  fusion.in = 2 * c + deep + static_cast<int64_t>(pyramid_.size()) * options.branch_channels;
  fusion.out = deep;
  fusion.stride = options.volume_scale / 4;
  ConvolutionOptions last;
  last.in = deep;
  last.out = options.features;
  last.kernel = 1;
  lastconv_ = register_module("lastconv", Layers());
  lastconv_->Add("0", fusion, true, random).AddConvolution("2", last, random);
}

torch::Tensor FeatureExtractionImpl::forward(const torch::Tensor& image, const std::string& prefix,
                                             PsmNetTrace* trace) {
  const auto keep = [&](const std::string& name, const torch::Tensor& value) {
    if (trace != nullptr) (*trace)[prefix + "." + name] = value.clone();
  };
  torch::Tensor x = firstconv_->forward(image);
  keep("firstconv", x);
  torch::Tensor raw;
  for (size_t i = 0; i < layers_.size(); ++i) {
    for (Block& block : layers_[i]) {
      // Unlike ResNet's, PSMNet's block has no ReLU behind the sum.
      const torch::Tensor shortcut = block.downsample ? block.downsample->forward(x, false) : x;
      x = block.conv2->forward(block.conv1->forward(x), false, shortcut);
    }
    keep("layer" + std::to_string(i + 1), x);
    if (i == 1) raw = x;
  }
  // As published: layer2, layer4, then the pyramid from the smallest window up.
  std::vector<torch::Tensor> joined(branches_.size() + 2);
  joined[0] = raw;
  joined[1] = x;
  for (size_t i = 0; i < branches_.size(); ++i) {
    const int64_t window = std::min({pyramid_[i], x.size(2), x.size(3)});
    const torch::Tensor branch =
        branches_[i]->forward(at::avg_pool2d(x, {window, window}, {window, window}));
    keep("branch" + std::to_string(i + 1), branch);
    joined[joined.size() - 1 - i] = Resize(branch, x.size(2), x.size(3), align_corners_);
  }
  x = lastconv_->forward(torch::cat(joined, 1));
  keep("lastconv", x);
  return x;
}

}  // namespace backfire::disparity
