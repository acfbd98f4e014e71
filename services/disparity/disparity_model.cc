#include "services/disparity/disparity_model.h"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/disparity/pretrained.h"
#include "services/disparity/recipe_family.h"
#include "services/learning/checkpoint_weights.h"
#include "services/learning/fingerprint.h"
#include "services/metrics/bootstrap.h"
#include "services/metrics/disparity_error.h"
#include "services/runtime/for_each_example.h"
#include "services/runtime/recipe.h"

namespace backfire::disparity {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

// Judged where LiDAR would have measured: not the sky, which a rendered world knows as well.
constexpr double kJudgedDepthM = 80;

using Families = std::vector<std::unique_ptr<RecipeFamily>>;

v1::Model Describe(const Families& families) {
  v1::Model model;
  model.set_name("models/disparity");
  model.set_kind(v1::Model::MODEL);
  model.set_description("Disparity of a rectified stereo pair.");
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
  for (const auto& family : families) {
    for (const v1::Recipe& recipe : family->Recipes()) *model.add_recipes() = recipe;
  }
  auto* loss = model.add_losses();
  loss->set_name("disparity_mae");
  loss->set_unit("px");
  loss->set_maximum(std::numeric_limits<double>::infinity());
  loss->set_description(
      "Mean absolute error over the pixels with ground truth up to 80 m (paper, Table 2).");
  return model;
}

// A mean over what is not finite says nothing of the other pixels.
absl::Status CheckFinite(const Tensor& disparity, int64_t columns, const std::string& example) {
  for (int64_t i = 0; i < disparity.ElementCount(); ++i) {
    const float value = disparity.As<float>()[i];
    if (std::isfinite(value)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the predicted disparity of example ", example, " must be finite: row ",
                     i / columns, ", column ", i % columns, " is ", value,
                     "; the version's weights may be damaged, or its training have diverged"));
  }
  return absl::OkStatus();
}

class DisparityModel final : public runtime::Model {
 public:
  explicit DisparityModel(const learning::DeviceOptions& options)
      : families_(MakeRecipeFamilies(options)), description_(Describe(families_)) {}

  const v1::Model& description() const override { return description_; }
  std::string NumericFingerprint() const override { return learning::NumericFingerprint(); }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Recipe complete, runtime::CompleteRecipe(description_, recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const RecipeFamily* family, FamilyOf(complete));
    BACKFIRE_RETURN_IF_ERROR(family->Check(complete));
    return complete;
  }

  std::vector<std::string> TrainingInputs(const v1::Recipe&) const override {
    return {"left", "right"};
  }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri, const runtime::DatasetAccess& access) const override {
    return datasets::OpenStereoDataset(uri, access);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const RecipeFamily* family, FamilyOf(task.recipe));
    return family->Train(task, static_cast<const datasets::StereoDataset&>(*task.dataset), job);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const RecipeFamily* family, FamilyOf(recipe));
    return family->Load(recipe, weights);
  }

  absl::StatusOr<std::string> ImportWeights(const v1::Recipe& recipe,
                                            const std::string& file) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const RecipeFamily* family, FamilyOf(recipe));
    BACKFIRE_ASSIGN_OR_RETURN(const std::string expected, family->UntrainedWeights(recipe));
    return learning::WeightsFromCheckpoint(file, expected);
  }

  absl::StatusOr<std::string> ExportWeights(const v1::Recipe& recipe,
                                            const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const RecipeFamily* family, FamilyOf(recipe));
    BACKFIRE_RETURN_IF_ERROR(family->UntrainedWeights(recipe).status());
    return learning::CheckpointFromWeights(weights);
  }

  absl::StatusOr<std::string> PretrainedFile(std::string_view name) const override {
    return disparity::PretrainedFile(name);
  }

  bool DependsOnSeed(const v1::Recipe& recipe) const override {
    const absl::StatusOr<const RecipeFamily*> family = FamilyOf(recipe);
    return !family.ok() || (*family)->DependsOnSeed();
  }

  absl::StatusOr<TensorMap> PredictFromDataset(const v1::Recipe& recipe, const std::string& weights,
                                               const runtime::Dataset& base, Split split,
                                               int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const RecipeFamily* family, FamilyOf(recipe));
    return family->PredictFromDataset(
        recipe, weights, static_cast<const datasets::StereoDataset&>(base), split, example);
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& base, Split split,
                                          const runtime::Examples& outputs,
                                          const metrics::Resampling& resampling,
                                          runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const datasets::StereoDataset&>(base);
    std::vector<metrics::DisparityErrorSums> sums;
    const auto read = [&](int64_t i) -> absl::Status {
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
      BACKFIRE_RETURN_IF_ERROR(
          CheckFinite(*disparity, contiguous.cols, dataset.ExampleId(split, i)));
      sums.push_back(metrics::SumDisparityErrors(disparity->As<float>(), contiguous.ptr<float>(),
                                                 disparity->ElementCount(), focal_times_baseline));
      return absl::OkStatus();
    };
    BACKFIRE_RETURN_IF_ERROR(
        runtime::ForEachExample(dataset.size(split), "computing losses", job, read));
    v1::Evaluation evaluation;
    const auto add = [&](const char* loss, const auto& numerator, size_t range, bool judged) {
      std::vector<double> numerators, denominators;
      for (const auto& one : sums) {
        numerators.push_back(numerator(one)[range]);
        denominators.push_back(one.pixels[range]);
      }
      metrics::AddRatioLoss(numerators, denominators, resampling, loss,
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
  absl::StatusOr<const RecipeFamily*> FamilyOf(const v1::Recipe& recipe) const {
    for (const auto& family : families_) {
      for (const v1::Recipe& known : family->Recipes()) {
        if (known.name() == recipe.name()) return family.get();
      }
    }
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.name: there is no recipe \"", recipe.name(), "\""));
  }

  const Families families_;
  const v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakeDisparityModel(const learning::DeviceOptions& options) {
  return std::make_unique<DisparityModel>(options);
}

}  // namespace backfire::disparity
