#include "services/proposals/proposals_model.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/detections_tensor.h"
#include "services/learning/checkpoint_weights.h"
#include "services/learning/device.h"
#include "services/learning/seeded.h"
#include "services/learning/torch_tensor.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"
#include "services/metrics/average_precision.h"
#include "services/proposals/centre_point.h"
#include "services/runtime/for_each_example.h"
#include "services/runtime/recipe.h"

namespace backfire::proposals {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

struct Parameters {
  learning::TrainingSchedule schedule;
  int64_t channels = 16;
  int64_t batch = 4;
  double min_score = 0.05;
  int64_t max_boxes = 50;
  int64_t threads = 1;
};

absl::StatusOr<Parameters> ReadParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  Parameters p;
  p.schedule.steps = reader.Integer("steps");
  p.schedule.learning_rate = reader.Number("learning_rate");
  p.schedule.warmup_steps = 20;
  p.schedule.gradient_norm = 50;
  p.channels = reader.Integer("channels");
  p.batch = reader.Integer("batch");
  p.min_score = reader.Number("min_score");
  p.max_boxes = reader.Integer("max_boxes");
  p.threads = reader.Integer("threads");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  return p;
}

v1::Model Describe() {
  v1::Model model;
  model.set_name("models/proposals");
  model.set_kind(v1::Model::MODEL);
  model.set_description("2D boxes of cars and pedestrians in the left image.");
  auto* left = model.add_inputs();
  left->set_name("left");
  left->set_datatype("UINT8");
  for (const int64_t size : {-1, -1, 3}) left->add_shape(size);
  left->set_description("Image, height x width x RGB.");
  auto* boxes = model.add_outputs();
  boxes->set_name("boxes_2d");
  boxes->set_datatype("FP32");
  boxes->add_shape(-1);
  boxes->add_shape(detection::kProposalColumns);
  boxes->set_description("left, top, right, bottom (px), score, class (0 Car, 1 Pedestrian).");
  v1::Recipe& recipe = *model.add_recipes();
  recipe.set_name("centre-point");
  runtime::Declare(recipe, "channels", 16, {2, 256}, "", "Of the first layer; all others follow.");
  runtime::Declare(recipe, "steps", 600, {1, 10'000'000}, "", "Steps of the optimiser.");
  runtime::Declare(recipe, "batch", 4, {2, 256}, "", "Images in a step.");
  runtime::Declare(recipe, "learning_rate", 2e-3, {1e-7, 1}, "", "Of Adam, at its highest.");
  runtime::Declare(recipe, "min_score", 0.05, {0, 1}, "", "Boxes that are less sure are left out.");
  runtime::Declare(recipe, "max_boxes", 50, {1, 10'000}, "", "Of an image, the surest ones.");
  runtime::Declare(recipe, "threads", 1, {1, 1024}, "", "Of a training; results depend on it.");
  for (const auto& [name, overlap] :
       {std::pair("ap_2d_car", "0.7"), std::pair("ap_2d_pedestrian", "0.5")}) {
    auto* loss = model.add_losses();
    loss->set_name(name);
    loss->set_unit("percent");
    loss->set_minimum(-100);
    loss->set_maximum(0);
    loss->set_description(absl::StrCat("Negated 2D average precision, KITTI's moderate rules, 40 ",
                                       "recall points, overlap above ", overlap, "."));
  }
  return model;
}

CentrePoint MakeNetwork(int64_t channels, int64_t seed) {
  return learning::MakeSeeded(seed, [&] { return CentrePoint(channels); });
}

int64_t RoundUp(int64_t size) {
  return (size + kImageMultiple - 1) / kImageMultiple * kImageMultiple;
}

// UINT8 [H, W, 3] to FP32 [3, height, width] in [-1, 1], padded at the bottom and on the right.
torch::Tensor Prepare(const torch::Tensor& image, int64_t height, int64_t width) {
  const torch::Tensor values = image.permute({2, 0, 1}).to(torch::kFloat32) / 127.5 - 1.0;
  return torch::constant_pad_nd(values, {0, width - image.size(1), 0, height - image.size(0)});
}

class ProposalsPredictor final : public runtime::Predictor {
 public:
  ProposalsPredictor(const Parameters& parameters, CentrePoint network, torch::Device device,
                     int threads)
      : parameters_(parameters), network_(std::move(network)), device_(device), threads_(threads) {}

  // Of a pixel: the image and its copies in float32, and the layers at half its resolution.
  int64_t PeakBytes(const TensorMap& inputs) const override {
    const auto left = inputs.find("left");
    if (left == inputs.end()) return 0;
    const int64_t floats = 12 + parameters_.channels;
    return left->second.ElementCount() / 3 * floats * static_cast<int64_t>(sizeof(float));
  }

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* left, runtime::FindTensor(inputs, "left"));
    const int64_t height = left->shape[0], width = left->shape[1];
    if (height < kImageMultiple || width < kImageMultiple) {
      return absl::InvalidArgumentError(absl::StrCat("input \"left\" must have at least ",
                                                     kImageMultiple, " x ", kImageMultiple,
                                                     " pixels: got ", height, " x ", width));
    }
    if (cancelled()) return absl::CancelledError("cancelled before the prediction");
    learning::UseThreads(threads_);
    const torch::InferenceMode no_gradient;
    const torch::Tensor image =
        Prepare(learning::ViewOf(*left), RoundUp(height), RoundUp(width)).unsqueeze(0);
    // Inference changes nothing in an evaluated network: requests share it.
    const CentrePointMaps maps = const_cast<CentrePointImpl&>(*network_).forward(image.to(device_));
    const std::vector<ProposedBox> boxes =
        Decode(maps, height, width, parameters_.min_score, parameters_.max_boxes);
    TensorMap outputs;
    Tensor& tensor = outputs["boxes_2d"];
    tensor = runtime::MakeTensor(runtime::Datatype::kFp32,
                                 {static_cast<int64_t>(boxes.size()), detection::kProposalColumns});
    float* row = tensor.MutableAs<float>();
    for (const ProposedBox& box : boxes) {
      for (const double value : {box.box.left, box.box.top, box.box.right, box.box.bottom,
                                 box.score, static_cast<double>(box.class_index)}) {
        *row++ = static_cast<float>(value);
      }
    }
    return outputs;
  }

 private:
  const Parameters parameters_;
  const CentrePoint network_;
  const torch::Device device_;
  const int threads_;
};

// A training split in memory.
struct TrainingData {
  std::vector<torch::Tensor> images;  // UINT8 [H, W, 3].
  std::vector<std::vector<metrics::Object>> labels;
};

absl::StatusOr<TrainingData> ReadTrainingData(const datasets::StereoDataset& dataset,
                                              runtime::JobContext& job) {
  TrainingData data;
  const int64_t count = dataset.size(Split::kTrain);
  if (count == 0) return absl::FailedPreconditionError("the training split is empty");
  const auto read = [&](int64_t i) -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left, dataset.LeftImage(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(auto labels, dataset.Labels(Split::kTrain, i));
    data.images.push_back(learning::ViewOf(datasets::ImageToTensor(left)).clone());
    data.labels.push_back(std::move(labels));
    return absl::OkStatus();
  };
  BACKFIRE_RETURN_IF_ERROR(runtime::ForEachExample(count, "reading the dataset", job, read));
  return data;
}

void Mirror(torch::Tensor& image, std::vector<metrics::Object>& labels) {
  const auto last = static_cast<double>(image.size(1) - 1);
  image = image.flip(1);
  for (metrics::Object& label : labels) {
    const double left = label.box_2d.left;
    label.box_2d.left = last - label.box_2d.right;
    label.box_2d.right = last - left;
  }
}

struct Batch {
  torch::Tensor images;
  CentrePointTargets targets;
};

// The batch of a step: a function of seed and step alone, so that a training can go on anywhere.
Batch MakeBatch(const TrainingData& data, int64_t batch_size, int64_t seed, int64_t step) {
  Random random(static_cast<uint64_t>(seed), static_cast<uint64_t>(step) + 1);
  std::vector<torch::Tensor> chosen;
  std::vector<std::vector<metrics::Object>> labels;
  int64_t height = 0, width = 0;
  for (int64_t b = 0; b < batch_size; ++b) {
    const auto i = static_cast<size_t>(random.Below(static_cast<int64_t>(data.images.size())));
    chosen.push_back(data.images[i]);
    labels.push_back(data.labels[i]);
    if (random.Uniform() < 0.5) Mirror(chosen.back(), labels.back());
    height = std::max(height, RoundUp(chosen.back().size(0)));
    width = std::max(width, RoundUp(chosen.back().size(1)));
  }
  std::vector<torch::Tensor> images, heat, ignored, edges, weight;
  for (size_t b = 0; b < chosen.size(); ++b) {
    images.push_back(Prepare(chosen[b], height, width));
    const CentrePointTargets targets = MakeTargets(labels[b], height, width);
    heat.push_back(targets.heat);
    ignored.push_back(targets.ignored);
    edges.push_back(targets.edges);
    weight.push_back(targets.weight);
  }
  return {torch::stack(images),
          {torch::stack(heat), torch::stack(ignored), torch::stack(edges), torch::stack(weight)}};
}

class ProposalsModel final : public runtime::Model {
 public:
  explicit ProposalsModel(const learning::DeviceOptions& options)
      : options_(options), description_(Describe()) {}

  const v1::Model& description() const override { return description_; }
  std::string NumericFingerprint() const override { return learning::NumericFingerprint(); }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Recipe complete, runtime::CompleteRecipe(description_, recipe));
    BACKFIRE_RETURN_IF_ERROR(ReadParameters(complete).status());
    return complete;
  }

  std::vector<std::string> TrainingInputs(const v1::Recipe&) const override { return {"left"}; }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri, const runtime::DatasetAccess& access) const override {
    return datasets::OpenStereoDataset(uri, access);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    const auto& dataset = static_cast<const datasets::StereoDataset&>(*task.dataset);
    BACKFIRE_ASSIGN_OR_RETURN(const TrainingData data, ReadTrainingData(dataset, job));
    learning::UseThreads(static_cast<int>(p.threads));
    CentrePoint network = MakeNetwork(p.channels, task.seed);
    network->to(device);
    const auto loss_of_step = [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
      Batch batch = MakeBatch(data, p.batch, task.seed, step);
      for (torch::Tensor* tensor : {&batch.targets.heat, &batch.targets.ignored,
                                    &batch.targets.edges, &batch.targets.weight}) {
        *tensor = tensor->to(device);
      }
      return CentrePointLoss(network->forward(batch.images.to(device)), batch.targets);
    };
    BACKFIRE_RETURN_IF_ERROR(
        learning::RunTraining(p.schedule, task.files, loss_of_step, *network, job));
    return learning::SaveWeights(*network);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    CentrePoint network = MakeNetwork(p.channels, 0);
    BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
    network->to(device);
    network->eval();
    return std::make_unique<ProposalsPredictor>(p, std::move(network), device,
                                                options_.prediction_threads);
  }

  absl::StatusOr<std::string> ImportWeights(const v1::Recipe& recipe,
                                            const std::string& file) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(recipe));
    return learning::WeightsFromCheckpoint(file,
                                           learning::SaveWeights(*MakeNetwork(p.channels, 0)));
  }

  absl::StatusOr<std::string> ExportWeights(const v1::Recipe&,
                                            const std::string& weights) const override {
    return learning::CheckpointFromWeights(weights);
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& base, Split split,
                                          const runtime::Examples& outputs,
                                          const metrics::Resampling& resampling,
                                          runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const datasets::StereoDataset&>(base);
    std::vector<metrics::ImageObjects> images;
    const auto read = [&](int64_t i) -> absl::Status {
      metrics::ImageObjects& image = images.emplace_back();
      BACKFIRE_ASSIGN_OR_RETURN(image.labels, dataset.Labels(split, i));
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(i));
      BACKFIRE_ASSIGN_OR_RETURN(const Tensor* boxes, runtime::FindTensor(tensors, "boxes_2d"));
      for (int64_t b = 0; b < boxes->shape[0]; ++b) {
        const float* row = boxes->As<float>() + b * detection::kProposalColumns;
        metrics::Object& object = image.detections.emplace_back();
        object.type = row[5] < 0.5f ? kClasses[0] : kClasses[1];
        object.box_2d = {row[0], row[1], row[2], row[3]};
        object.score = row[4];
      }
      return absl::OkStatus();
    };
    BACKFIRE_RETURN_IF_ERROR(
        runtime::ForEachExample(dataset.size(split), "computing losses", job, read));
    v1::Evaluation evaluation;
    metrics::AveragePrecisionOptions average_precision;
    average_precision.view = metrics::View::kImage;
    average_precision.height_scale = dataset.height_scale();
    average_precision.type = "Car";
    average_precision.iou_threshold = 0.7;
    metrics::AddAveragePrecisionLoss(images, average_precision, resampling, "ap_2d_car", "", true,
                                     evaluation);
    average_precision.type = "Pedestrian";
    average_precision.iou_threshold = 0.5;
    metrics::AddAveragePrecisionLoss(images, average_precision, resampling, "ap_2d_pedestrian", "",
                                     true, evaluation);
    return evaluation;
  }

 private:
  const learning::DeviceOptions options_;
  const v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakeProposalsModel(const learning::DeviceOptions& options) {
  return std::make_unique<ProposalsModel>(options);
}

}  // namespace backfire::proposals
