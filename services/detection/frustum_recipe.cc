#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/mutex.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/detections_tensor.h"
#include "services/detection/detector_inputs.h"
#include "services/detection/detector_recipe.h"
#include "services/detection/frustum.h"
#include "services/detection/frustum_pointnet.h"
#include "services/learning/device.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"
#include "services/metrics/iou.h"
#include "services/runtime/recipe.h"

namespace backfire::detection {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

// Proposals that overlap a label by more than this are of that object.
constexpr double kProposalIou = 0.5;

struct Parameters {
  learning::TrainingSchedule schedule;
  int64_t batch = 16;
  int64_t points = 256;
  int64_t min_points = 8;
  double min_score = 0.1;
  double box_jitter = 0.1;
  int64_t threads = 1;
};

absl::StatusOr<Parameters> ReadParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  Parameters p;
  p.schedule.steps = reader.Integer("steps", 1, 10'000'000);
  p.schedule.learning_rate = reader.Number("learning_rate", 1e-7, 1);
  p.schedule.warmup_steps = 20;
  p.schedule.gradient_norm = 50;
  p.batch = reader.Integer("batch", 2, 1024);
  p.points = reader.Integer("points", 8, 16384);
  p.min_points = reader.Integer("min_points", 1, 1024);
  p.min_score = reader.Number("min_score", 0, 1);
  p.box_jitter = reader.Number("box_jitter", 0, 1);
  p.threads = reader.Integer("threads", 1, 1024);
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  return p;
}

FrustumPointNet MakeNetwork(const DetectorConfig& config, int64_t seed) {
  // Initialisation draws from LibTorch's one global generator; jobs of one process take turns.
  static Mutex mutex;
  MutexLock lock(mutex);
  torch::manual_seed(static_cast<uint64_t>(seed));
  return FrustumPointNet(config.mean_size);
}

class FrustumPredictor final : public runtime::Predictor {
 public:
  FrustumPredictor(DetectorConfig config, Parameters parameters, FrustumPointNet network,
                   torch::Device device)
      : config_(std::move(config)),
        parameters_(parameters),
        network_(std::move(network)),
        device_(device) {}

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const DetectorInputs read,
                              ReadDetectorInputs(inputs, config_.proposal_class));
    std::vector<Frustum> frusta;
    std::vector<Proposal> kept;
    Random random(0, 0);  // The same cloud gives the same detections.
    for (const Proposal& proposal : read.proposals) {
      if (proposal.score < parameters_.min_score) continue;
      if (cancelled()) return absl::CancelledError("cancelled while cutting frusta");
      Frustum frustum = ExtractFrustum(read.points, read.calibration, proposal.box,
                                       parameters_.points, parameters_.min_points, random);
      if (frustum.size() == 0) continue;
      frusta.push_back(std::move(frustum));
      kept.push_back(proposal);
    }
    TensorMap outputs;
    outputs["detections"] = DetectionsToTensor(Detect(frusta, kept));
    return outputs;
  }

 private:
  std::vector<metrics::Object> Detect(const std::vector<Frustum>& frusta,
                                      const std::vector<Proposal>& proposals) const {
    std::vector<metrics::Object> detections;
    if (frusta.empty()) return detections;
    learning::UseThreads(1);
    const torch::InferenceMode no_gradient;
    std::vector<torch::Tensor> clouds;
    std::vector<float> depths;
    for (const Frustum& frustum : frusta) {
      clouds.push_back(
          torch::from_blob(const_cast<float*>(frustum.points.data()), {frustum.size(), 3}));
      depths.push_back(static_cast<float>(frustum.depth_m));
    }
    // Inference changes nothing in an evaluated network: requests share it.
    auto& network = const_cast<FrustumPointNetImpl&>(*network_);
    const FrustumPrediction prediction =
        network.forward(torch::stack(clouds).to(device_), torch::tensor(depths).to(device_));
    const torch::Tensor centre = prediction.centre.to(torch::kCPU).contiguous();
    const torch::Tensor size = network.Size(prediction).to(torch::kCPU).contiguous();
    const torch::Tensor heading = network.Heading(prediction).to(torch::kCPU).contiguous();
    for (size_t i = 0; i < frusta.size(); ++i) {
      const float* c = centre.data_ptr<float>() + 3 * i;
      const float* s = size.data_ptr<float>() + 3 * i;
      FrustumBox box{c[0], c[1], c[2], s[0], s[1], s[2], heading.data_ptr<float>()[i]};
      metrics::Object& detection = detections.emplace_back();
      detection.type = config_.type;
      detection.box_2d = proposals[i].box;
      detection.box_3d = FromFrustum(box, frusta[i]);
      detection.score = proposals[i].score;
    }
    std::stable_sort(detections.begin(), detections.end(),
                     [](const auto& a, const auto& b) { return *a.score > *b.score; });
    return detections;
  }

  const DetectorConfig config_;
  const Parameters parameters_;
  const FrustumPointNet network_;
  const torch::Device device_;
};

// What a training learns from: every labelled object with the 2D boxes that it may be seen in.
struct TrainingData {
  struct Frame {
    Tensor points;
    datasets::StereoCalibration calibration;
  };
  struct Example {
    size_t frame = 0;
    metrics::Object label;
    std::vector<metrics::Box2d> proposals;  // Of this object.
  };
  std::vector<Frame> frames;
  std::vector<Example> examples;
};

absl::StatusOr<TrainingData> ReadTrainingData(const DetectorConfig& config, const Parameters& p,
                                              const runtime::TrainingTask& task,
                                              runtime::JobContext& job) {
  const auto& dataset = static_cast<const datasets::StereoDataset&>(*task.dataset);
  TrainingData data;
  const int64_t count = dataset.size(Split::kTrain);
  for (int64_t i = 0; i < count; ++i) {
    if (job.cancelled()) return absl::CancelledError("cancelled while reading the dataset");
    v1::Progress progress;
    progress.set_stage("reading inputs");
    progress.set_step(i);
    progress.set_total_steps(count);
    job.Report(progress);
    BACKFIRE_ASSIGN_OR_RETURN(TensorMap inputs, task.train_inputs->Get(i));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* points, runtime::FindTensor(inputs, "points"));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* boxes_2d, runtime::FindTensor(inputs, "boxes_2d"));
    BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset.Labels(Split::kTrain, i));
    data.frames.push_back({*points, calibration});
    BACKFIRE_ASSIGN_OR_RETURN(const PointCloudView cloud, ViewPointCloud(*points));
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<Proposal> proposals,
                              ReadProposals(*boxes_2d, config.proposal_class));
    for (const metrics::Object& label : labels) {
      if (label.type != config.type) continue;
      Random random(0, 0);
      const Frustum frustum =
          ExtractFrustum(cloud, calibration, label.box_2d, p.points, p.min_points, random);
      if (frustum.size() == 0) continue;
      TrainingData::Example& example = data.examples.emplace_back();
      example.frame = data.frames.size() - 1;
      example.label = label;
      for (const Proposal& proposal : proposals) {
        if (metrics::Iou2d(proposal.box, label.box_2d) > kProposalIou) {
          example.proposals.push_back(proposal.box);
        }
      }
    }
  }
  if (data.examples.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("the training split has no object of type ",
                                                      config.type, " with ", p.min_points,
                                                      " points of the cloud in its box"));
  }
  return data;
}

metrics::Box2d Jitter(const metrics::Box2d& box, double amount, Random& random) {
  const double x = (box.left + box.right) / 2 + box.width() * random.Uniform(-amount, amount);
  const double y = (box.top + box.bottom) / 2 + box.height() * random.Uniform(-amount, amount);
  const double width = box.width() * random.Uniform(1 - amount, 1 + amount);
  const double height = box.height() * random.Uniform(1 - amount, 1 + amount);
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
}

struct Batch {
  torch::Tensor points, depth;
  FrustumTruth truth;
};

// The batch of a step: a function of seed and step alone, so that a training can go on anywhere.
Batch MakeBatch(const TrainingData& data, const Parameters& p, int64_t seed, int64_t step) {
  Random random(static_cast<uint64_t>(seed), static_cast<uint64_t>(step) + 1);
  std::vector<float> points, depth, centre, size, heading;
  std::vector<int64_t> mask;
  for (int64_t b = 0; b < p.batch; ++b) {
    Frustum frustum;
    const TrainingData::Example* example = nullptr;
    // A jittered box may miss its points; the label's own box never does.
    for (int attempt = 0; frustum.size() == 0; ++attempt) {
      if (attempt == 0) {
        const auto pick = random.Below(static_cast<int64_t>(data.examples.size()));
        example = &data.examples[static_cast<size_t>(pick)];
      }
      metrics::Box2d box = example->label.box_2d;
      if (attempt == 0 && !example->proposals.empty() && random.Uniform() < 0.5) {
        const auto pick = random.Below(static_cast<int64_t>(example->proposals.size()));
        box = example->proposals[static_cast<size_t>(pick)];
      } else if (attempt == 0) {
        box = Jitter(box, p.box_jitter, random);
      }
      const TrainingData::Frame& frame = data.frames[example->frame];
      frustum =
          ExtractFrustum({frame.points.As<float>(), frame.points.shape[0], frame.points.shape[1]},
                         frame.calibration, box, p.points, p.min_points, random);
    }
    FrustumBox box = ToFrustum(example->label.box_3d, frustum);
    if (random.Uniform() < 0.5) Mirror(frustum, box);
    for (int64_t i = 0; i < frustum.size(); ++i) {
      mask.push_back(Inside(box, frustum.points.data() + 3 * i) ? 1 : 0);
    }
    points.insert(points.end(), frustum.points.begin(), frustum.points.end());
    depth.push_back(static_cast<float>(frustum.depth_m));
    for (const double value : {box.x, box.y, box.z}) centre.push_back(static_cast<float>(value));
    for (const double value : {box.height, box.width, box.length}) {
      size.push_back(static_cast<float>(value));
    }
    heading.push_back(static_cast<float>(box.heading));
  }
  Batch batch;
  batch.points = torch::tensor(points).view({p.batch, p.points, 3});
  batch.depth = torch::tensor(depth);
  batch.truth.mask = torch::tensor(mask).view({p.batch, p.points});
  batch.truth.centre = torch::tensor(centre).view({p.batch, 3});
  batch.truth.size = torch::tensor(size).view({p.batch, 3});
  batch.truth.heading = torch::tensor(heading);
  return batch;
}

v1::Recipe Defaults() {
  v1::Recipe recipe;
  recipe.set_name("frustum-pointnet");
  runtime::SetParameter(recipe, "steps", 1000);
  runtime::SetParameter(recipe, "batch", 16);
  runtime::SetParameter(recipe, "points", 256);
  runtime::SetParameter(recipe, "min_points", 8);
  runtime::SetParameter(recipe, "min_score", 0.1);
  runtime::SetParameter(recipe, "box_jitter", 0.1);
  runtime::SetParameter(recipe, "learning_rate", 2e-3);
  runtime::SetParameter(recipe, "threads", 1);
  return recipe;
}

class FrustumPointNetRecipe final : public DetectorRecipe {
 public:
  FrustumPointNetRecipe(DetectorConfig config, const learning::DeviceOptions& options)
      : config_(std::move(config)), options_(options), defaults_(Defaults()) {}

  const v1::Recipe& defaults() const override { return defaults_; }

  absl::Status Check(const v1::Recipe& recipe) const override {
    return ReadParameters(recipe).status();
  }

  std::vector<std::string> TrainingInputs() const override { return {"points", "boxes_2d"}; }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    BACKFIRE_ASSIGN_OR_RETURN(const TrainingData data, ReadTrainingData(config_, p, task, job));
    learning::UseThreads(static_cast<int>(p.threads));
    FrustumPointNet network = MakeNetwork(config_, task.seed);
    network->to(device);
    const auto loss_of_step = [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
      Batch batch = MakeBatch(data, p, task.seed, step);
      for (torch::Tensor* tensor :
           {&batch.truth.mask, &batch.truth.centre, &batch.truth.size, &batch.truth.heading}) {
        *tensor = tensor->to(device);
      }
      return network->Loss(network->forward(batch.points.to(device), batch.depth.to(device)),
                           batch.truth);
    };
    BACKFIRE_RETURN_IF_ERROR(
        learning::RunTraining(p.schedule, task.checkpoint_path, loss_of_step, *network, job));
    return learning::SaveWeights(*network);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    FrustumPointNet network = MakeNetwork(config_, 0);
    BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
    network->to(device);
    network->eval();
    return std::make_unique<FrustumPredictor>(config_, p, std::move(network), device);
  }

 private:
  const DetectorConfig config_;
  const learning::DeviceOptions options_;
  const v1::Recipe defaults_;
};

}  // namespace

std::unique_ptr<DetectorRecipe> MakeFrustumPointNetRecipe(const DetectorConfig& config,
                                                          const learning::DeviceOptions& options) {
  return std::make_unique<FrustumPointNetRecipe>(config, options);
}

}  // namespace backfire::detection
