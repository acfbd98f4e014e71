#include "services/disparity/disparity_loss.h"

#include <torch/types.h>

#include "services/disparity/psmnet.h"

namespace backfire::disparity {

torch::Tensor DisparityLoss(const LossRules& rules, const torch::Tensor& predicted,
                            const torch::Tensor& truth, const torch::Tensor& focal_times_baseline) {
  const torch::Tensor c = focal_times_baseline.view({-1, 1, 1});
  const torch::Tensor farthest = c / rules.max_depth_m;
  const torch::Tensor known = (truth > 0) & (truth < rules.max_disparity);
  const torch::Tensor beyond = known & (truth < farthest);
  const torch::Tensor supervised = rules.far_weight > 0 ? known : known & ~beyond;
  // Selecting the supervised pixels would make a GPU's host wait for their number.
  torch::Tensor weight = supervised.to(torch::kFloat32);
  torch::Tensor y = torch::where(supervised, truth, torch::ones_like(truth)), d = predicted;
  if (rules.far_weight > 0) {
    weight = torch::where(beyond, weight * rules.far_weight, weight);
    y = torch::where(beyond, farthest, y);
    d = torch::where(beyond, torch::maximum(d, farthest), d);
  }
  torch::Tensor error;
  switch (rules.kind) {
    case LossKind::kDisparity:
      error = (d - y).abs();
      break;
    case LossKind::kSmoothDisparity:
      error = torch::smooth_l1_loss(d, y, at::Reduction::None);
      break;
    case LossKind::kDepth:
    case LossKind::kSmoothDepth: {
      const torch::Tensor bound = c / (2 * rules.max_depth_m);
      const torch::Tensor held = torch::maximum(d, bound);
      const torch::Tensor depth = c / held, true_depth = c / y;
      error = rules.kind == LossKind::kDepth
                  ? (depth - true_depth).abs()
                  : torch::smooth_l1_loss(depth, true_depth, at::Reduction::None);
      error = error + torch::relu(bound - d);
      break;
    }
  }
  return (error * weight).sum() / weight.sum().clamp_min(1);
}

torch::Tensor WeightedDisparityLoss(const LossRules& rules,
                                    const std::vector<torch::Tensor>& predicted,
                                    const torch::Tensor& truth,
                                    const torch::Tensor& focal_times_baseline) {
  const std::vector<double> weights = OutputWeights(predicted.size());
  torch::Tensor total;
  for (size_t i = 0; i < predicted.size(); ++i) {
    const torch::Tensor loss =
        weights[i] * DisparityLoss(rules, predicted[i], truth, focal_times_baseline);
    total = i == 0 ? loss : total + loss;
  }
  return total;
}

}  // namespace backfire::disparity
