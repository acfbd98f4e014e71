#include <spdlog/spdlog.h>
#include <torch/nn/module.h>
#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/disparity/crossover_depth.h"
#include "services/disparity/device_support.h"
#include "services/disparity/disparity_loss.h"
#include "services/disparity/psmnet.h"
#include "services/disparity/psmnet_parameters.h"
#include "services/disparity/recipe_family.h"
#include "services/disparity/stereo_batch.h"
#include "services/learning/autocast.h"
#include "services/learning/device.h"
#include "services/learning/torch_tensor.h"
#include "services/learning/training_loop.h"
#include "services/learning/weights.h"

namespace backfire::disparity {
namespace {

using runtime::Tensor;
using runtime::TensorMap;

// Pads at the top and on the right, as PSMNet's authors do, after normalising.
torch::Tensor Pad(const torch::Tensor& images, int64_t multiple) {
  const int64_t height = images.size(2), width = images.size(3);
  const int64_t top = (multiple - height % multiple) % multiple;
  const int64_t right = (multiple - width % multiple) % multiple;
  return top + right == 0 ? images : torch::constant_pad_nd(images, {0, right, top, 0});
}

// Of images.
torch::MemoryFormat FormatOf(const PsmNetParameters& p) {
  return p.channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
}

class DisparityPredictor final : public runtime::Predictor {
 public:
  DisparityPredictor(PsmNet network, torch::Device device, const PsmNetParameters& parameters,
                     int threads)
      : network_(std::move(network)),
        device_(device),
        bfloat16_(parameters.bfloat16),
        format_(FormatOf(parameters)),
        threads_(threads) {}

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(std::vector<TensorMap> outputs, PredictBatch({&inputs}, cancelled));
    return std::move(outputs[0]);
  }

  // Of a pixel of the left image: both images' features, and what the layers over the cost volume
  // hold at once, of which there are five of its channels, in float32.
  int64_t PeakBytes(const TensorMap& inputs) const override {
    const auto left = inputs.find("left");
    if (left == inputs.end()) return 0;
    const PsmNetOptions& o = network_->options();
    const bool is_concatenation = o.volume == CostVolumeKind::kConcatenation;
    const int64_t volume = (is_concatenation ? 2 : 1) * o.features + 5 * o.volume_channels;
    const int64_t floats = 2 * o.channels + volume * o.planes() / (o.volume_scale * o.volume_scale);
    return left->second.ElementCount() / 3 * floats * static_cast<int64_t>(sizeof(float));
  }

  bool HasBatches() const override { return true; }

  absl::StatusOr<std::vector<TensorMap>> PredictBatch(
      const std::vector<const TensorMap*>& inputs,
      const std::function<bool()>& cancelled) const override {
    std::vector<torch::Tensor> lefts, rights;
    for (const TensorMap* pair : inputs) {
      BACKFIRE_RETURN_IF_ERROR(Add(*pair, lefts, rights));
    }
    if (cancelled()) return absl::CancelledError("cancelled before the prediction");
    learning::UseThreads(threads_);
    const c10::InferenceMode no_gradient;
    const learning::Autocast autocast(device_, bfloat16_);
    const auto prepare = [&](const std::vector<torch::Tensor>& images) {
      return Pad(Normalise(learning::ToDevice(torch::stack(images), device_)),
                 network_->options().multiple())
          .contiguous(format_);
    };
    // Inference changes nothing in an evaluated network: requests share it.
    torch::Tensor disparities =
        const_cast<PsmNetImpl&>(*network_).forward(prepare(lefts), prepare(rights)).back();
    const int64_t height = lefts[0].size(0), width = lefts[0].size(1);
    disparities =
        disparities.slice(1, disparities.size(1) - height).slice(2, 0, width).to(torch::kCPU);
    std::vector<TensorMap> outputs(inputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i]["disparity"] = learning::ToFp32(disparities[static_cast<int64_t>(i)]);
    }
    return outputs;
  }

 private:
  // Checks a pair, and adds its images, UINT8 [H, W, 3], borrowed.
  absl::Status Add(const TensorMap& inputs, std::vector<torch::Tensor>& lefts,
                   std::vector<torch::Tensor>& rights) const {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* left, runtime::FindTensor(inputs, "left"));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* right, runtime::FindTensor(inputs, "right"));
    if (left->shape != right->shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("inputs \"left\" and \"right\" must have one size: got ", left->shape[0],
                       " x ", left->shape[1], " and ", right->shape[0], " x ", right->shape[1]));
    }
    const int64_t least = 2 * network_->options().multiple();
    if (left->shape[0] < least || left->shape[1] < least) {
      return absl::InvalidArgumentError(absl::StrCat("input \"left\" must have at least ", least,
                                                     " x ", least, " pixels: got ", left->shape[0],
                                                     " x ", left->shape[1]));
    }
    lefts.push_back(learning::ViewOf(*left));
    rights.push_back(learning::ViewOf(*right));
    return absl::OkStatus();
  }

  const PsmNet network_;
  const torch::Device device_;
  const bool bfloat16_;
  const torch::MemoryFormat format_;
  const int threads_;
};

void UseChannelsLast(torch::nn::Module& network) {
  for (torch::Tensor parameter : network.parameters()) {
    if (parameter.dim() < 4) continue;
    parameter.set_data(parameter.detach().contiguous(parameter.dim() == 4
                                                         ? torch::MemoryFormat::ChannelsLast
                                                         : torch::MemoryFormat::ChannelsLast3d));
  }
}

// Logs what the choice of the loss should mean on this split. FAILED_PRECONDITION: there is nothing
// to learn from.
absl::Status CheckSupervision(const runtime::TrainingTask& task, const StereoTraining& data,
                              const LossRules& rules) {
  CrossoverDepth crossover(rules);
  for (size_t i = 0; i < data.truth.size(); ++i) {
    crossover.Add(data.truth[i].data_ptr<float>(), data.truth[i].numel(),
                  data.focal_times_baseline[i]);
  }
  if (crossover.pixels() == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no pixel of the training split can be learnt from: none has a depth of at most "
        "recipe.parameters.max_depth_m, ",
        rules.max_depth_m, ", and a disparity below recipe.parameters.max_disparity, ",
        rules.max_disparity, "; raise them, or take a dataset with ground truth"));
  }
  spdlog::info("training recipe={} seed={} crossover_depth_m={:.1f}", task.recipe.name(), task.seed,
               crossover.value_m());
  return absl::OkStatus();
}

class PsmNetRecipes final : public RecipeFamily {
 public:
  explicit PsmNetRecipes(const learning::DeviceOptions& options) : options_(options) {}

  std::vector<v1::Recipe> Recipes() const override { return PsmNetRecipeDefaults(); }

  absl::Status Check(const v1::Recipe& recipe) const override { return Read(recipe).status(); }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    const datasets::StereoDataset& dataset,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const PsmNetParameters p, Read(task.recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    BACKFIRE_ASSIGN_OR_RETURN(const StereoTraining data, ReadStereoTraining(dataset, p.crop, job));
    BACKFIRE_RETURN_IF_ERROR(CheckSupervision(task, data, p.loss));
    learning::UseThreads(static_cast<int>(p.threads));
    PsmNet network(p.network, task.seed);
    if (task.initial_weights != nullptr) {
      const absl::Status loaded = learning::LoadWeights(*task.initial_weights, *network);
      if (!loaded.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "recipe.parameters.initialize_from must name a version of the same network: ",
            loaded.message()));
      }
    }
    network->to(device);
    if (p.channels_last) UseChannelsLast(*network);
    const torch::MemoryFormat format = FormatOf(p);
    const auto forward = [&](const StereoBatch& batch) {
      const learning::Autocast autocast(device, p.bfloat16);
      return network->forward(learning::ToDevice(batch.left, device).contiguous(format),
                              learning::ToDevice(batch.right, device).contiguous(format));
    };
    const auto loss_of_step = [&](int64_t step) -> absl::StatusOr<torch::Tensor> {
      const StereoBatch batch = MakeStereoBatch(data, p.crop, task.seed, step);
      const std::vector<torch::Tensor> predicted = forward(batch);
      return WeightedDisparityLoss(p.loss, predicted, learning::ToDevice(batch.truth, device),
                                   learning::ToDevice(batch.focal_times_baseline, device));
    };
    BACKFIRE_RETURN_IF_ERROR(
        learning::RunTraining(p.schedule, task.files, loss_of_step, *network, job));
    return learning::SaveWeights(*network);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const PsmNetParameters p, Read(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    PsmNet network(p.network, /*seed=*/0);
    BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
    network->to(device);
    if (p.channels_last) UseChannelsLast(*network);
    network->eval();
    return std::make_unique<DisparityPredictor>(std::move(network), device, p,
                                                options_.prediction_threads);
  }

  absl::StatusOr<std::string> UntrainedWeights(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const PsmNetParameters p, ReadPsmNetParameters(recipe));
    return learning::SaveWeights(*PsmNet(p.network, /*seed=*/0));
  }

 private:
  // The parameters of a recipe that this process's device can compute.
  absl::StatusOr<PsmNetParameters> Read(const v1::Recipe& recipe) const {
    BACKFIRE_ASSIGN_OR_RETURN(const PsmNetParameters p, ReadPsmNetParameters(recipe));
    if (!p.bfloat16 && !p.channels_last) return p;
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Device device, learning::ChooseDevice(options_));
    if (p.bfloat16) BACKFIRE_RETURN_IF_ERROR(CheckBfloat16(device));
    if (p.channels_last) BACKFIRE_RETURN_IF_ERROR(CheckChannelsLast(device));
    return p;
  }

  const learning::DeviceOptions options_;
};

}  // namespace

std::unique_ptr<RecipeFamily> MakePsmNetRecipes(const learning::DeviceOptions& options) {
  return std::make_unique<PsmNetRecipes>(options);
}

}  // namespace backfire::disparity
