// Recipes that learn nothing: OpenCV's semi-global matching, and the ground truth.
#include <cstring>
#include <opencv2/core.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/disparity/recipe_family.h"
#include "services/disparity/semi_global_matching.h"
#include "services/runtime/recipe.h"

namespace backfire::disparity {
namespace {

using runtime::Tensor;
using runtime::TensorMap;

constexpr char kSgbm[] = "sgbm";
constexpr char kOracle[] = "oracle";
// Smaller images than the network's smallest say nothing about a street.
constexpr int kMinSide = 16;

TensorMap ToOutputs(const cv::Mat& disparity) {
  TensorMap outputs;
  Tensor& tensor = outputs["disparity"];
  tensor = runtime::MakeTensor(runtime::Datatype::kFp32, {disparity.rows, disparity.cols});
  for (int y = 0; y < disparity.rows; ++y) {
    std::memcpy(tensor.MutableAs<float>() + static_cast<int64_t>(y) * disparity.cols,
                disparity.ptr<float>(y), static_cast<size_t>(disparity.cols) * sizeof(float));
  }
  return outputs;
}

absl::Status CheckNoWeights(const v1::Recipe& recipe, const std::string& weights) {
  if (weights.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("recipe \"", recipe.name(), "\" has no weights: got ",
                                          weights.size(), " bytes"));
}

absl::StatusOr<SemiGlobalOptions> ReadOptions(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  SemiGlobalOptions o;
  o.max_disparity = reader.Integer("max_disparity");
  o.block_size = reader.Integer("block_size");
  o.small_penalty = reader.Number("small_penalty");
  o.large_penalty = reader.Number("large_penalty");
  o.paths = reader.Integer("paths");
  o.left_right_px = static_cast<double>(reader.Integer("left_right_px"));
  o.uniqueness_percent = static_cast<double>(reader.Integer("uniqueness_percent"));
  o.speckle_pixels = reader.Integer("speckle_pixels");
  o.speckle_range_px = static_cast<double>(reader.Integer("speckle_range_px"));
  o.filter_cap = reader.Integer("filter_cap");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  if (o.max_disparity % 16 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.max_disparity must be a multiple of 16: got ", o.max_disparity));
  }
  if (o.block_size % 2 == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.block_size must be odd: got ", o.block_size));
  }
  if (o.paths != 5 && o.paths != 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.paths must be 5 or 8: got ", o.paths));
  }
  if (!(o.large_penalty > o.small_penalty)) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.large_penalty must be above small_penalty, ",
                     o.small_penalty, ": got ", o.large_penalty));
  }
  const double largest = LargestPenalty(o);
  if (!(largest > 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.block_size ", o.block_size, " is too large for OpenCV's 16-bit costs ",
        "with filter_cap ", o.filter_cap, ", whatever large_penalty: lower one of the two"));
  }
  if (o.large_penalty > largest) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.large_penalty must be at most ", largest,
                     " with block_size ", o.block_size, " and filter_cap ", o.filter_cap,
                     ", so that OpenCV's 16-bit costs can't overflow: got ", o.large_penalty));
  }
  return o;
}

class SgbmPredictor final : public runtime::Predictor {
 public:
  explicit SgbmPredictor(const SemiGlobalOptions& options) : options_(options) {}

  // Of a pixel: two sums of 16 bits for each disparity, as OpenCV keeps them of a whole image.
  int64_t PeakBytes(const TensorMap& inputs) const override {
    const auto left = inputs.find("left");
    if (left == inputs.end()) return 0;
    return left->second.ElementCount() / 3 * (4 * options_.max_disparity + 64);
  }

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* left, runtime::FindTensor(inputs, "left"));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* right, runtime::FindTensor(inputs, "right"));
    if (left->shape != right->shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("inputs \"left\" and \"right\" must have one size: got ", left->shape[0],
                       " x ", left->shape[1], " and ", right->shape[0], " x ", right->shape[1]));
    }
    if (left->shape[0] < kMinSide || left->shape[1] < kMinSide) {
      return absl::InvalidArgumentError(absl::StrCat("input \"left\" must have at least ", kMinSide,
                                                     " x ", kMinSide, " pixels: got ",
                                                     left->shape[0], " x ", left->shape[1]));
    }
    if (cancelled()) return absl::CancelledError("cancelled before the prediction");
    try {
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left_image, datasets::ImageFromTensor(*left, "left"));
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat right_image,
                                datasets::ImageFromTensor(*right, "right"));
      cv::Mat disparity = SemiGlobalMatch(left_image, right_image, options_);
      FillHoles(disparity);
      return ToOutputs(disparity);
    } catch (const cv::Exception& error) {
      return absl::InternalError(absl::StrCat("OpenCV: ", error.what()));
    }
  }

 private:
  const SemiGlobalOptions options_;
};

class SgbmRecipe final : public RecipeFamily {
 public:
  std::vector<v1::Recipe> Recipes() const override {
    const SemiGlobalOptions defaults;
    v1::Recipe recipe;
    recipe.set_name(kSgbm);
    const auto declare = [&](const char* name, double value, runtime::Range range, const char* unit,
                             const char* description) {
      runtime::Declare(recipe, name, value, range, unit, description);
    };
    declare("max_disparity", static_cast<double>(defaults.max_disparity), {16, 512}, "px",
            "Disparities that are searched; a multiple of 16.");
    declare("block_size", static_cast<double>(defaults.block_size), {1, 21}, "px",
            "Side of the window that is matched, odd.");
    declare("small_penalty", defaults.small_penalty, {0.1, 1000}, "",
            "For a step of 1 px to the neighbour, per pixel and channel of the window.");
    declare("large_penalty", defaults.large_penalty, {0.1, 1000}, "",
            "For a larger step, likewise; above `small_penalty`.");
    declare("paths", static_cast<double>(defaults.paths), {5, 8}, "",
            "Directions that costs are gathered from: 5 or 8.");
    declare("left_right_px", defaults.left_right_px, {0, 64}, "px",
            "What matching from the right may differ; as OpenCV has it, 0 is 1.");
    declare("uniqueness_percent", defaults.uniqueness_percent, {0, 100}, "percent",
            "By which the best cost must beat the next.");
    declare("speckle_pixels", static_cast<double>(defaults.speckle_pixels), {0, 100'000}, "",
            "Smaller patches of equal disparity are noise; 0: none are.");
    declare("speckle_range_px", defaults.speckle_range_px, {1, 64}, "px",
            "What counts as equal there.");
    declare("filter_cap", static_cast<double>(defaults.filter_cap), {1, 63}, "",
            "Clips the horizontal gradient that is matched; OpenCV takes less than 15 as 15.");
    return {recipe};
  }
  absl::Status Check(const v1::Recipe& recipe) const override {
    return ReadOptions(recipe).status();
  }
  bool DependsOnSeed() const override { return false; }
  absl::StatusOr<std::string> Train(const runtime::TrainingTask&, const datasets::StereoDataset&,
                                    runtime::JobContext&) const override {
    return "";
  }
  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_RETURN_IF_ERROR(CheckNoWeights(recipe, weights));
    BACKFIRE_ASSIGN_OR_RETURN(const SemiGlobalOptions options, ReadOptions(recipe));
    return std::make_unique<SgbmPredictor>(options);
  }
};

class OracleRecipe final : public RecipeFamily {
 public:
  std::vector<v1::Recipe> Recipes() const override {
    v1::Recipe recipe;
    recipe.set_name(kOracle);
    recipe.set_unservable(true);
    return {recipe};
  }
  absl::Status Check(const v1::Recipe&) const override { return absl::OkStatus(); }
  bool DependsOnSeed() const override { return false; }
  absl::StatusOr<std::string> Train(const runtime::TrainingTask&, const datasets::StereoDataset&,
                                    runtime::JobContext&) const override {
    return "";
  }
  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(const v1::Recipe&,
                                                           const std::string&) const override {
    return absl::FailedPreconditionError(
        "recipe \"oracle\" is the ground truth, which no request carries: it can be evaluated, and "
        "other models can be trained on it, but it can't be served");
  }
  absl::StatusOr<TensorMap> PredictFromDataset(const v1::Recipe& recipe, const std::string& weights,
                                               const datasets::StereoDataset& dataset,
                                               runtime::Split split,
                                               int64_t example) const override {
    BACKFIRE_RETURN_IF_ERROR(CheckNoWeights(recipe, weights));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset.Disparity(split, example));
    return ToOutputs(truth);
  }
};

}  // namespace

std::unique_ptr<RecipeFamily> MakeSgbmRecipe() { return std::make_unique<SgbmRecipe>(); }
std::unique_ptr<RecipeFamily> MakeOracleRecipe() { return std::make_unique<OracleRecipe>(); }

}  // namespace backfire::disparity
