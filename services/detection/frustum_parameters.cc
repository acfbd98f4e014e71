#include "services/detection/frustum_parameters.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::detection {
namespace {

// Reads a text that must be one of a few.
template <typename T>
absl::StatusOr<T> Choice(runtime::ParameterReader& reader, const std::string& name,
                         const std::vector<std::pair<std::string, T>>& choices) {
  const std::string text = reader.Text(name);
  std::vector<std::string> names;
  for (const auto& [choice, value] : choices) {
    if (choice == text) return value;
    names.push_back(choice);
  }
  return absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", name, " must be one of ",
                                                 absl::StrJoin(names, ", "), ": got \"", text,
                                                 "\""));
}

}  // namespace

v1::Recipe FullFrustumRecipe() {
  v1::Recipe recipe;
  recipe.set_name("frustum-pointnet-full");
  const auto declare = [&](const char* name, double value, runtime::Range range, const char* unit,
                           const char* description) {
    runtime::Declare(recipe, name, value, range, unit, description);
  };
  declare("steps", 20000, {1, 10'000'000}, "", "Steps of the optimiser.");
  declare("batch", 32, {2, 1024}, "", "Frusta in a step.");
  declare("learning_rate", 1e-3, {1e-7, 1}, "", "Of Adam.");
  declare("width", 1, {0.05, 8}, "", "Of the hidden layers, times the published one.");
  declare("points", 1024, {8, 16384}, "", "Points of a frustum.");
  declare("object_points", 512, {4, 16384}, "", "Of these, points of the object.");
  declare("dropout", 0.5, {0, 0.95}, "", "Before the segmentation's last layer.");
  runtime::Declare(recipe, "depth", "absolute", {"absolute", "relative"},
                   "Of z: to the camera, or to the median of the frustum's points.");
  // Both published codes always shift forward, by 0.8 to 1.2 times a distance made of x and y.
  runtime::Declare(recipe, "depth_shift", "none", {"none", "published"},
                   "Whether training frusta are moved in depth, as the published codes do.");
  runtime::Declare(recipe, "corner_size_residual", "doubled", {"doubled", "once"},
                   "The size residual in the corner loss; published is doubled.");
  declare("box_jitter", 0.1, {0, 1}, "",
          "Training frusta are of labels' boxes, moved and scaled by up to this part of them.");
  declare("min_box_height_px", 25, {0, 10'000}, "px",
          "Labels that are lower in the image are left out of training.");
  declare("train_max_depth_m", 0, {0, 1e6}, "m",
          "Labels that are farther are left out of training; 0: none is.");
  declare("train_fraction", 1, {1e-3, 1}, "",
          "Part of the training frames that is used, drawn by the seed.");
  declare("min_points", 1, {1, 16384}, "", "Proposals with fewer points give no detection.");
  declare("min_score", 0, {0, 1}, "", "Detections that are less sure are left out.");
  runtime::Declare(recipe, "score", "combined", {"combined", "network", "mask", "proposal"},
                   "Whose score a detection has: the 2D proposal's, the network's, that of the "
                   "mask's surest point, or the product of the first two.");
  declare("threads", 1, {1, 1024}, "", "Of a training; results depend on it.");
  return recipe;
}

v1::Recipe SmallFrustumRecipe() {
  v1::Recipe recipe = FullFrustumRecipe();
  recipe.set_name("frustum-pointnet");
  runtime::SetParameter(recipe, "steps", 800);
  runtime::SetParameter(recipe, "learning_rate", 2e-3);
  runtime::SetParameter(recipe, "width", 0.25);
  runtime::SetParameter(recipe, "points", 256);
  runtime::SetParameter(recipe, "object_points", 128);
  runtime::SetParameter(recipe, "depth", std::string("relative"));
  return recipe;
}

absl::StatusOr<FrustumParameters> ReadFrustumParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  FrustumParameters p;
  p.steps = reader.Integer("steps");
  p.batch = reader.Integer("batch");
  p.learning_rate = reader.Number("learning_rate");
  p.width = reader.Number("width");
  p.frustum.points = reader.Integer("points");
  p.object_points = reader.Integer("object_points");
  p.dropout = reader.Number("dropout");
  p.box_jitter = reader.Number("box_jitter");
  p.min_box_height_px = reader.Number("min_box_height_px");
  p.train_max_depth_m = reader.Number("train_max_depth_m");
  p.train_fraction = reader.Number("train_fraction");
  p.min_points = reader.Integer("min_points");
  p.min_score = reader.Number("min_score");
  p.threads = reader.Integer("threads");
  BACKFIRE_ASSIGN_OR_RETURN(
      p.frustum.relative_depth,
      Choice<bool>(reader, "depth", {{"absolute", false}, {"relative", true}}));
  BACKFIRE_ASSIGN_OR_RETURN(
      p.published_depth_shift,
      Choice<bool>(reader, "depth_shift", {{"none", false}, {"published", true}}));
  BACKFIRE_ASSIGN_OR_RETURN(
      p.doubled_size_residual,
      Choice<bool>(reader, "corner_size_residual", {{"doubled", true}, {"once", false}}));
  BACKFIRE_ASSIGN_OR_RETURN(p.score, Choice<FrustumScore>(reader, "score",
                                                          {{"combined", FrustumScore::kCombined},
                                                           {"network", FrustumScore::kNetwork},
                                                           {"mask", FrustumScore::kMask},
                                                           {"proposal", FrustumScore::kProposal}}));
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  return p;
}

}  // namespace backfire::detection
