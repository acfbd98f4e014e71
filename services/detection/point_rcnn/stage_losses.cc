#include "services/detection/point_rcnn/stage_losses.h"

#include <ATen/ATen.h>

namespace backfire::detection {
namespace {

constexpr double kFocalAlpha = 0.25;

// Adds the regression's loss over the rows where `valid`. Without any it is 0, not NaN.
void AddRegression(const at::Tensor& regression, const at::Tensor& valid, const at::Tensor& truth,
                   const BinCoding& coding, const std::array<float, 3>& mean_size,
                   StageLoss& loss) {
  const at::Tensor rows = valid.nonzero().squeeze(1);
  loss.positives = rows.size(0);
  loss.total = loss.classification;
  if (loss.positives == 0) return;
  loss.regression = LossOfRegression(regression.index_select(0, rows), truth.index_select(0, rows),
                                     coding, mean_size);
  loss.total = loss.total + loss.regression.total();
}

}  // namespace

StageLoss ProposalLoss(const at::Tensor& scores, const at::Tensor& regression,
                       const at::Tensor& labels, const at::Tensor& truth,
                       const std::array<float, 3>& mean_size) {
  const at::Tensor positive = (labels > 0).to(scores.scalar_type());
  const at::Tensor counted = (labels >= 0).to(scores.scalar_type());
  // (1 - p_t)^2 * -log p_t, where p_t is the probability of what is true.
  const at::Tensor signed_scores = scores * (2 * positive - 1);
  const at::Tensor wrong = at::sigmoid(-signed_scores);
  const at::Tensor alpha = positive * kFocalAlpha + (1 - positive) * (1 - kFocalAlpha);
  const at::Tensor focal = alpha * wrong * wrong * -at::log_sigmoid(signed_scores) * counted /
                           positive.sum().clamp_min(1);
  StageLoss loss;
  loss.classification_positive = (focal * positive).sum();
  loss.classification_negative = (focal * (1 - positive)).sum();
  loss.classification = loss.classification_positive + loss.classification_negative;
  AddRegression(regression, labels > 0, truth, kProposalCoding, mean_size, loss);
  return loss;
}

StageLoss RefinementLoss(const at::Tensor& scores, const at::Tensor& regression,
                         const at::Tensor& labels, const at::Tensor& valid, const at::Tensor& truth,
                         const std::array<float, 3>& mean_size) {
  const at::Tensor positive = (labels > 0).to(scores.scalar_type());
  const at::Tensor counted = (labels >= 0).to(scores.scalar_type());
  const at::Tensor entropy =
      -at::log_sigmoid(scores * (2 * positive - 1)) * counted / counted.sum().clamp_min(1);
  StageLoss loss;
  loss.classification_positive = (entropy * positive).sum();
  loss.classification_negative = (entropy * (1 - positive)).sum();
  loss.classification = loss.classification_positive + loss.classification_negative;
  AddRegression(regression, valid > 0, truth, kRefinementCoding, mean_size, loss);
  return loss;
}

}  // namespace backfire::detection
