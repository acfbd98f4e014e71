#include "services/disparity/psmnet.h"

#include <torch/torch.h>

#include <algorithm>
#include <string>

namespace backfire::disparity {
namespace {

namespace nn = torch::nn;

learning::Stack ConvBn(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                       bool relu) {
  const int64_t padding = dilation > 1 ? dilation : kernel / 2;
  learning::Stack layers(nn::Conv2d(nn::Conv2dOptions(in, out, kernel)
                                        .stride(stride)
                                        .padding(padding)
                                        .dilation(dilation)
                                        .bias(false)),
                         nn::BatchNorm2d(out));
  if (relu) layers->push_back(nn::ReLU());
  return layers;
}

learning::Stack ConvBn3d(int64_t in, int64_t out, int64_t stride, bool relu) {
  learning::Stack layers(
      nn::Conv3d(nn::Conv3dOptions(in, out, 3).stride(stride).padding(1).bias(false)),
      nn::BatchNorm3d(out));
  if (relu) layers->push_back(nn::ReLU());
  return layers;
}

// Two 3x3 convolutions and a shortcut; unlike ResNet's, PSMNet's has no ReLU behind the sum.
class BasicBlockImpl : public nn::Module {
 public:
  BasicBlockImpl(int64_t in, int64_t out, int64_t stride, int64_t dilation) {
    conv1_ = register_module("conv1", ConvBn(in, out, 3, stride, dilation, true));
    conv2_ = register_module("conv2", ConvBn(out, out, 3, 1, dilation, false));
    if (stride != 1 || in != out) {
      downsample_ = register_module("downsample", ConvBn(in, out, 1, stride, 1, false));
    }
  }
  torch::Tensor forward(const torch::Tensor& x) {
    return conv2_->forward(conv1_->forward(x)) + (downsample_ ? downsample_->forward(x) : x);
  }

 private:
  learning::Stack conv1_{nullptr}, conv2_{nullptr}, downsample_{nullptr};
};
TORCH_MODULE(BasicBlock);

torch::Tensor ResizeTo(const torch::Tensor& x, int64_t height, int64_t width) {
  return nn::functional::interpolate(x, nn::functional::InterpolateFuncOptions()
                                            .size(std::vector<int64_t>{height, width})
                                            .mode(torch::kBilinear)
                                            .align_corners(false));
}

// Runs 3D convolutions on oneDNN always: LibTorch 1.13 leaves it, for a path 50 times slower, where
// the batch is 1 and the input small. Twice the work is nothing against that.
torch::Tensor Convolve(learning::Stack& layers, const torch::Tensor& x) {
  constexpr int64_t kSmall = 20480;
  if (x.size(0) > 1 || x.size(1) * x.size(2) * x.size(3) > kSmall) return layers->forward(x);
  return layers->forward(torch::cat({x, x}, 0)).narrow(0, 0, 1);
}

torch::Tensor Double(const torch::Tensor& volume, const torch::Tensor& like) {
  return nn::functional::interpolate(
      volume, nn::functional::InterpolateFuncOptions()
                  .size(std::vector<int64_t>{like.size(2), like.size(3), like.size(4)})
                  .mode(torch::kTrilinear)
                  .align_corners(false));
}

// Windows of the spatial pyramid, in pixels at a quarter of the resolution.
constexpr int64_t kPyramid[] = {16, 8, 4};

}  // namespace

PsmNetImpl::PsmNetImpl(const PsmNetOptions& options) : options_(options) {
  const int64_t c = options.channels;
  firstconv_ = register_module(
      "firstconv", learning::Stack(ConvBn(3, c, 3, 2, 1, true), ConvBn(c, c, 3, 1, 1, true)));
  layer1_ = register_module("layer1", learning::Stack(BasicBlock(c, c, 1, 1)));
  layer2_ = register_module(
      "layer2", learning::Stack(BasicBlock(c, 2 * c, 2, 1), BasicBlock(2 * c, 2 * c, 1, 1)));
  layer3_ = register_module(
      "layer3", learning::Stack(BasicBlock(2 * c, 2 * c, 1, 1), BasicBlock(2 * c, 2 * c, 1, 2)));
  int64_t joined = 4 * c;
  for (size_t i = 0; i < std::size(kPyramid); ++i) {
    branches_.push_back(register_module("branch" + std::to_string(i + 1),
                                        learning::Stack(ConvBn(2 * c, c / 2, 1, 1, 1, true))));
    joined += c / 2;
  }
  const int64_t features = c / 2;
  lastconv_ = register_module(
      "lastconv", learning::Stack(ConvBn(joined, 2 * c, 3, 1, 1, true),
                                  nn::Conv2d(nn::Conv2dOptions(2 * c, features, 1).bias(false))));

  const int64_t v = c;  // Channels of the volume: 2 * features.
  dres0_ = register_module(
      "dres0", learning::Stack(ConvBn3d(2 * features, v, 1, true), ConvBn3d(v, v, 1, true)));
  dres1_ =
      register_module("dres1", learning::Stack(ConvBn3d(v, v, 1, true), ConvBn3d(v, v, 1, false)));
  conv1_ = register_module("conv1", ConvBn3d(v, 2 * v, 2, true));
  conv2_ = register_module("conv2", ConvBn3d(2 * v, 2 * v, 1, true));
  conv3_ = register_module("conv3", ConvBn3d(2 * v, 2 * v, 2, true));
  conv4_ = register_module("conv4", ConvBn3d(2 * v, 2 * v, 1, true));
  // The published network has transposed convolutions here, for which LibTorch 1.13 has no fast
  // path on a CPU; the forward pass resizes instead.
  conv5_ = register_module("conv5", ConvBn3d(2 * v, 2 * v, 1, false));
  conv6_ = register_module("conv6", ConvBn3d(2 * v, v, 1, false));
  classif_ = register_module(
      "classif", learning::Stack(ConvBn3d(v, v, 1, true),
                                 nn::Conv3d(nn::Conv3dOptions(v, 1, 3).padding(1).bias(false))));
}

torch::Tensor PsmNetImpl::Features(const torch::Tensor& image) {
  const torch::Tensor raw = layer2_->forward(layer1_->forward(firstconv_->forward(image)));
  const torch::Tensor deep = layer3_->forward(raw);
  std::vector<torch::Tensor> joined = {raw, deep};
  for (size_t i = 0; i < branches_.size(); ++i) {
    const int64_t window = std::min({kPyramid[i], deep.size(2), deep.size(3)});
    const torch::Tensor pooled = torch::avg_pool2d(deep, {window, window}, {window, window});
    joined.push_back(ResizeTo(branches_[i]->forward(pooled), deep.size(2), deep.size(3)));
  }
  return lastconv_->forward(torch::cat(joined, 1));
}

torch::Tensor PsmNetImpl::CostVolume(const torch::Tensor& left, const torch::Tensor& right) const {
  const int64_t planes = options_.max_disparity / 4;
  const int64_t width = left.size(3);
  // Plane d compares left pixel x with right pixel x - d; left of the image there is nothing.
  const torch::Tensor padded = torch::constant_pad_nd(right, {planes - 1, 0});
  std::vector<torch::Tensor> shifted;
  for (int64_t d = 0; d < planes; ++d) shifted.push_back(padded.narrow(3, planes - 1 - d, width));
  const torch::Tensor right_planes = torch::stack(shifted, 2);
  const torch::Tensor left_planes = left.unsqueeze(2).expand_as(right_planes);
  return torch::cat({left_planes, (left_planes - right_planes).abs()}, 1);
}

torch::Tensor PsmNetImpl::forward(const torch::Tensor& left, const torch::Tensor& right) {
  // Both images as one batch: half as many, larger convolutions.
  const torch::Tensor features = Features(torch::cat({left, right}, 0));
  const auto halves = features.chunk(2, 0);
  torch::Tensor cost = Convolve(dres0_, CostVolume(halves[0], halves[1]));
  cost = cost + Convolve(dres1_, cost);
  // The hourglass.
  const torch::Tensor half = Convolve(conv2_, Convolve(conv1_, cost));
  const torch::Tensor quarter = Convolve(conv4_, Convolve(conv3_, half));
  const torch::Tensor back = torch::relu(Double(Convolve(conv5_, quarter), half) + half);
  cost = cost + Double(Convolve(conv6_, back), cost);
  cost = Convolve(classif_, cost).squeeze(1);  // [B, D, H/4, W/4]

  // Soft argmin at half the resolution; full resolution would be a third of the step's time.
  cost = ResizeTo(cost, left.size(2) / 2, left.size(3) / 2);
  const torch::Tensor probability = torch::softmax(cost, 1);
  const torch::Tensor disparities =
      torch::arange(cost.size(1), cost.options()).mul(4.0).view({1, -1, 1, 1});
  const torch::Tensor expected = (probability * disparities).sum(1, /*keepdim=*/true);
  return ResizeTo(expected, left.size(2), left.size(3)).squeeze(1);
}

torch::Tensor Normalise(const torch::Tensor& images) {
  const torch::Tensor mean = torch::tensor({0.485f, 0.456f, 0.406f}).view({1, 3, 1, 1});
  const torch::Tensor deviation = torch::tensor({0.229f, 0.224f, 0.225f}).view({1, 3, 1, 1});
  const torch::Tensor values = images.permute({0, 3, 1, 2}).to(torch::kFloat32) / 255.0;
  return ((values - mean) / deviation).contiguous();
}

}  // namespace backfire::disparity
