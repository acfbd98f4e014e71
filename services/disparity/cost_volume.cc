#include "services/disparity/cost_volume.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace backfire::disparity {
namespace {

// Sizes of a volume [batch, 2 * channels, planes, height, width].
struct Sizes {
  int64_t batch, channels, planes, height, width;
  int64_t image() const { return height * width; }
  int64_t volume() const { return planes * image(); }
};

// The volume of one feature map of one example: both its channels.
void FillChannel(const Sizes& s, CostVolumeKind kind, const float* left, const float* right,
                 float* first, float* second) {
  for (int64_t d = 0; d < s.planes; ++d) {
    const int64_t empty = std::min(d, s.width);
    for (int64_t y = 0; y < s.height; ++y) {
      const float *l = left + y * s.width, *r = right + y * s.width;
      float *a = first + d * s.image() + y * s.width, *b = second + d * s.image() + y * s.width;
      std::fill(a, a + empty, 0.0f);
      std::fill(b, b + empty, 0.0f);
      std::copy(l + empty, l + s.width, a + empty);
      if (kind == CostVolumeKind::kConcatenation) {
        std::copy(r, r + s.width - empty, b + empty);
      } else {
        for (int64_t x = empty; x < s.width; ++x) b[x] = std::abs(l[x] - r[x - d]);
      }
    }
  }
}

// Its adjoint. `left`, `right`: features; the gradients' rows are zero before.
void FillChannelBackward(const Sizes& s, CostVolumeKind kind, const float* left, const float* right,
                         const float* first, const float* second, float* left_gradient,
                         float* right_gradient) {
  for (int64_t d = 0; d < std::min(s.planes, s.width); ++d) {
    for (int64_t y = 0; y < s.height; ++y) {
      const int64_t at = y * s.width;
      const float *a = first + d * s.image() + at, *b = second + d * s.image() + at;
      float* __restrict gl = left_gradient + at, * __restrict gr = right_gradient + at;
      if (kind == CostVolumeKind::kConcatenation) {
        for (int64_t x = d; x < s.width; ++x) gl[x] += a[x];
        for (int64_t x = d; x < s.width; ++x) gr[x - d] += b[x];
      } else {
        const float *l = left + at, *r = right + at;
        for (int64_t x = d; x < s.width; ++x) {
          const float difference = l[x] - r[x - d];
          const float signed_gradient = difference > 0 ? b[x] : (difference < 0 ? -b[x] : 0.0f);
          gl[x] += a[x] + signed_gradient;
          gr[x - d] -= signed_gradient;
        }
      }
    }
  }
}

class CostVolumeFunction : public torch::autograd::Function<CostVolumeFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& left_in, const torch::Tensor& right_in,
                               int64_t planes, int64_t kind_number) {
    const torch::Tensor left = left_in.contiguous(), right = right_in.contiguous();
    const Sizes s{left.size(0), left.size(1), planes, left.size(2), left.size(3)};
    const auto kind = static_cast<CostVolumeKind>(kind_number);
    torch::Tensor volume =
        torch::empty({s.batch, 2 * s.channels, planes, s.height, s.width}, left.options());
    const auto *l = left.data_ptr<float>(), *r = right.data_ptr<float>();
    auto* out = volume.data_ptr<float>();
    at::parallel_for(0, s.batch * s.channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t b = i / s.channels, c = i % s.channels;
        float* first = out + (2 * b * s.channels + c) * s.volume();
        FillChannel(s, kind, l + i * s.image(), r + i * s.image(), first,
                    first + s.channels * s.volume());
      }
    });
    // Concatenation's gradient needs no features, only their sizes.
    context->save_for_backward({left, right});
    context->saved_data["planes"] = planes;
    context->saved_data["kind"] = kind_number;
    return volume;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &left = saved[0], &right = saved[1];
    const torch::Tensor gradient = gradients[0].contiguous();
    const Sizes s{left.size(0), left.size(1), context->saved_data["planes"].toInt(), left.size(2),
                  left.size(3)};
    const auto kind = static_cast<CostVolumeKind>(context->saved_data["kind"].toInt());
    torch::Tensor left_gradient = torch::zeros_like(left),
                  right_gradient = torch::zeros_like(right);
    const auto *l = left.data_ptr<float>(), *r = right.data_ptr<float>();
    const auto* in = gradient.data_ptr<float>();
    auto *gl = left_gradient.data_ptr<float>(), *gr = right_gradient.data_ptr<float>();
    at::parallel_for(0, s.batch * s.channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t b = i / s.channels, c = i % s.channels;
        const float* first = in + (2 * b * s.channels + c) * s.volume();
        FillChannelBackward(s, kind, l + i * s.image(), r + i * s.image(), first,
                            first + s.channels * s.volume(), gl + i * s.image(),
                            gr + i * s.image());
      }
    });
    return {left_gradient, right_gradient, torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor CostVolumeByOperators(const torch::Tensor& left, const torch::Tensor& right,
                                    int64_t planes, CostVolumeKind kind) {
  const int64_t width = left.size(3);
  // Window j of the padded right image is plane planes - 1 - j.
  const torch::Tensor shifted = torch::constant_pad_nd(right, {planes - 1, 0})
                                    .unfold(3, width, 1)
                                    .permute({0, 1, 3, 2, 4})
                                    .flip({2});  // [B, C, planes, h, w]
  const torch::Tensor columns = torch::arange(width, torch::TensorOptions().device(left.device()));
  const torch::Tensor partner =
      columns.view({1, width}) >=
      torch::arange(planes, torch::TensorOptions().device(left.device())).view({planes, 1});
  const torch::Tensor first =
      left.unsqueeze(2) * partner.view({1, 1, planes, 1, width}).to(left.scalar_type());
  if (kind == CostVolumeKind::kConcatenation) return torch::cat({first, shifted}, 1);
  return torch::cat({first, (first - shifted).abs()}, 1);
}

torch::Tensor CostVolume(const torch::Tensor& left, const torch::Tensor& right, int64_t planes,
                         CostVolumeKind kind) {
  TORCH_CHECK(left.sizes() == right.sizes(), "features of one size: ", left.sizes(), " and ",
              right.sizes());
  if (!left.is_cpu() || left.scalar_type() != torch::kFloat32) {
    return CostVolumeByOperators(left, right, planes, kind);
  }
  return CostVolumeFunction::apply(left, right, planes, static_cast<int64_t>(kind));
}

}  // namespace backfire::disparity
