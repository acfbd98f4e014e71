#include "services/disparity/disparity_loss.h"

#include <torch/types.h>

#include "services/disparity/psmnet.h"

namespace backfire::disparity {

torch::Tensor DisparityLoss(LossKind kind, const torch::Tensor& predicted,
                            const torch::Tensor& truth, const torch::Tensor& focal_times_baseline,
                            double max_depth_m, double max_disparity) {
  const torch::Tensor c = focal_times_baseline.view({-1, 1, 1});
  const torch::Tensor valid = (truth > 0) & (truth >= c / max_depth_m) & (truth < max_disparity);
  // Selecting the valid pixels would make a GPU's host wait for their number.
  const torch::Tensor weight = valid.to(torch::kFloat32);
  const torch::Tensor y = torch::where(valid, truth, torch::ones_like(truth));
  torch::Tensor error;
  switch (kind) {
    case LossKind::kDisparity:
      error = (predicted - y).abs();
      break;
    case LossKind::kSmoothDisparity:
      error = torch::smooth_l1_loss(predicted, y, at::Reduction::None);
      break;
    case LossKind::kDepth: {
      const torch::Tensor bound = c / (2 * max_depth_m);
      const torch::Tensor held = torch::maximum(predicted, bound);
      error = (c / held - c / y).abs() + torch::relu(bound - predicted);
      break;
    }
  }
  return (error * weight).sum() / weight.sum().clamp_min(1);
}

torch::Tensor WeightedDisparityLoss(LossKind kind, const std::vector<torch::Tensor>& predicted,
                                    const torch::Tensor& truth,
                                    const torch::Tensor& focal_times_baseline, double max_depth_m,
                                    double max_disparity) {
  const std::vector<double> weights = OutputWeights(predicted.size());
  torch::Tensor total;
  for (size_t i = 0; i < predicted.size(); ++i) {
    const torch::Tensor loss =
        weights[i] *
        DisparityLoss(kind, predicted[i], truth, focal_times_baseline, max_depth_m, max_disparity);
    total = i == 0 ? loss : total + loss;
  }
  return total;
}

}  // namespace backfire::disparity
