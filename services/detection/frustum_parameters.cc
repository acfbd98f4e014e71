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
  runtime::SetParameter(recipe, "steps", 20000);
  runtime::SetParameter(recipe, "batch", 32);
  runtime::SetParameter(recipe, "learning_rate", 1e-3);
  // Of the hidden layers, times the published one.
  runtime::SetParameter(recipe, "width", 1);
  // Points of a frustum; of these, points of the object.
  runtime::SetParameter(recipe, "points", 1024);
  runtime::SetParameter(recipe, "object_points", 512);
  runtime::SetParameter(recipe, "dropout", 0.5);
  // absolute, or relative: see FrustumOptions.
  runtime::SetParameter(recipe, "depth", std::string("absolute"));
  // Augmentation: none, or published. (Both published codes always shift forward, by 0.8 to 1.2
  // times a distance made of x and y.)
  runtime::SetParameter(recipe, "depth_shift", std::string("none"));
  // The size residual in the corner loss: doubled as published, or once.
  runtime::SetParameter(recipe, "corner_size_residual", std::string("doubled"));
  // Training frusta are of labels' boxes, moved and scaled at random by up to this part of them.
  runtime::SetParameter(recipe, "box_jitter", 0.1);
  // Labels that are lower in the image, or farther, are left out of training; 0: none is.
  runtime::SetParameter(recipe, "min_box_height_px", 25);
  runtime::SetParameter(recipe, "train_max_depth_m", 0);
  // The part of the training frames that is used, drawn by the seed.
  runtime::SetParameter(recipe, "train_fraction", 1);
  // Proposals with fewer points, or surer by less, give no detection.
  runtime::SetParameter(recipe, "min_points", 1);
  runtime::SetParameter(recipe, "min_score", 0);
  // combined, network, mask or proposal: see FrustumScore.
  runtime::SetParameter(recipe, "score", std::string("combined"));
  runtime::SetParameter(recipe, "threads", 1);
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
  p.steps = reader.Integer("steps", 1, 10'000'000);
  p.batch = reader.Integer("batch", 2, 1024);
  p.learning_rate = reader.Number("learning_rate", 1e-7, 1);
  p.width = reader.Number("width", 0.05, 8);
  p.frustum.points = reader.Integer("points", 8, 16384);
  p.object_points = reader.Integer("object_points", 4, 16384);
  p.dropout = reader.Number("dropout", 0, 0.95);
  p.box_jitter = reader.Number("box_jitter", 0, 1);
  p.min_box_height_px = reader.Number("min_box_height_px", 0, 10'000);
  p.train_max_depth_m = reader.Number("train_max_depth_m", 0, 1e6);
  p.train_fraction = reader.Number("train_fraction", 1e-3, 1);
  p.min_points = reader.Integer("min_points", 1, 16384);
  p.min_score = reader.Number("min_score", 0, 1);
  p.threads = reader.Integer("threads", 1, 1024);
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
