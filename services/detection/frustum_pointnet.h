#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "services/base/random.h"

namespace backfire::detection {

/// Directions that headings are sorted into before they are refined: bin i is centred on i * 2 pi /
/// kHeadingBins.
inline constexpr int64_t kHeadingBins = 12;
/// KITTI's types, each with its mean size (length, width, height in metres): sizes are sorted into
/// these before they are refined. Means over KITTI's training labels, from the published code.
struct SizeCluster {
  const char* type;
  float length, width, height;
};
inline constexpr SizeCluster kSizeClusters[] = {
    {"Car", 3.88311640418f, 1.62856739989f, 1.52563191462f},
    {"Van", 5.06763659f, 1.9007158f, 2.20532825f},
    {"Truck", 10.13586957f, 2.58549199f, 3.2520595f},
    {"Pedestrian", 0.84422524f, 0.66068622f, 1.76255119f},
    {"Person_sitting", 0.80057803f, 0.5983815f, 1.27450867f},
    {"Cyclist", 1.76282397f, 0.59706367f, 1.73698127f},
    {"Tram", 16.17150617f, 2.53246914f, 3.53079012f},
    {"Misc", 3.64300781f, 1.54298177f, 1.92320313f}};
inline constexpr int64_t kSizeClusterCount = 8;
/// Classes that the network is told, one-hot: Car, Pedestrian, Cyclist.
inline constexpr int64_t kFrustumClasses = 3;
/// x, y, z, intensity.
inline constexpr int64_t kFrustumChannels = 4;

/// Where the authors' TensorFlow code (Qi et al.) and the PyTorch port that parity is checked
/// against differ.
enum class FrustumVariant {
  kOriginal,  ///< Point features for segmentation come from the third layer.
  kPort,      ///< ... from the second.
};

struct FrustumPointNetOptions {
  FrustumVariant variant = FrustumVariant::kOriginal;
  double width = 1;             ///< Of the hidden layers, times the published one.
  int64_t object_points = 512;  ///< Drawn from the points that were segmented as the object.
  double dropout = 0.5;         ///< Before the last layer of the segmentation, in training.
};

/// What the network says of a batch of B frusta of N points.
struct FrustumPrediction {
  torch::Tensor logits;            ///< [B, N, 2]: clutter, object.
  torch::Tensor mask;              ///< BOOL [B, N]: taken for the object.
  torch::Tensor object_points;     ///< [B, object_points, 3], relative to the mask's mean.
  torch::Tensor center_delta;      ///< [B, 3]: from the mask's mean, by the T-Net.
  torch::Tensor stage1_center;     ///< [B, 3]: after the T-Net.
  torch::Tensor box;               ///< [B, 59]: what the box net says, as the tensors below.
  torch::Tensor center;            ///< [B, 3]: after the box net.
  torch::Tensor heading_scores;    ///< [B, kHeadingBins], logits.
  torch::Tensor heading_residual;  ///< [B, kHeadingBins], over half a bin's width.
  torch::Tensor size_scores;       ///< [B, kSizeClusterCount], logits.
  torch::Tensor size_residual;     ///< [B, kSizeClusterCount, 3], over the cluster's mean size.
};

/// What is true of it. Sizes are length, width, height.
struct FrustumTruth {
  torch::Tensor mask;              ///< INT64 [B, N]: 1 on the object.
  torch::Tensor center;            ///< [B, 3].
  torch::Tensor heading_bin;       ///< INT64 [B].
  torch::Tensor heading_residual;  ///< [B], radians off the bin's centre.
  torch::Tensor size_cluster;      ///< INT64 [B].
  torch::Tensor size_residual;     ///< [B, 3], metres off the cluster's mean.
  /// [B]: 0 where a frustum has no points and only its segmentation counts, else 1. Undefined: all
  /// 1.
  torch::Tensor weight;
};

/// The heading's bin, and what is left of it, radians.
std::pair<int64_t, double> HeadingBin(double heading);

struct FrustumLossOptions {
  /// What the T-Net's centre is compared with: the label (the original), or the box net's centre
  /// (the port).
  bool stage1_from_label = true;
  /// Both published codes add the predicted size residual twice where they compare corners.
  bool doubled_size_residual = true;
};

/// Terms of the paper's equation 1, weights included; means over the batch.
struct FrustumLoss {
  torch::Tensor total, mask, center, heading_class, size_class, heading_residual, size_residual,
      stage1_center, corners;
};
FrustumLoss ComputeFrustumLoss(const FrustumPrediction& prediction, const FrustumTruth& truth,
                               const FrustumLossOptions& options);

/// Outputs of layers by name (`seg.bn1`: before its ReLU), [B, C, N], for comparisons.
using LayerTrace = std::map<std::string, torch::Tensor>;

/// Segments the object among a frustum's points.
class InstanceSegmentationImpl : public torch::nn::Module {
 public:
  explicit InstanceSegmentationImpl(const FrustumPointNetOptions& options);
  torch::Tensor forward(const torch::Tensor& points, const torch::Tensor& one_hot, Random* random,
                        LayerTrace* trace);

 private:
  const FrustumPointNetOptions options_;
  torch::nn::Conv1d conv1{nullptr}, conv2{nullptr}, conv3{nullptr}, conv4{nullptr}, conv5{nullptr};
  torch::nn::BatchNorm1d bn1{nullptr}, bn2{nullptr}, bn3{nullptr}, bn4{nullptr}, bn5{nullptr};
  torch::nn::Conv1d dconv1{nullptr}, dconv2{nullptr}, dconv3{nullptr}, dconv4{nullptr},
      dconv5{nullptr};
  torch::nn::BatchNorm1d dbn1{nullptr}, dbn2{nullptr}, dbn3{nullptr}, dbn4{nullptr};
};
TORCH_MODULE(InstanceSegmentation);

/// Moves the origin from the mask's mean to near the object's centre.
class CenterTNetImpl : public torch::nn::Module {
 public:
  explicit CenterTNetImpl(const FrustumPointNetOptions& options);
  torch::Tensor forward(const torch::Tensor& points, const torch::Tensor& one_hot,
                        LayerTrace* trace);

 private:
  torch::nn::Conv1d conv1{nullptr}, conv2{nullptr}, conv3{nullptr};
  torch::nn::Linear fc1{nullptr}, fc2{nullptr}, fc3{nullptr};
  torch::nn::BatchNorm1d bn1{nullptr}, bn2{nullptr}, bn3{nullptr}, fcbn1{nullptr}, fcbn2{nullptr};
};
TORCH_MODULE(CenterTNet);

/// Estimates the amodal box of an object's points.
class BoxEstimationImpl : public torch::nn::Module {
 public:
  explicit BoxEstimationImpl(const FrustumPointNetOptions& options);
  torch::Tensor forward(const torch::Tensor& points, const torch::Tensor& one_hot,
                        LayerTrace* trace);

 private:
  torch::nn::Conv1d conv1{nullptr}, conv2{nullptr}, conv3{nullptr}, conv4{nullptr};
  torch::nn::Linear fc1{nullptr}, fc2{nullptr}, fc3{nullptr};
  torch::nn::BatchNorm1d bn1{nullptr}, bn2{nullptr}, bn3{nullptr}, bn4{nullptr}, fcbn1{nullptr},
      fcbn2{nullptr};
};
TORCH_MODULE(BoxEstimation);

/// Frustum PointNet v1 (Qi et al., CVPR 2018, section 4 and appendix B): instance segmentation,
/// T-Net, amodal box estimation. Layers carry the published names, so that a checkpoint imports by
/// name.
class FrustumPointNetImpl : public torch::nn::Module {
 public:
  explicit FrustumPointNetImpl(const FrustumPointNetOptions& options);

  /// @param points   [B, N, 4], see Frustum.
  /// @param one_hot  [B, 3], the class of each frustum.
  /// @param random   Draws object points and dropout in training; null: object points are the
  ///   segmented ones in order, again and again, and nothing is dropped.
  /// @param trace    Where given, outputs of some layers go there.
  FrustumPrediction forward(const torch::Tensor& points, const torch::Tensor& one_hot,
                            Random* random = nullptr, LayerTrace* trace = nullptr);

 private:
  const FrustumPointNetOptions options_;
  InstanceSegmentation segmentation_{nullptr};
  CenterTNet t_net_{nullptr};
  BoxEstimation box_net_{nullptr};
};
TORCH_MODULE(FrustumPointNet);

}  // namespace backfire::detection
