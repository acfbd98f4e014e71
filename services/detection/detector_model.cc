#include "services/detection/detector_model.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/detections_tensor.h"
#include "services/learning/checkpoint_weights.h"
#include "services/learning/device.h"
#include "services/metrics/average_precision.h"
#include "services/metrics/disparity_error.h"
#include "services/runtime/for_each_example.h"
#include "services/runtime/recipe.h"

namespace backfire::detection {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

v1::Model Describe(const DetectorConfig& config,
                   const std::vector<std::unique_ptr<DetectorRecipe>>& recipes) {
  v1::Model model;
  model.set_name("models/" + config.model);
  model.set_kind(v1::Model::MODEL);
  model.set_description(
      absl::StrCat("Finds objects of KITTI's type ", config.type, " in a point cloud."));
  const auto add_input = [&](const char* name, const char* type, std::vector<int64_t> shape,
                             const char* description) {
    auto* input = model.add_inputs();
    input->set_name(name);
    input->set_datatype(type);
    for (const int64_t size : shape) input->add_shape(size);
    input->set_description(description);
  };
  add_input(
      "points", "FP32", {-1, -1},
      "x, y, z in metres, rectified camera-0 frame; intensity where there is a fourth column.");
  add_input("boxes_2d", "FP32", {-1, kProposalColumns},
            "left, top, right, bottom (px of the left image), score, class.");
  add_input("calibration", "FP64", {2, 3, 4}, "KITTI's P2 and P3.");
  auto* detections = model.add_outputs();
  detections->set_name("detections");
  detections->set_datatype("FP32");
  detections->add_shape(-1);
  detections->add_shape(kDetectionColumns);
  detections->set_description(
      "left, top, right, bottom (px); height, width, length, x, y, z (m, bottom centre, rectified "
      "camera-0 frame); rotation_y (rad); score.");
  for (const auto& recipe : recipes) *model.add_recipes() = recipe->defaults();
  for (const char* name : {"ap_3d", "ap_bev"}) {
    auto* loss = model.add_losses();
    loss->set_name(name);
    loss->set_unit("percent");
    loss->set_minimum(-100);
    loss->set_maximum(0);
    loss->set_description(absl::StrCat(
        "Negated average precision, KITTI's moderate rules, 40 recall points, overlap above ",
        config.iou_threshold,
        config.max_depth_m.has_value() ? absl::StrCat(", within ", *config.max_depth_m, " m.")
                                       : "."));
  }
  return model;
}

class DetectorModel final : public runtime::Model {
 public:
  DetectorModel(DetectorConfig config, const learning::DeviceOptions& options)
      : config_(std::move(config)),
        recipes_(MakeDetectorRecipes(config_, options)),
        description_(Describe(config_, recipes_)) {}

  const v1::Model& description() const override { return description_; }
  std::string NumericFingerprint() const override { return learning::NumericFingerprint(); }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Recipe complete, runtime::CompleteRecipe(description_, recipe));
    BACKFIRE_RETURN_IF_ERROR(RecipeOf(complete).Check(complete));
    return complete;
  }

  std::vector<std::string> TrainingInputs(const v1::Recipe& recipe) const override {
    return RecipeOf(recipe).TrainingInputs();
  }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri, const runtime::DatasetAccess& access) const override {
    return datasets::OpenStereoDataset(uri, access);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    return RecipeOf(task.recipe).Train(task, job);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    return RecipeOf(recipe).Load(recipe, weights);
  }

  absl::StatusOr<std::string> ImportWeights(const v1::Recipe& recipe,
                                            const std::string& file) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string expected,
                              RecipeOf(recipe).UntrainedWeights(recipe));
    return learning::WeightsFromCheckpoint(file, expected);
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
      BACKFIRE_ASSIGN_OR_RETURN(const Tensor* detections,
                                runtime::FindTensor(tensors, "detections"));
      BACKFIRE_ASSIGN_OR_RETURN(image.detections, DetectionsFromTensor(*detections, config_.type));
      return absl::OkStatus();
    };
    BACKFIRE_RETURN_IF_ERROR(
        runtime::ForEachExample(dataset.size(split), "computing losses", job, read));
    v1::Evaluation evaluation;
    metrics::AveragePrecisionOptions options;
    options.type = config_.type;
    options.iou_threshold = config_.iou_threshold;
    options.height_scale = dataset.height_scale();
    v1::Evaluation eleven_points;
    const auto add = [&](const std::string& slice, bool judged, v1::Evaluation* of_eleven) {
      for (const auto& [loss, view] : {std::pair("ap_3d", metrics::View::k3d),
                                       std::pair("ap_bev", metrics::View::kBirdsEye)}) {
        options.view = view;
        metrics::AddAveragePrecisionLoss(images, options, resampling, loss, slice, judged,
                                         evaluation, of_eleven);
      }
    };
    options.max_depth_m = config_.max_depth_m;
    add("", true, &eleven_points);
    evaluation.MergeFrom(eleven_points);
    for (const metrics::DepthRange& range : metrics::kDepthRanges) {
      if (range.slice.empty() || range.near_m >= config_.max_depth_m.value_or(1e30)) continue;
      options.min_depth_m = range.near_m;
      options.max_depth_m = range.far_m;
      add(std::string(range.slice), false, nullptr);
    }
    return evaluation;
  }

 private:
  // Of a recipe that ResolveRecipe has returned.
  const DetectorRecipe& RecipeOf(const v1::Recipe& recipe) const {
    const auto found = std::find_if(recipes_.begin(), recipes_.end(), [&](const auto& candidate) {
      return candidate->defaults().name() == recipe.name();
    });
    return found == recipes_.end() ? *recipes_.front() : **found;
  }

  const DetectorConfig config_;
  const std::vector<std::unique_ptr<DetectorRecipe>> recipes_;
  const v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakeDetectorModel(const DetectorConfig& config,
                                                  const learning::DeviceOptions& options) {
  return std::make_unique<DetectorModel>(config, options);
}

}  // namespace backfire::detection
