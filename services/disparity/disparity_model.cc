#include "services/disparity/disparity_model.h"

#include <torch/torch.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/mutex.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/disparity/disparity_loss.h"
#include "services/disparity/psmnet.h"
#include "services/learning/device.h"
#include "services/learning/torch_tensor.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"
#include "services/metrics/bootstrap.h"
#include "services/metrics/disparity_error.h"
#include "services/runtime/recipe.h"

namespace backfire::disparity {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

constexpr char kDepthRecipe[] = "psmnet-depth-mae";
constexpr char kDisparityRecipe[] = "psmnet-disparity-mae";
// The network halves its input five times on the way.
constexpr int64_t kMultiple = 32;
// Judged where LiDAR would have measured: not the sky, which a rendered world knows as well.
constexpr double kJudgedDepthM = 80;

struct Parameters {
  PsmNetOptions network;
  LossKind loss = LossKind::kDisparity;
  learning::TrainingSchedule schedule;
  int64_t batch = 2;
  int64_t crop_height = 96, crop_width = 256;
  double max_depth_m = 80;
  int64_t threads = 1;
};

absl::StatusOr<Parameters> ReadParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  Parameters p;
  p.loss = recipe.name() == kDepthRecipe ? LossKind::kDepth : LossKind::kDisparity;
  p.network.max_disparity = reader.Integer("max_disparity", 16, 384);
  p.network.channels = reader.Integer("channels", 4, 128);
  p.schedule.steps = reader.Integer("steps", 1, 10'000'000);
  p.schedule.learning_rate = reader.Number("learning_rate", 1e-7, 1);
  p.schedule.warmup_steps = reader.Integer("warmup_steps", 0, 1'000'000);
  p.schedule.gradient_norm = reader.Number("gradient_norm", 1e-6, 1e12);
  p.batch = reader.Integer("batch", 2, 256);
  p.crop_height = reader.Integer("crop_height", kMultiple, 4096);
  p.crop_width = reader.Integer("crop_width", kMultiple, 8192);
  p.max_depth_m = reader.Number("max_depth_m", 1, 10'000);
  p.threads = reader.Integer("threads", 1, 1024);
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  if (p.network.max_disparity % 16 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.max_disparity must be a multiple of 16: got ",
                     p.network.max_disparity));
  }
  for (const auto& [name, value] :
       {std::pair("crop_height", p.crop_height), std::pair("crop_width", p.crop_width)}) {
    if (value % kMultiple == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.", name, " must be a multiple of ", kMultiple, ": got ", value));
  }
  if (p.network.channels % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.channels must be even: got ", p.network.channels));
  }
  return p;
}

v1::Model Describe() {
  v1::Model model;
  model.set_name("models/disparity");
  model.set_kind(v1::Model::MODEL);
  model.set_description("Disparity of a rectified stereo pair, by a small PSMNet.");
  for (const char* side : {"left", "right"}) {
    auto* image = model.add_inputs();
    image->set_name(side);
    image->set_datatype("UINT8");
    for (const int64_t size : {-1, -1, 3}) image->add_shape(size);
    image->set_description("Rectified image, height x width x RGB.");
  }
  auto* disparity = model.add_outputs();
  disparity->set_name("disparity");
  disparity->set_datatype("FP32");
  disparity->add_shape(-1);
  disparity->add_shape(-1);
  disparity->set_description("Pixels of the left image, height x width.");
  for (const char* name : {kDepthRecipe, kDisparityRecipe}) {
    v1::Recipe& recipe = *model.add_recipes();
    recipe.set_name(name);
    runtime::SetParameter(recipe, "max_disparity", 48);
    runtime::SetParameter(recipe, "channels", 16);
    runtime::SetParameter(recipe, "steps", 650);
    runtime::SetParameter(recipe, "batch", 2);
    runtime::SetParameter(recipe, "crop_height", 96);
    runtime::SetParameter(recipe, "crop_width", 256);
    runtime::SetParameter(recipe, "learning_rate", 2e-3);
    runtime::SetParameter(recipe, "warmup_steps", 50);
    runtime::SetParameter(recipe, "gradient_norm", 100);
    runtime::SetParameter(recipe, "max_depth_m", 80);
    runtime::SetParameter(recipe, "threads", 1);
  }
  auto* loss = model.add_losses();
  loss->set_name("disparity_mae");
  loss->set_unit("px");
  loss->set_maximum(std::numeric_limits<double>::infinity());
  loss->set_description(
      "Mean absolute error over the pixels with ground truth up to 80 m (paper, Table 2).");
  return model;
}

PsmNet MakeNetwork(const PsmNetOptions& options, int64_t seed) {
  // Initialisation draws from LibTorch's one global generator; jobs of one process take turns.
  static Mutex mutex;
  MutexLock lock(mutex);
  torch::manual_seed(static_cast<uint64_t>(seed));
  return PsmNet(options);
}

// Pads at the top and on the right, as PSMNet's authors do, to multiples of kMultiple.
torch::Tensor Pad(const torch::Tensor& images) {
  const int64_t height = images.size(2), width = images.size(3);
  const int64_t top = (kMultiple - height % kMultiple) % kMultiple;
  const int64_t right = (kMultiple - width % kMultiple) % kMultiple;
  return torch::constant_pad_nd(images, {0, right, top, 0});
}

class DisparityPredictor final : public runtime::Predictor {
 public:
  DisparityPredictor(PsmNet network, torch::Device device)
      : network_(std::move(network)), device_(device) {}

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* left, runtime::FindTensor(inputs, "left"));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* right, runtime::FindTensor(inputs, "right"));
    if (left->shape != right->shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("inputs \"left\" and \"right\" must have one size: got ", left->shape[0],
                       " x ", left->shape[1], " and ", right->shape[0], " x ", right->shape[1]));
    }
    if (left->shape[0] < kMultiple || left->shape[1] < kMultiple) {
      return absl::InvalidArgumentError(absl::StrCat("input \"left\" must have at least ",
                                                     kMultiple, " x ", kMultiple, " pixels: got ",
                                                     left->shape[0], " x ", left->shape[1]));
    }
    if (cancelled()) return absl::CancelledError("cancelled before the prediction");
    learning::UseThreads(1);
    const torch::InferenceMode no_gradient;
    const auto prepare = [&](const Tensor& image) {
      return Pad(Normalise(learning::ViewOf(image).unsqueeze(0))).to(device_);
    };
    // Inference changes nothing in an evaluated network: requests share it.
    torch::Tensor disparity =
        const_cast<PsmNetImpl&>(*network_).forward(prepare(*left), prepare(*right))[0];
    disparity = disparity.slice(0, disparity.size(0) - left->shape[0]).slice(1, 0, left->shape[1]);
    TensorMap outputs;
    outputs["disparity"] = learning::ToFp32(disparity);
    return outputs;
  }

 private:
  const PsmNet network_;
  const torch::Device device_;
};

// A training split in memory.
struct TrainingData {
  std::vector<torch::Tensor> left, right;  // UINT8 [H, W, 3].
  std::vector<torch::Tensor> truth;        // FP32 [H, W].
  std::vector<float> focal_times_baseline;
};

absl::StatusOr<TrainingData> ReadTrainingData(const datasets::StereoDataset& dataset,
                                              const Parameters& p, runtime::JobContext& job) {
  TrainingData data;
  const int64_t count = dataset.size(Split::kTrain);
  if (count == 0) return absl::FailedPreconditionError("the training split is empty");
  for (int64_t i = 0; i < count; ++i) {
    if (job.cancelled()) return absl::CancelledError("cancelled while reading the dataset");
    v1::Progress progress;
    progress.set_stage("reading the dataset");
    progress.set_step(i);
    progress.set_total_steps(count);
    job.Report(progress);
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left, dataset.LeftImage(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat right, dataset.RightImage(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset.Disparity(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(Split::kTrain, i));
    if (left.rows < p.crop_height || left.cols < p.crop_width) {
      return absl::InvalidArgumentError(absl::StrCat(
          "recipe.parameters.crop_height and crop_width must not exceed the images: example ",
          dataset.ExampleId(Split::kTrain, i), " has ", left.rows, " x ", left.cols));
    }
    data.left.push_back(learning::ViewOf(datasets::ImageToTensor(left)).clone());
    data.right.push_back(learning::ViewOf(datasets::ImageToTensor(right)).clone());
    data.truth.push_back(torch::from_blob(truth.data, {truth.rows, truth.cols},
                                          {static_cast<int64_t>(truth.step1()), 1}, torch::kFloat32)
                             .clone());
    data.focal_times_baseline.push_back(
        static_cast<float>(calibration.focal_length_px() * calibration.baseline_m()));
  }
  return data;
}

struct Batch {
  torch::Tensor left, right, truth, focal_times_baseline;
};

// The batch of a step: a function of seed and step alone, so that a training can go on anywhere.
Batch MakeBatch(const TrainingData& data, const Parameters& p, int64_t seed, int64_t step) {
  Random random(static_cast<uint64_t>(seed), static_cast<uint64_t>(step) + 1);
  std::vector<torch::Tensor> left, right, truth;
  std::vector<float> constants;
  for (int64_t b = 0; b < p.batch; ++b) {
    const auto i = static_cast<size_t>(random.Below(static_cast<int64_t>(data.left.size())));
    const int64_t top = random.Below(data.left[i].size(0) - p.crop_height + 1);
    const int64_t side = random.Below(data.left[i].size(1) - p.crop_width + 1);
    const auto crop = [&](const torch::Tensor& image) {
      return image.narrow(0, top, p.crop_height).narrow(1, side, p.crop_width);
    };
    left.push_back(crop(data.left[i]));
    right.push_back(crop(data.right[i]));
    truth.push_back(crop(data.truth[i]));
    constants.push_back(data.focal_times_baseline[i]);
  }
  return {Normalise(torch::stack(left)), Normalise(torch::stack(right)), torch::stack(truth),
          torch::tensor(constants)};
}

class DisparityModel final : public runtime::Model {
 public:
  explicit DisparityModel(const learning::DeviceOptions& options)
      : options_(options), description_(Describe()) {}

  const v1::Model& description() const override { return description_; }
  std::string NumericFingerprint() const override { return learning::NumericFingerprint(); }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Recipe complete, runtime::CompleteRecipe(description_, recipe));
    BACKFIRE_RETURN_IF_ERROR(ReadParameters(complete).status());
    return complete;
  }

  std::vector<std::string> TrainingInputs(const v1::Recipe&) const override {
    return {"left", "right"};
  }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri) const override {
    return datasets::OpenStereoDataset(uri);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    const auto& dataset = static_cast<const datasets::StereoDataset&>(*task.dataset);
    BACKFIRE_ASSIGN_OR_RETURN(const TrainingData data, ReadTrainingData(dataset, p, job));
    learning::UseThreads(static_cast<int>(p.threads));
    PsmNet network = MakeNetwork(p.network, task.seed);
    network->to(device);
    const auto loss_of_step = [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
      const Batch batch = MakeBatch(data, p, task.seed, step);
      const torch::Tensor predicted =
          network->forward(batch.left.to(device), batch.right.to(device));
      return DisparityLoss(p.loss, predicted, batch.truth.to(device),
                           batch.focal_times_baseline.to(device), p.max_depth_m);
    };
    BACKFIRE_RETURN_IF_ERROR(
        learning::RunTraining(p.schedule, task.checkpoint_path, loss_of_step, *network, job));
    return learning::SaveWeights(*network);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    PsmNet network = MakeNetwork(p.network, 0);
    BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
    network->to(device);
    network->eval();
    return std::make_unique<DisparityPredictor>(std::move(network), device);
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& base, Split split,
                                          const runtime::Examples& outputs,
                                          const v1::Bootstrap& bootstrap,
                                          runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const datasets::StereoDataset&>(base);
    std::vector<metrics::DisparityErrorSums> sums;
    for (int64_t i = 0; i < dataset.size(split); ++i) {
      if (job.cancelled()) return absl::CancelledError("cancelled while computing losses");
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(i));
      BACKFIRE_ASSIGN_OR_RETURN(const Tensor* disparity, runtime::FindTensor(tensors, "disparity"));
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset.Disparity(split, i));
      BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(split, i));
      const double focal_times_baseline = calibration.focal_length_px() * calibration.baseline_m();
      cv::Mat contiguous = truth.clone();
      contiguous.setTo(0, contiguous < focal_times_baseline / kJudgedDepthM);
      if (disparity->ElementCount() != static_cast<int64_t>(contiguous.total())) {
        return absl::InternalError(absl::StrCat("the disparity of example ", i, " has ",
                                                disparity->ElementCount(),
                                                " pixels: ", contiguous.total(), " expected"));
      }
      sums.push_back(metrics::SumDisparityErrors(disparity->As<float>(), contiguous.ptr<float>(),
                                                 disparity->ElementCount(), focal_times_baseline));
    }
    v1::Evaluation evaluation;
    const auto add = [&](const char* loss, const auto& numerator, size_t range, bool judged) {
      std::vector<double> numerators, denominators;
      for (const auto& one : sums) {
        numerators.push_back(numerator(one)[range]);
        denominators.push_back(one.pixels[range]);
      }
      metrics::AddRatioLoss(numerators, denominators, bootstrap, loss,
                            std::string(metrics::kDepthRanges[range].slice), judged, evaluation);
    };
    const auto absolute = [](const auto& one) { return one.absolute_error_px; };
    const auto bad = [](const auto& one) { return one.bad_pixels; };
    for (size_t range = 0; range < metrics::kDepthRanges.size(); ++range) {
      add("disparity_mae", absolute, range, range == 0);
    }
    for (size_t range = 0; range < metrics::kDepthRanges.size(); ++range) {
      add("disparity_d1", bad, range, false);
    }
    return evaluation;
  }

 private:
  const learning::DeviceOptions options_;
  const v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakeDisparityModel(const learning::DeviceOptions& options) {
  return std::make_unique<DisparityModel>(options);
}

}  // namespace backfire::disparity
