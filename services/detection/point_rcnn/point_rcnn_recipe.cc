#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "services/base/status.h"
#include "services/datasets/calibration.h"
#include "services/detection/detections_tensor.h"
#include "services/detection/detector_inputs.h"
#include "services/detection/detector_recipe.h"
#include "services/detection/point_rcnn/box_coding.h"
#include "services/detection/point_rcnn/box_kernels.h"
#include "services/detection/point_rcnn/cloud_preparation.h"
#include "services/detection/point_rcnn/point_rcnn.h"
#include "services/detection/point_rcnn/point_rcnn_parameters.h"
#include "services/detection/point_rcnn/point_rcnn_training.h"
#include "services/detection/point_rcnn/proposal_layer.h"
#include "services/detection/point_rcnn/stage_labels.h"
#include "services/detection/point_rcnn/stage_losses.h"
#include "services/learning/device.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"

namespace backfire::detection {
namespace {

using at::Tensor;
using runtime::TensorMap;

constexpr double kGradientNorm = 1;
constexpr double kPublishedSizeWeight = 3;
// Streams of random numbers: a step's is one of these plus its number.
constexpr uint64_t kProposalStream = 1, kRefinementStream = uint64_t{1} << 32;

PointRcnn MakeNetwork(const DetectorConfig& config, const PointRcnnParameters& p, int64_t seed) {
  PointRcnnOptions options;
  options.mean_size = config.mean_size;
  options.points = p.cloud.points;
  options.width = p.width;
  options.radius_scale = p.radius_scale;
  options.dropout = p.dropout;
  options.roi_points = p.roi_points;
  return PointRcnn(options, static_cast<uint64_t>(seed));
}

// A copy.
Tensor Table(const std::vector<float>& values, int64_t columns) {
  return at::tensor(values, at::kFloat).view({-1, columns});
}

// The 2D box around a 3D box's corners in the left image, whose size is taken to be twice its
// principal point: requests don't carry it.
metrics::Box2d ProjectBox(const float* box, const datasets::StereoCalibration& calibration) {
  metrics::Box2d image{1e9, 1e9, -1e9, -1e9};
  const double c = std::cos(box[6]), s = std::sin(box[6]);
  for (int corner = 0; corner < 8; ++corner) {
    const double l = (corner & 1 ? 0.5 : -0.5) * box[5], w = (corner & 2 ? 0.5 : -0.5) * box[4];
    const double x = box[0] + c * l + s * w, z = std::max(box[2] - s * l + c * w, 0.1);
    const double y = box[1] - (corner & 4 ? box[3] : 0);
    const auto& p = calibration.left;
    const double scale = p[8] * x + p[9] * y + p[10] * z + p[11];
    const double u = (p[0] * x + p[1] * y + p[2] * z + p[3]) / scale;
    const double v = (p[4] * x + p[5] * y + p[6] * z + p[7]) / scale;
    image.left = std::min(image.left, u);
    image.right = std::max(image.right, u);
    image.top = std::min(image.top, v);
    image.bottom = std::max(image.bottom, v);
  }
  const double width = 2 * calibration.centre_x_px(), height = 2 * calibration.centre_y_px();
  image.left = std::clamp(image.left, 0.0, width);
  image.right = std::clamp(image.right, 0.0, width);
  image.top = std::clamp(image.top, 0.0, height);
  image.bottom = std::clamp(image.bottom, 0.0, height);
  return image;
}

class PointRcnnPredictor final : public runtime::Predictor {
 public:
  PointRcnnPredictor(DetectorConfig config, PointRcnnParameters parameters, PointRcnn network,
                     at::Device device, int threads)
      : config_(std::move(config)),
        parameters_(std::move(parameters)),
        network_(std::move(network)),
        device_(device),
        threads_(threads) {}

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::Tensor* points, runtime::FindTensor(inputs, "points"));
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::Tensor* tensor,
                              runtime::FindTensor(inputs, "calibration"));
    BACKFIRE_ASSIGN_OR_RETURN(const PointCloudView cloud, ViewPointCloud(*points));
    const auto calibration = datasets::CalibrationFromTensor(*tensor);
    if (!calibration.ok()) return Annotate(calibration.status(), "input \"calibration\"");
    Random random(0, 0);  // The same cloud gives the same detections.
    const std::vector<float> sampled =
        SamplePoints(PointsInRange(cloud, parameters_.cloud), parameters_.cloud.points, random);
    TensorMap outputs;
    if (sampled.empty()) {
      outputs["detections"] = DetectionsToTensor({});
      return outputs;
    }
    BACKFIRE_ASSIGN_OR_RETURN(const auto detections, Detect(sampled, *calibration, cancelled));
    outputs["detections"] = DetectionsToTensor(detections);
    return outputs;
  }

 private:
  absl::StatusOr<std::vector<metrics::Object>> Detect(
      const std::vector<float>& points, const datasets::StereoCalibration& calibration,
      const std::function<bool()>& cancelled) const {
    learning::UseThreads(threads_);
    const at::NoGradGuard no_gradient;
    // Inference changes nothing in an evaluated network: requests share it.
    auto& network = const_cast<PointRcnnImpl&>(*network_);
    const Tensor xyz = Table(points, 3).to(device_);
    const PointPredictions first =
        network.proposals->forward(pointnet2::StackClouds(xyz.unsqueeze(0)), nullptr);
    if (cancelled()) return absl::CancelledError("cancelled between the stages");
    ProposalLimits limits;
    limits.after = parameters_.proposals;
    const Proposals proposals =
        ProposeBoxes(xyz, first.scores, first.regression, config_.mean_size, limits);
    std::vector<metrics::Object> detections;
    if (proposals.scores.size(0) == 0) return detections;
    const RoiPoints rois = PoolRois(xyz, SegmentationMask(first.scores), NormalisedDepth(xyz),
                                    first.features, proposals.boxes, parameters_.roi_points);
    const RoiPredictions second = network.refinement->forward(rois);
    const Tensor boxes = DecodeBoxes(proposals.boxes.to(device_), second.regression,
                                     kRefinementCoding, config_.mean_size);
    // Logits in double: in float the surest ones would tie at 1.
    const Tensor score = at::sigmoid(second.scores.to(at::kDouble)).to(at::kCPU);
    const Tensor sure = (score > parameters_.min_score).nonzero().squeeze(1);
    const Tensor order = std::get<1>(at::sort(score.index_select(0, sure), /*stable=*/true, 0,
                                              /*descending=*/true));
    const Tensor ranked = sure.index_select(0, order);
    const Tensor rows = boxes.to(at::kCPU).index_select(0, ranked).contiguous();
    const auto* row = rows.data_ptr<float>();
    for (const int64_t i :
         SuppressRotated(row, rows.size(0), parameters_.max_overlap, rows.size(0))) {
      const float* box = row + i * kBoxColumns;
      if (!(box[3] > 0 && box[4] > 0 && box[5] > 0)) continue;
      metrics::Object& detection = detections.emplace_back();
      detection.type = config_.type;
      detection.box_2d = ProjectBox(box, calibration);
      detection.box_3d = BoxOfRow(box);
      detection.score = score[ranked[i].item<int64_t>()].item<double>();
    }
    return detections;
  }

  const DetectorConfig config_;
  const PointRcnnParameters parameters_;
  const PointRcnn network_;
  const at::Device device_;
  const int threads_;
};

// Shows both stages as one training.
class StageJob final : public runtime::JobContext {
 public:
  StageJob(runtime::JobContext& job, int64_t done, int64_t total)
      : job_(job), done_(done), total_(total) {}
  void Report(const v1::Progress& progress) override {
    v1::Progress whole = progress;
    const auto left = static_cast<double>(progress.total_steps() - progress.step());
    if (left > 0) {
      // As if the other stage's steps took as long as this one's.
      whole.set_eta_seconds(progress.eta_seconds() / left *
                            static_cast<double>(total_ - done_ - progress.step()));
    }
    whole.set_step(done_ + progress.step());
    whole.set_total_steps(total_);
    job_.Report(whole);
  }
  bool cancelled() const override { return job_.cancelled(); }

 private:
  runtime::JobContext& job_;
  const int64_t done_, total_;
};

// Computes the losses of both stages' steps: functions of seed and step alone.
class Trainer {
 public:
  Trainer(const PointRcnnTrainingSet& set, const PointRcnnParameters& p, int64_t seed,
          PointRcnn network, at::Device device)
      : set_(set),
        p_(p),
        seed_(static_cast<uint64_t>(seed)),
        network_(std::move(network)),
        device_(device) {}

  Tensor ProposalStep(int64_t step) {
    Random random(seed_, kProposalStream + static_cast<uint64_t>(step));
    const std::vector<LabelledCloud> clouds = DrawBatch(random);
    std::vector<int64_t> labels;
    std::vector<float> truth;
    for (const LabelledCloud& cloud : clouds) {
      const PointLabels of_cloud = LabelPoints(cloud);
      labels.insert(labels.end(), of_cloud.labels.begin(), of_cloud.labels.end());
      truth.insert(truth.end(), of_cloud.truth.begin(), of_cloud.truth.end());
    }
    const PointPredictions found = network_->proposals->forward(Stack(clouds), &random);
    return Weighted(
        ProposalLoss(found.scores, found.regression, at::tensor(labels, at::kLong).to(device_),
                     Table(truth, kBoxColumns).to(device_), network_->options.mean_size));
  }

  // The first stage stays as it is.
  Tensor RefinementStep(int64_t step) {
    Random random(seed_, kRefinementStream + static_cast<uint64_t>(step));
    const std::vector<LabelledCloud> clouds = DrawBatch(random);
    std::vector<RoiPoints> rois;
    RoiSample samples;
    {
      const at::NoGradGuard no_gradient;
      network_->proposals->eval();
      const pointnet2::Clouds stacked = Stack(clouds);
      const PointPredictions found = network_->proposals->forward(stacked, nullptr);
      const Tensor mask = SegmentationMask(found.scores), depth = NormalisedDepth(stacked.xyz);
      ProposalLimits limits = ProposalLimits::ForTraining();
      limits.after = p_.train_proposals;
      for (size_t i = 0; i < clouds.size(); ++i) {
        const int64_t first = stacked.start[i], count = stacked.start[i + 1] - first;
        const auto part = [&](const Tensor& rows) { return rows.narrow(0, first, count); };
        const Tensor proposals =
            ProposeBoxes(part(stacked.xyz), part(found.scores), part(found.regression),
                         network_->options.mean_size, limits)
                .boxes;
        const auto* row = proposals.data_ptr<float>();
        const RoiSample sample =
            SampleRois({row, row + proposals.numel()}, clouds[i].boxes, p_.train_rois, random);
        if (sample.labels.empty()) continue;
        rois.push_back(PoolRois(part(stacked.xyz), part(mask), part(depth), part(found.features),
                                Table(sample.boxes, kBoxColumns), p_.roi_points));
        samples.labels.insert(samples.labels.end(), sample.labels.begin(), sample.labels.end());
        samples.valid.insert(samples.valid.end(), sample.valid.begin(), sample.valid.end());
        samples.truth.insert(samples.truth.end(), sample.truth.begin(), sample.truth.end());
      }
    }
    // No proposal in any cloud: nothing to learn from in this step.
    if (rois.empty()) return network_->refinement->parameters()[0].sum() * 0;
    RoiPoints joined = JoinRois(rois);
    // An empty RoI says nothing about what it should hold.
    for (size_t i = 0; i < joined.counts.size(); ++i) {
      if (joined.counts[i] == 0) samples.labels[i] = -1, samples.valid[i] = 0;
    }
    const RoiPredictions found = network_->refinement->forward(joined);
    return Weighted(RefinementLoss(
        found.scores, found.regression, at::tensor(samples.labels, at::kLong).to(device_),
        at::tensor(samples.valid, at::kLong).to(device_),
        Table(samples.truth, kBoxColumns).to(device_), network_->options.mean_size));
  }

 private:
  // The published total has the size's loss three times.
  Tensor Weighted(const StageLoss& loss) const {
    if (loss.positives == 0) return loss.total;
    return loss.total + (p_.size_weight - kPublishedSizeWeight) * loss.regression.size;
  }
  std::vector<LabelledCloud> DrawBatch(Random& random) const {
    std::vector<LabelledCloud> clouds;
    for (int64_t i = 0; i < p_.batch; ++i) clouds.push_back(DrawCloud(set_, p_, random));
    return clouds;
  }
  pointnet2::Clouds Stack(const std::vector<LabelledCloud>& clouds) const {
    std::vector<Tensor> parts;
    for (const LabelledCloud& cloud : clouds) parts.push_back(Table(cloud.points, 3));
    return pointnet2::StackClouds(at::stack(parts).to(device_));
  }

  const PointRcnnTrainingSet& set_;
  const PointRcnnParameters& p_;
  const uint64_t seed_;
  PointRcnn network_;
  const at::Device device_;
};

class PointRcnnRecipe final : public DetectorRecipe {
 public:
  PointRcnnRecipe(DetectorConfig config, learning::DeviceOptions options, bool small)
      : config_(std::move(config)),
        options_(std::move(options)),
        defaults_(DefaultPointRcnnRecipe(small)) {}

  const v1::Recipe& defaults() const override { return defaults_; }
  absl::Status Check(const v1::Recipe& recipe) const override {
    return ReadPointRcnnParameters(recipe).status();
  }
  std::vector<std::string> TrainingInputs() const override { return {"points"}; }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const PointRcnnParameters p, ReadPointRcnnParameters(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const at::Device device, learning::ChooseDevice(options_));
    BACKFIRE_ASSIGN_OR_RETURN(const PointRcnnTrainingSet set,
                              ReadPointRcnnTrainingSet(config_, p, task, job));
    learning::UseThreads(static_cast<int>(p.threads));
    PointRcnn network = MakeNetwork(config_, p, task.seed);
    network->to(device);
    Trainer trainer(set, p, task.seed, network, device);
    learning::TrainingSchedule schedule;
    schedule.one_cycle = true;
    schedule.weight_decay = p.weight_decay;
    schedule.gradient_norm = kGradientNorm;
    schedule.steps = p.proposal_steps;
    schedule.learning_rate = p.proposal_learning_rate;
    const int64_t total = p.proposal_steps + p.refinement_steps;
    StageJob first(job, 0, total), second(job, p.proposal_steps, total);
    BACKFIRE_RETURN_IF_ERROR(learning::RunTraining(
        schedule, task.files,
        [&](int64_t step) -> absl::StatusOr<Tensor> { return trainer.ProposalStep(step); },
        *network->proposals, first));
    schedule.steps = p.refinement_steps;
    schedule.learning_rate = p.refinement_learning_rate;
    runtime::TrainingFiles files = task.files;
    files.checkpoint += ".refinement";
    BACKFIRE_RETURN_IF_ERROR(learning::RunTraining(
        schedule, files,
        [&](int64_t step) -> absl::StatusOr<Tensor> { return trainer.RefinementStep(step); },
        *network->refinement, second));
    return learning::SaveWeights(*network);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const PointRcnnParameters p, ReadPointRcnnParameters(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const at::Device device, learning::ChooseDevice(options_));
    PointRcnn network = MakeNetwork(config_, p, 0);
    BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
    network->to(device);
    network->eval();
    return std::make_unique<PointRcnnPredictor>(config_, p, std::move(network), device,
                                                options_.prediction_threads);
  }

  absl::StatusOr<std::string> UntrainedWeights(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const PointRcnnParameters p, ReadPointRcnnParameters(recipe));
    return learning::SaveWeights(*MakeNetwork(config_, p, 0));
  }

 private:
  const DetectorConfig config_;
  const learning::DeviceOptions options_;
  const v1::Recipe defaults_;
};

}  // namespace

std::vector<std::unique_ptr<DetectorRecipe>> MakePointRcnnRecipes(
    const DetectorConfig& config, const learning::DeviceOptions& options) {
  std::vector<std::unique_ptr<DetectorRecipe>> recipes;
  for (const bool small : {false, true}) {
    recipes.push_back(std::make_unique<PointRcnnRecipe>(config, options, small));
  }
  return recipes;
}

}  // namespace backfire::detection
