#include "services/disparity/disparity_loss.h"

#include <torch/torch.h>

namespace backfire::disparity {

torch::Tensor DisparityLoss(LossKind kind, const torch::Tensor& predicted,
                            const torch::Tensor& truth, const torch::Tensor& focal_times_baseline,
                            double max_depth_m) {
  const torch::Tensor c = focal_times_baseline.view({-1, 1, 1}).expand_as(truth);
  const torch::Tensor valid = (truth > 0) & (truth >= c / max_depth_m);
  const torch::Tensor d = predicted.masked_select(valid);
  const torch::Tensor y = truth.masked_select(valid);
  // A batch that shows nothing teaches nothing, but its loss is still a number.
  if (y.numel() == 0) return predicted.sum() * 0;
  if (kind == LossKind::kDisparity) return torch::smooth_l1_loss(d, y);
  const torch::Tensor constant = c.masked_select(valid);
  const torch::Tensor bound = constant / (2 * max_depth_m);
  const torch::Tensor held = torch::maximum(d, bound);
  return ((constant / held - constant / y).abs() + torch::relu(bound - d)).mean();
}

}  // namespace backfire::disparity
