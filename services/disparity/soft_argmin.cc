#include "services/disparity/soft_argmin.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "services/disparity/soft_argmin_kernel.h"

namespace backfire::disparity {
namespace {

SoftArgminGrid MakeGrid(const torch::Tensor& scores, int64_t max_disparity, int64_t height,
                        int64_t width, bool align_corners) {
  SoftArgminGrid grid;
  grid.planes = scores.size(1);
  grid.height = scores.size(2);
  grid.width = scores.size(3);
  grid.disparity = MakeInterpolationAxis(grid.planes, max_disparity, align_corners);
  grid.rows = MakeInterpolationAxis(grid.height, height, align_corners);
  grid.columns = MakeInterpolationAxis(grid.width, width, align_corners);
  return grid;
}

class SoftArgminFunction : public torch::autograd::Function<SoftArgminFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& scores_in, int64_t max_disparity,
                               int64_t height, int64_t width, bool align_corners) {
    const torch::Tensor scores = scores_in.contiguous();
    const SoftArgminGrid grid = MakeGrid(scores, max_disparity, height, width, align_corners);
    torch::Tensor expected = torch::empty({scores.size(0), height, width}, scores.options());
    const auto* in = scores.data_ptr<float>();
    auto* out = expected.data_ptr<float>();
    const int64_t example_in = grid.planes * grid.height * grid.width;
    for (int64_t b = 0; b < scores.size(0); ++b) {
      at::parallel_for(0, height, /*grain_size=*/8, [&](int64_t first, int64_t last) {
        SoftArgminRows(grid, in + b * example_in, first, last, out + b * height * width);
      });
    }
    context->save_for_backward({scores, expected});
    context->saved_data["max_disparity"] = max_disparity;
    context->saved_data["align_corners"] = align_corners;
    return expected;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &scores = saved[0], &expected = saved[1];
    const torch::Tensor expected_gradient = gradients[0].contiguous();
    const int64_t height = expected.size(1), width = expected.size(2);
    const SoftArgminGrid grid =
        MakeGrid(scores, context->saved_data["max_disparity"].toInt(), height, width,
                 context->saved_data["align_corners"].toBool());
    torch::Tensor gradient = torch::zeros_like(scores);
    torch::Tensor rows = torch::empty({height, grid.planes, grid.width}, scores.options());
    const int64_t example = grid.planes * grid.height * grid.width, pixels = height * width;
    for (int64_t b = 0; b < scores.size(0); ++b) {
      const float* in = scores.data_ptr<float>() + b * example;
      at::parallel_for(0, height, /*grain_size=*/8, [&](int64_t first, int64_t last) {
        SoftArgminRowsBackward(grid, in, expected.data_ptr<float>() + b * pixels,
                               expected_gradient.data_ptr<float>() + b * pixels, first, last,
                               rows.data_ptr<float>());
      });
      at::parallel_for(0, grid.height, /*grain_size=*/4, [&](int64_t first, int64_t last) {
        SumRowGradients(grid, rows.data_ptr<float>(), first, last,
                        gradient.data_ptr<float>() + b * example);
      });
    }
    return {gradient, torch::Tensor(), torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor UpsampleScores(const torch::Tensor& scores, int64_t max_disparity, int64_t height,
                             int64_t width, bool align_corners) {
  return torch::upsample_trilinear3d(scores.unsqueeze(1), {max_disparity, height, width},
                                     align_corners)
      .squeeze(1);
}

torch::Tensor SoftArgminByOperators(const torch::Tensor& scores, int64_t max_disparity,
                                    int64_t height, int64_t width, bool align_corners) {
  const torch::Tensor probability =
      torch::softmax(UpsampleScores(scores, max_disparity, height, width, align_corners), 1);
  const torch::Tensor disparities = torch::arange(max_disparity, scores.options());
  return (probability * disparities.view({1, -1, 1, 1})).sum(1);
}

torch::Tensor SoftArgmin(const torch::Tensor& scores, int64_t max_disparity, int64_t height,
                         int64_t width, bool align_corners) {
  if (!scores.is_cpu() || scores.scalar_type() != torch::kFloat32) {
    return SoftArgminByOperators(scores.to(torch::kFloat32), max_disparity, height, width,
                                 align_corners);
  }
  return SoftArgminFunction::apply(scores, max_disparity, height, width, align_corners);
}

}  // namespace backfire::disparity
