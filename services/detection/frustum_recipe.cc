#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "services/base/status.h"
#include "services/detection/detections_tensor.h"
#include "services/detection/detector_inputs.h"
#include "services/detection/detector_recipe.h"
#include "services/detection/frustum_examples.h"
#include "services/detection/frustum_parameters.h"
#include "services/detection/frustum_pointnet.h"
#include "services/learning/device.h"
#include "services/learning/seeded.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"

namespace backfire::detection {
namespace {

using runtime::TensorMap;
using torch::Tensor;

// The full network holds 10 MB a frustum.
constexpr size_t kFrustaAtOnce = 16;

// What is the same for every object of a type.
struct FrustumClass {
  std::string type;
  int proposal_class = 0;
  int64_t one_hot = 0;
  int64_t size_cluster = 0;
};

FrustumClass ClassOf(const DetectorConfig& config) {
  FrustumClass result{config.type, config.proposal_class, 0, 0};
  if (config.type == "Pedestrian") result.one_hot = 1;
  if (config.type == "Cyclist") result.one_hot = 2;
  for (int64_t i = 0; i < kSizeClusterCount; ++i) {
    if (kSizeClusters[i].type == config.type) result.size_cluster = i;
  }
  return result;
}

FrustumPointNet MakeNetwork(const FrustumParameters& p, int64_t seed) {
  FrustumPointNetOptions options;
  options.width = p.width;
  options.object_points = p.object_points;
  options.dropout = p.dropout;
  return learning::MakeSeeded(seed, [&] { return FrustumPointNet(options); });
}

Tensor OneHot(const FrustumClass& of, int64_t batch, torch::Device device) {
  Tensor one_hot = torch::zeros({batch, kFrustumClasses});
  one_hot.select(1, of.one_hot).fill_(1);
  return one_hot.to(device);
}

class FrustumPredictor final : public runtime::Predictor {
 public:
  FrustumPredictor(FrustumClass of, const FrustumParameters& parameters, FrustumPointNet network,
                   torch::Device device, int threads)
      : class_(std::move(of)),
        parameters_(parameters),
        network_(std::move(network)),
        device_(device),
        threads_(threads) {}

  // Where each point projects to, and a frustum for each box.
  int64_t PeakBytes(const TensorMap& inputs) const override {
    const auto points = inputs.find("points"), boxes = inputs.find("boxes_2d");
    if (points == inputs.end() || boxes == inputs.end()) return 0;
    const int64_t of_frustum = parameters_.frustum.points * 4 * static_cast<int64_t>(sizeof(float));
    const int64_t box_count = boxes->second.ElementCount() / kProposalColumns;
    return 8 * static_cast<int64_t>(points->second.data.size()) + 2 * box_count * of_frustum;
  }

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const DetectorInputs read,
                              ReadDetectorInputs(inputs, class_.proposal_class));
    std::vector<Frustum> frusta;
    std::vector<Proposal> kept;
    Random random(0, 0);  // The same cloud gives the same detections.
    const std::vector<ProjectedPoint> points = Project(read.points, read.calibration);
    for (const Proposal& proposal : read.proposals) {
      if (proposal.score < parameters_.min_score) continue;
      if (cancelled()) return absl::CancelledError("cancelled while cutting frusta");
      Frustum frustum =
          CutFrustum(points, proposal.box, FrustumAngle(proposal.box, read.calibration),
                     parameters_.frustum, random, parameters_.min_points);
      if (frustum.size() == 0) continue;
      frusta.push_back(std::move(frustum));
      kept.push_back(proposal);
    }
    TensorMap outputs;
    std::vector<metrics::Object> detections;
    for (size_t begin = 0; begin < frusta.size(); begin += kFrustaAtOnce) {
      if (cancelled()) return absl::CancelledError("cancelled while looking into frusta");
      const size_t end = std::min(begin + kFrustaAtOnce, frusta.size());
      Detect({frusta.begin() + static_cast<std::ptrdiff_t>(begin),
              frusta.begin() + static_cast<std::ptrdiff_t>(end)},
             {kept.begin() + static_cast<std::ptrdiff_t>(begin),
              kept.begin() + static_cast<std::ptrdiff_t>(end)},
             detections);
    }
    outputs["detections"] = DetectionsToTensor(detections);
    return outputs;
  }

 private:
  void Detect(const std::vector<Frustum>& frusta, const std::vector<Proposal>& proposals,
              std::vector<metrics::Object>& detections) const {
    learning::UseThreads(threads_);
    const torch::InferenceMode no_gradient;
    std::vector<Tensor> clouds;
    for (const Frustum& frustum : frusta) {
      clouds.push_back(
          torch::from_blob(const_cast<float*>(frustum.points.data()), {frustum.size(), 4}));
    }
    // Inference changes nothing in an evaluated network: requests share it.
    auto& network = const_cast<FrustumPointNetImpl&>(*network_);
    const auto count = static_cast<int64_t>(frusta.size());
    const FrustumPrediction prediction =
        network.forward(torch::stack(clouds).to(device_), OneHot(class_, count, device_));
    const std::vector<metrics::Box3d> boxes = Boxes(prediction, frusta);
    const std::vector<double> scores = Scores(prediction);
    for (size_t i = 0; i < frusta.size(); ++i) {
      metrics::Object detection;
      detection.type = class_.type;
      detection.box_2d = proposals[i].box;
      detection.box_3d = boxes[i];
      const bool combined = parameters_.score == FrustumScore::kCombined;
      const bool proposal_only = parameters_.score == FrustumScore::kProposal;
      detection.score =
          (combined || proposal_only ? proposals[i].score : 1) * (proposal_only ? 1 : scores[i]);
      const metrics::Box3d& box = boxes[i];
      const double sum = box.x + box.y + box.z + box.height + box.width + box.length +
                         box.rotation_y + *detection.score;
      // A network that diverged has nothing to say.
      if (std::isfinite(sum)) detections.push_back(std::move(detection));
    }
  }

  std::vector<metrics::Box3d> Boxes(const FrustumPrediction& prediction,
                                    const std::vector<Frustum>& frusta) const {
    const Tensor center = prediction.center.to(torch::kCPU).contiguous();
    const Tensor bin = prediction.heading_scores.argmax(1).to(torch::kCPU);
    const Tensor cluster = prediction.size_scores.argmax(1).to(torch::kCPU);
    const Tensor heading = prediction.heading_residual.to(torch::kCPU).contiguous();
    const Tensor size = prediction.size_residual.to(torch::kCPU).contiguous();
    std::vector<metrics::Box3d> boxes;
    for (int64_t i = 0; i < center.size(0); ++i) {
      const float* c = center.data_ptr<float>() + 3 * i;
      const int64_t b = bin.data_ptr<int64_t>()[i], k = cluster.data_ptr<int64_t>()[i];
      const double half = M_PI / kHeadingBins;
      const double angle =
          half * (2 * static_cast<double>(b) + heading.data_ptr<float>()[i * kHeadingBins + b]);
      const float* residual = size.data_ptr<float>() + 3 * (i * kSizeClusterCount + k);
      // A box has a size, whatever the network says.
      const auto scaled = [](double mean, double relative) {
        return mean * std::max(1 + relative, 0.05);
      };
      const SizeCluster& mean = kSizeClusters[k];
      const FrustumBox box{c[0],
                           c[1],
                           c[2],
                           scaled(mean.height, residual[2]),
                           scaled(mean.width, residual[1]),
                           scaled(mean.length, residual[0]),
                           angle};
      boxes.push_back(FromFrustum(box, frusta[static_cast<size_t>(i)]));
    }
    return boxes;
  }

  // The network's own, in [0, 1].
  std::vector<double> Scores(const FrustumPrediction& prediction) const {
    const Tensor foreground = torch::softmax(prediction.logits, 2).select(2, 1);
    const Tensor mask = prediction.mask.to(torch::kFloat32);
    Tensor score;
    if (parameters_.score == FrustumScore::kMask) {
      score = std::get<0>((foreground * mask).max(1));
    } else {
      score = (foreground * mask).sum(1) / mask.sum(1).clamp_min(1);
      for (const Tensor& logits : {prediction.heading_scores, prediction.size_scores}) {
        score = score * std::get<0>(torch::softmax(logits, 1).max(1));
      }
    }
    score = score.to(torch::kCPU).contiguous();
    return {score.data_ptr<float>(), score.data_ptr<float>() + score.numel()};
  }

  const FrustumClass class_;
  const FrustumParameters parameters_;
  const FrustumPointNet network_;
  const torch::Device device_;
  const int threads_;
};

class FrustumPointNetRecipe final : public DetectorRecipe {
 public:
  FrustumPointNetRecipe(const DetectorConfig& config, const learning::DeviceOptions& options,
                        v1::Recipe defaults)
      : class_(ClassOf(config)), options_(options), defaults_(std::move(defaults)) {}

  const v1::Recipe& defaults() const override { return defaults_; }

  absl::Status Check(const v1::Recipe& recipe) const override {
    return ReadFrustumParameters(recipe).status();
  }

  // Training frusta are of labels' boxes: proposals are for what has no labels.
  std::vector<std::string> TrainingInputs() const override { return {"points"}; }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const FrustumParameters p, ReadFrustumParameters(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<FrustumExample> examples,
                              ReadFrustumExamples(class_.type, p, task, job));
    learning::UseThreads(static_cast<int>(p.threads));
    FrustumPointNet network = MakeNetwork(p, task.seed);
    network->to(device);
    const Tensor one_hot = OneHot(class_, p.batch, device);
    FrustumLossOptions loss_options;
    loss_options.doubled_size_residual = p.doubled_size_residual;
    const auto loss_of_step = [&](int64_t step) -> absl::StatusOr<Tensor> {
      Random random(static_cast<uint64_t>(task.seed), static_cast<uint64_t>(step) + 1);
      const FrustumBatch batch = MakeFrustumBatch(examples, p, random);
      const Tensor points =
          torch::tensor(batch.points).view({p.batch, p.frustum.points, kFrustumChannels});
      return ComputeFrustumLoss(network->forward(points.to(device), one_hot, &random),
                                Truth(batch, p, device), loss_options)
          .total;
    };
    learning::TrainingSchedule schedule;
    schedule.steps = p.steps;
    schedule.learning_rate = p.learning_rate;
    schedule.warmup_steps = 20;
    schedule.gradient_norm = 100;
    BACKFIRE_RETURN_IF_ERROR(
        learning::RunTraining(schedule, task.files, loss_of_step, *network, job));
    return learning::SaveWeights(*network);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const FrustumParameters p, ReadFrustumParameters(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    FrustumPointNet network = MakeNetwork(p, 0);
    BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
    network->to(device);
    network->eval();
    return std::make_unique<FrustumPredictor>(class_, p, std::move(network), device,
                                              options_.prediction_threads);
  }

  absl::StatusOr<std::string> UntrainedWeights(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const FrustumParameters p, ReadFrustumParameters(recipe));
    return learning::SaveWeights(*MakeNetwork(p, 0));
  }

 private:
  FrustumTruth Truth(const FrustumBatch& batch, const FrustumParameters& p,
                     torch::Device device) const {
    const SizeCluster& mean = kSizeClusters[class_.size_cluster];
    std::vector<int64_t> bins;
    std::vector<float> residuals;
    for (const float heading : batch.heading) {
      const auto [bin, residual] = HeadingBin(heading);
      bins.push_back(bin);
      residuals.push_back(static_cast<float>(residual));
    }
    FrustumTruth truth;
    truth.mask = torch::tensor(batch.mask).view({p.batch, p.frustum.points}).to(device);
    truth.center = torch::tensor(batch.center).view({p.batch, 3}).to(device);
    truth.heading_bin = torch::tensor(bins).to(device);
    truth.heading_residual = torch::tensor(residuals).to(device);
    truth.size_cluster = torch::full({p.batch}, class_.size_cluster, torch::kInt64).to(device);
    truth.size_residual = (torch::tensor(batch.size).view({p.batch, 3}) -
                           torch::tensor({mean.length, mean.width, mean.height}))
                              .to(device);
    truth.weight = torch::tensor(batch.weight).to(device);
    return truth;
  }

  const FrustumClass class_;
  const learning::DeviceOptions options_;
  const v1::Recipe defaults_;
};

}  // namespace

std::unique_ptr<DetectorRecipe> MakeFrustumPointNetRecipe(const DetectorConfig& config,
                                                          const learning::DeviceOptions& options) {
  return std::make_unique<FrustumPointNetRecipe>(config, options, SmallFrustumRecipe());
}

std::unique_ptr<DetectorRecipe> MakeFullFrustumPointNetRecipe(
    const DetectorConfig& config, const learning::DeviceOptions& options) {
  return std::make_unique<FrustumPointNetRecipe>(config, options, FullFrustumRecipe());
}

}  // namespace backfire::detection
