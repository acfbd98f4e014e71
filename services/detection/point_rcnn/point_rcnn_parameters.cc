#include "services/detection/point_rcnn/point_rcnn_parameters.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::detection {

v1::Recipe DefaultPointRcnnRecipe(bool small) {
  v1::Recipe recipe;
  recipe.set_name(small ? "point-rcnn-small" : "point-rcnn");
  const auto declare = [&](const char* name, double published, double if_small,
                           runtime::Range range, const char* unit, const char* description) {
    runtime::Declare(recipe, name, small ? if_small : published, range, unit, description);
  };
  declare("proposal_steps", 46400, 3000, {1, 10'000'000}, "", "Steps of the first stage.");
  declare("refinement_steps", 16240, 8000, {1, 10'000'000}, "", "Steps of the second stage.");
  declare("batch", 16, 4, {1, 256}, "", "Clouds in a step.");
  declare("proposal_learning_rate", 2e-3, 4e-3, {1e-7, 1}, "", "Of Adam in the first stage.");
  declare("refinement_learning_rate", 2e-3, 4e-3, {1e-7, 1}, "", "Of Adam in the second stage.");
  declare("weight_decay", 1e-3, 1e-3, {0, 1}, "", "Of Adam, decoupled from the gradient.");
  declare("size_weight", 3, 3, {0, 1000}, "", "Of a box's size in the loss.");
  // The coarsest level has 1/256 of the points; batch norm needs two.
  declare("points", 16384, 2048, {512, 131072}, "", "Points of a frame that the network sees.");
  runtime::Declare(recipe, "sampling", "random", {"random", "angular"},
                   "How they are drawn: at random, or after thinning out to 64 x 512 directions.");
  declare("max_depth_m", 70.4, 45, {1, 80}, "m", "Points that are farther are left out.");
  declare("width", 1, 0.25, {0.05, 4}, "", "Of the hidden layers, times the published one.");
  declare("radius_scale", 1, 2, {0.1, 20}, "",
          "Radii of neighbourhoods, times the published ones.");
  declare("dropout", 0.5, 0, {0, 0.95}, "", "In the first stage's heads.");
  declare("roi_points", 512, 128, {16, 8192}, "",
          "Points of a proposal in the second stage, at most.");
  declare("pasted_objects", 15, 3, {0, 1000}, "",
          "Objects of other training frames in a cloud, at most.");
  declare("train_max_depth_m", 0, 0, {0, 1e6}, "m",
          "Labels that are farther are left out of training; 0: none is.");
  declare("train_fraction", 1, 1, {1e-3, 1}, "",
          "Part of the training frames that is used, drawn by the seed.");
  declare("train_proposals", 512, 128, {1, 9000}, "",
          "Proposals of a cloud in training, of which the second stage's are drawn.");
  declare("train_rois", 64, 32, {2, 4096}, "", "How many of a cloud the second stage learns from.");
  declare("proposals", 100, 40, {1, 9000}, "", "Proposals of a frame in prediction.");
  declare("min_score", 0.3, 0.1, {0, 1}, "", "Detections that are less sure are left out.");
  declare("max_overlap", 0.1, 0.1, {0, 1}, "",
          "Of two detections that overlap by more, in bird's-eye view, the surer one stays.");
  declare("threads", 1, 1, {1, 1024}, "", "Of a training; results depend on it.");
  return recipe;
}

absl::StatusOr<PointRcnnParameters> ReadPointRcnnParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  PointRcnnParameters p;
  p.proposal_steps = reader.Integer("proposal_steps");
  p.refinement_steps = reader.Integer("refinement_steps");
  p.batch = reader.Integer("batch");
  p.proposal_learning_rate = reader.Number("proposal_learning_rate");
  p.refinement_learning_rate = reader.Number("refinement_learning_rate");
  p.size_weight = reader.Number("size_weight");
  p.weight_decay = reader.Number("weight_decay");
  p.cloud.points = reader.Integer("points");
  p.cloud.max_depth_m = reader.Number("max_depth_m");
  p.width = reader.Number("width");
  p.radius_scale = reader.Number("radius_scale");
  p.dropout = reader.Number("dropout");
  p.roi_points = reader.Integer("roi_points");
  p.pasted_objects = reader.Integer("pasted_objects");
  p.train_max_depth_m = reader.Number("train_max_depth_m");
  p.train_fraction = reader.Number("train_fraction");
  p.train_proposals = reader.Integer("train_proposals");
  p.train_rois = reader.Integer("train_rois");
  p.proposals = reader.Integer("proposals");
  p.min_score = reader.Number("min_score");
  p.max_overlap = reader.Number("max_overlap");
  p.threads = reader.Integer("threads");
  const std::string sampling = reader.Text("sampling");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  p.cloud.angular_map = sampling == "angular";
  return p;
}

}  // namespace backfire::detection
