#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <array>
#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/detection/point_rcnn/point_layers.h"
#include "services/detection/pointnet2/point_ops.h"

namespace backfire::detection {

/// Sizes of a PointRCNN. The default is the published one for cars.
struct PointRcnnOptions {
  std::array<float, 3> mean_size{1.52563191462f, 1.62856739989f, 3.88311640418f};  ///< h, w, l, m.
  int64_t points = 16384;    ///< Of a cloud; the levels have 1/4, 1/16, 1/64 and 1/256 of them.
  double width = 1;          ///< Multiplies the channels of every hidden layer.
  double radius_scale = 1;   ///< Multiplies the radii of all balls: sparser clouds need more.
  double dropout = 0.5;      ///< In the first stage's heads, while training.
  int64_t roi_points = 512;  ///< At most, of a RoI.
};

/// What the first stage says of every point.
struct PointPredictions {
  torch::Tensor features;                         ///< [points, channels].
  torch::Tensor scores;                           ///< [points]: raw, of being on an object.
  torch::Tensor regression;                       ///< [points, 76]: see kProposalCoding.
  std::vector<Abstraction> levels;                ///< Fine to coarse.
  std::vector<pointnet2::Neighbours> neighbours;  ///< Of each propagation, coarse to fine.
  std::vector<torch::Tensor> propagated;          ///< Its features.
};

/// The first stage: PointNet++ with multi-scale grouping, and two heads. Named `rpn`.
class ProposalNetworkImpl : public torch::nn::Module {
 public:
  ProposalNetworkImpl(const PointRcnnOptions& options, Random& random);
  /// @param clouds   As many points each as the levels ask for at least.
  /// @param dropout  Draws what is dropped while training; null drops nothing.
  PointPredictions forward(const pointnet2::Clouds& clouds, Random* dropout);

 private:
  torch::Tensor Head(std::vector<PointLayer>& layers, const torch::Tensor& features,
                     Random* dropout);
  const double dropout_;
  std::vector<SetAbstraction> levels_;
  std::vector<FeaturePropagation> propagations_;
  std::vector<PointLayer> score_head_, regression_head_;
};
TORCH_MODULE(ProposalNetwork);

/// The points of RoIs, in each one's frame: the origin is its bottom's centre, its length lies
/// along x. Points that PointRCNN repeats to fill a RoI up are not here: they change no maximum.
struct RoiPoints {
  pointnet2::Clouds clouds;     ///< One a RoI, at least one point each.
  torch::Tensor extra;          ///< [rows, 2]: segmentation mask (0 or 1), depth (norm / 70 - 0.5).
  torch::Tensor features;       ///< [rows, channels] of the first stage.
  std::vector<int64_t> counts;  ///< Points inside each, before the cut; 0 if it is empty.
};

/// What the second stage says of every RoI.
struct RoiPredictions {
  torch::Tensor scores;             ///< [rois]: raw.
  torch::Tensor regression;         ///< [rois, 46]: see kRefinementCoding.
  torch::Tensor lifted, merged;     ///< [rows, channels].
  std::vector<Abstraction> levels;  ///< Fine to coarse; the last is [rois, channels].
};

/// The second stage. Named `rcnn_net`.
class RefinementNetworkImpl : public torch::nn::Module {
 public:
  RefinementNetworkImpl(const PointRcnnOptions& options, Random& random);
  RoiPredictions forward(const RoiPoints& rois);

 private:
  SharedMlp lift_{nullptr}, merge_{nullptr};
  std::vector<SetAbstraction> levels_;
  std::vector<PointLayer> score_head_, regression_head_;
};
TORCH_MODULE(RefinementNetwork);

/// PointRCNN (Shi, Wang, Li, CVPR 2019): names and shapes of weights are those of the published
/// ones.
class PointRcnnImpl : public torch::nn::Module {
 public:
  /// Weights are drawn from `seed` alone.
  PointRcnnImpl(const PointRcnnOptions& options, uint64_t seed);
  const PointRcnnOptions options;
  ProposalNetwork proposals{nullptr};
  RefinementNetwork refinement{nullptr};
};
TORCH_MODULE(PointRcnn);

}  // namespace backfire::detection
