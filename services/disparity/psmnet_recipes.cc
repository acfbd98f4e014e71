#include <torch/torch.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/disparity/disparity_loss.h"
#include "services/disparity/psmnet.h"
#include "services/disparity/recipe_family.h"
#include "services/disparity/stereo_batch.h"
#include "services/learning/device.h"
#include "services/learning/torch_tensor.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"
#include "services/runtime/recipe.h"

namespace backfire::disparity {
namespace {

using runtime::Tensor;
using runtime::TensorMap;

constexpr char kDepthRecipe[] = "psmnet-depth-mae";
constexpr char kDisparityRecipe[] = "psmnet-disparity-mae";
// The network halves its input five times on the way.
constexpr int64_t kMultiple = 32;

struct Parameters {
  PsmNetOptions network;
  LossKind loss = LossKind::kDisparity;
  learning::TrainingSchedule schedule;
  CropOptions crop;
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
  p.crop.batch = reader.Integer("batch", 2, 256);
  p.crop.height = reader.Integer("crop_height", kMultiple, 4096);
  p.crop.width = reader.Integer("crop_width", kMultiple, 8192);
  p.max_depth_m = reader.Number("max_depth_m", 1, 10'000);
  p.threads = reader.Integer("threads", 1, 1024);
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  if (p.network.max_disparity % 16 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.max_disparity must be a multiple of 16: got ", p.network.max_disparity));
  }
  for (const auto& [name, value] :
       {std::pair("crop_height", p.crop.height), std::pair("crop_width", p.crop.width)}) {
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

class PsmNetRecipes final : public RecipeFamily {
 public:
  explicit PsmNetRecipes(const learning::DeviceOptions& options) : options_(options) {}

  std::vector<v1::Recipe> Recipes() const override {
    std::vector<v1::Recipe> recipes;
    for (const char* name : {kDepthRecipe, kDisparityRecipe}) {
      v1::Recipe& recipe = recipes.emplace_back();
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
    return recipes;
  }

  absl::Status Check(const v1::Recipe& recipe) const override {
    return ReadParameters(recipe).status();
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    const datasets::StereoDataset& dataset,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters p, ReadParameters(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    BACKFIRE_ASSIGN_OR_RETURN(const StereoTraining data, ReadStereoTraining(dataset, p.crop, job));
    learning::UseThreads(static_cast<int>(p.threads));
    PsmNet network = MakeNetwork(p.network, task.seed);
    network->to(device);
    const auto loss_of_step = [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
      const StereoBatch batch = MakeStereoBatch(data, p.crop, task.seed, step);
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

 private:
  const learning::DeviceOptions options_;
};

}  // namespace

std::unique_ptr<RecipeFamily> MakePsmNetRecipes(const learning::DeviceOptions& options) {
  return std::make_unique<PsmNetRecipes>(options);
}

}  // namespace backfire::disparity
