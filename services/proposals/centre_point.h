#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "services/learning/stack.h"
#include "services/metrics/object.h"

namespace backfire::proposals {

/// Classes that are proposed, in the order of the tensor `boxes_2d`.
inline constexpr const char* kClasses[] = {"Car", "Pedestrian"};
inline constexpr int64_t kClassCount = 2;
/// Images are padded to multiples of this.
inline constexpr int64_t kImageMultiple = 16;
/// Pixels per cell of the heat maps.
inline constexpr int64_t kCell = 4;

/// What the network says of a batch; maps have a cell per kCell pixels.
struct CentrePointMaps {
  torch::Tensor heat_logits;  ///< [B, kClassCount, H / 4, W / 4]: whether a box's centre is here.
  /// [B, 4, H / 4, W / 4]: log of the distances to left, top, right, bottom edge over kCell.
  torch::Tensor edges;
};

/// What is true of a batch.
struct CentrePointTargets {
  torch::Tensor heat;     ///< Like heat_logits: 1 at a centre, falling off as a Gaussian.
  torch::Tensor ignored;  ///< [B, 1, H / 4, W / 4]: 1 where labels don't say what is there.
  torch::Tensor edges;    ///< Like edges.
  torch::Tensor weight;   ///< [B, 1, H / 4, W / 4]: 1 in cells that are taught their edges.
};

/// A small convolutional network: four scales down, two up again, two heads.
class CentrePointImpl : public torch::nn::Module {
 public:
  explicit CentrePointImpl(int64_t channels);
  /// @param images  FP32 [B, 3, H, W] in [-1, 1], H and W multiples of kImageMultiple.
  CentrePointMaps forward(const torch::Tensor& images);

 private:
  learning::Stack stem_, stage4_, stage8_, stage16_, up8_, up4_, lateral8_, lateral4_;
  learning::Stack heat_head_, edge_head_;
};
TORCH_MODULE(CentrePoint);

/// Targets of one image, without the batch dimension: labels of other types than kClasses' are
/// ignored regions.
CentrePointTargets MakeTargets(const std::vector<metrics::Object>& labels, int64_t height,
                               int64_t width);

/// Penalty-reduced focal loss of the heat maps (CenterNet, equation 1) plus L1 of the edges.
torch::Tensor CentrePointLoss(const CentrePointMaps& maps, const CentrePointTargets& targets);

/// A box with its class and how sure the network is.
struct ProposedBox {
  metrics::Box2d box;
  int64_t class_index = 0;
  double score = 0;  ///< In [0, 1].
};

/// Peaks of the heat maps of one image above `min_score`, surest first, at most `max_boxes`,
/// clipped to the image, without those that a surer one of the class overlaps by more than 0.6.
std::vector<ProposedBox> Decode(const CentrePointMaps& maps, int64_t height, int64_t width,
                                double min_score, int64_t max_boxes);

}  // namespace backfire::proposals
