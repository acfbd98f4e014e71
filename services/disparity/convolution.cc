#include "services/disparity/convolution.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <array>
#include <cmath>

namespace backfire::disparity {
namespace {

constexpr double kEpsilon = 1e-5, kMomentum = 0.1;

std::vector<int64_t> Repeat(int64_t value, int64_t dimensions) {
  return std::vector<int64_t>(static_cast<size_t>(dimensions), value);
}

bool OnOneDnn(const torch::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == torch::kFloat32 && at::hasMKLDNN();
}

// The convolution whose adjoint a transposed one is: stride 2, padding 1, and no output padding.
std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> Adjoint(const torch::Tensor& gradient,
                                                                const torch::Tensor& input,
                                                                const torch::Tensor& weight,
                                                                std::array<bool, 3> which) {
  return at::convolution_backward(gradient, input, weight, c10::nullopt, Repeat(2, 3), Repeat(1, 3),
                                  Repeat(1, 3), /*transposed=*/false, Repeat(0, 3), /*groups=*/1,
                                  which);
}

// A transposed convolution that doubles the resolution, as the adjoint of a strided one: five times
// as fast as LibTorch 1.13's own on a CPU, because oneDNN computes it.
class DoublingFunction : public torch::autograd::Function<DoublingFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight) {
    context->save_for_backward({x, weight});
    const torch::Tensor output = torch::empty(
        {x.size(0), weight.size(1), 2 * x.size(2), 2 * x.size(3), 2 * x.size(4)}, x.options());
    if (x.size(0) > 1) return std::get<0>(Adjoint(x, output, weight, {true, false, false}));
    // oneDNN is only chosen for a batch of one where the input is large; twice the work is little.
    constexpr int64_t kSmall = 20480;
    if (output.size(1) * output.size(2) * output.size(3) > kSmall) {
      return std::get<0>(Adjoint(x, output, weight, {true, false, false}));
    }
    return std::get<0>(Adjoint(torch::cat({x, x}, 0), torch::cat({output, output}, 0), weight,
                               {true, false, false}))
        .narrow(0, 0, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor gradient = gradients[0].contiguous();
    return {at::conv3d(gradient, saved[1], {}, 2, 1),
            std::get<1>(Adjoint(saved[0], gradient, saved[1], {false, true, false}))};
  }
};

}  // namespace

ConvolutionImpl::ConvolutionImpl(const ConvolutionOptions& options, Random& random)
    : options_(options) {
  int64_t volume = 1;
  for (int64_t i = 0; i < options.dimensions; ++i) volume *= options.kernel;
  std::vector<int64_t> shape = {options.out, options.in};
  if (options.doubling) std::swap(shape[0], shape[1]);
  for (int64_t i = 0; i < options.dimensions; ++i) shape.push_back(options.kernel);
  torch::Tensor weight = torch::empty(shape, torch::kFloat32);
  auto* values = weight.data_ptr<float>();
  const double deviation = std::sqrt(2.0 / static_cast<double>(volume * options.out));
  const double bound = 1 / std::sqrt(static_cast<double>(volume * options.out));
  for (int64_t i = 0; i < weight.numel(); ++i) {
    values[i] = static_cast<float>(options.doubling ? random.Uniform(-bound, bound)
                                                    : deviation * random.Normal());
  }
  weight_ = register_parameter("weight", weight);
}

torch::Tensor ConvolutionImpl::Convolve(const torch::Tensor& x, const torch::Tensor& weight,
                                        const torch::Tensor& bias) const {
  const int64_t dimensions = options_.dimensions;
  if (options_.doubling) {
    if (!OnOneDnn(x)) {
      return at::conv_transpose3d(x, weight, bias, Repeat(2, 3), Repeat(1, 3), Repeat(1, 3));
    }
    torch::Tensor y = DoublingFunction::apply(x.contiguous(), weight);
    return bias.defined() ? y.add_(bias.view({1, -1, 1, 1, 1})) : y;
  }
  const auto padding = Repeat(options_.dilation * (options_.kernel / 2), dimensions);
  const auto stride = Repeat(options_.stride, dimensions);
  const auto dilation = Repeat(options_.dilation, dimensions);
  if (OnOneDnn(x) && !at::GradMode::is_enabled() && !at::autocast::is_cpu_enabled()) {
    return at::mkldnn_convolution(x, weight, bias, padding, stride, dilation, 1);
  }
  // By these names, because autocast knows them.
  if (dimensions == 2) return at::conv2d(x, weight, bias, stride, padding, dilation);
  return at::conv3d(x, weight, bias, stride, padding, dilation);
}

BatchNormImpl::BatchNormImpl(int64_t channels) {
  weight_ = register_parameter("weight", torch::ones({channels}));
  bias_ = register_parameter("bias", torch::zeros({channels}));
  running_mean_ = register_buffer("running_mean", torch::zeros({channels}));
  running_var_ = register_buffer("running_var", torch::ones({channels}));
  num_batches_tracked_ = register_buffer("num_batches_tracked", torch::zeros({}, torch::kInt64));
}

torch::Tensor BatchNormImpl::forward(const torch::Tensor& x) {
  if (is_training()) num_batches_tracked_.add_(1);
  return at::batch_norm(x, weight_, bias_, running_mean_, running_var_, is_training(), kMomentum,
                        kEpsilon, /*cudnn_enabled=*/true);
}

std::pair<torch::Tensor, torch::Tensor> BatchNormImpl::ScaleAndShift() const {
  const torch::Tensor scale = weight_ / (running_var_ + kEpsilon).sqrt();
  return {scale, bias_ - running_mean_ * scale};
}

ConvBnImpl::ConvBnImpl(const ConvolutionOptions& options, Random& random) {
  convolution_ = register_module("0", Convolution(options, random));
  norm_ = register_module("1", BatchNorm(options.out));
}

torch::Tensor ConvBnImpl::forward(const torch::Tensor& x, bool relu, const torch::Tensor& added) {
  torch::Tensor y;
  if (is_training() || at::GradMode::is_enabled()) {
    y = norm_->forward(convolution_->forward(x));
  } else {
    const auto [scale, shift] = norm_->ScaleAndShift();
    std::vector<int64_t> shape(static_cast<size_t>(convolution_->weight().dim()), 1);
    shape[static_cast<size_t>(convolution_->output_dimension())] = -1;
    y = convolution_->Convolve(x, convolution_->weight() * scale.view(shape), shift);
  }
  // In place: batch normalisation's gradient needs its input, not its output.
  if (added.defined()) y.add_(added);
  return relu ? y.relu_() : y;
}

LayersImpl& LayersImpl::Add(const std::string& name, const ConvolutionOptions& options, bool relu,
                            Random& random) {
  layers_.push_back({register_module(name, ConvBn(options, random)), nullptr, relu});
  return *this;
}

LayersImpl& LayersImpl::AddConvolution(const std::string& name, const ConvolutionOptions& options,
                                       Random& random) {
  layers_.push_back({nullptr, register_module(name, Convolution(options, random)), false});
  return *this;
}

torch::Tensor LayersImpl::forward(torch::Tensor x) { return forward(std::move(x), {}); }

torch::Tensor LayersImpl::forward(torch::Tensor x, const torch::Tensor& added) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const bool last = i + 1 == layers_.size();
    x = layer.conv_bn ? layer.conv_bn->forward(x, layer.relu, last ? added : torch::Tensor())
                      : layer.convolution->forward(x);
  }
  return x;
}

}  // namespace backfire::disparity
