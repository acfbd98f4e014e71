#include "services/detection/point_rcnn/point_rcnn_parameters.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::detection {

v1::Recipe DefaultPointRcnnRecipe(bool small) {
  v1::Recipe recipe;
  recipe.set_name(small ? "point-rcnn-small" : "point-rcnn");
  const auto set = [&](const char* name, double published, double if_small) {
    runtime::SetParameter(recipe, name, small ? if_small : published);
  };
  set("proposal_steps", 46400, 3000);
  set("refinement_steps", 16240, 8000);
  set("batch", 16, 4);
  set("proposal_learning_rate", 2e-3, 4e-3);
  set("refinement_learning_rate", 2e-3, 4e-3);
  set("weight_decay", 1e-3, 1e-3);
  set("size_weight", 3, 3);
  set("points", 16384, 2048);
  runtime::SetParameter(recipe, "sampling", std::string("random"));
  set("max_depth_m", 70.4, 45);
  set("width", 1, 0.25);
  set("radius_scale", 1, 2);
  set("dropout", 0.5, 0);
  set("roi_points", 512, 128);
  set("pasted_objects", 15, 3);
  set("train_max_depth_m", 0, 0);
  set("train_fraction", 1, 1);
  set("train_proposals", 512, 128);
  set("train_rois", 64, 32);
  set("proposals", 100, 40);
  set("min_score", 0.3, 0.1);
  set("max_overlap", 0.1, 0.1);
  set("threads", 1, 1);
  return recipe;
}

absl::StatusOr<PointRcnnParameters> ReadPointRcnnParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  PointRcnnParameters p;
  p.proposal_steps = reader.Integer("proposal_steps", 1, 10'000'000);
  p.refinement_steps = reader.Integer("refinement_steps", 1, 10'000'000);
  p.batch = reader.Integer("batch", 1, 256);
  p.proposal_learning_rate = reader.Number("proposal_learning_rate", 1e-7, 1);
  p.refinement_learning_rate = reader.Number("refinement_learning_rate", 1e-7, 1);
  p.size_weight = reader.Number("size_weight", 0, 1000);
  p.weight_decay = reader.Number("weight_decay", 0, 1);
  // The coarsest level has 1/256 of the points; batch norm needs two.
  p.cloud.points = reader.Integer("points", 512, 131072);
  p.cloud.max_depth_m = reader.Number("max_depth_m", 1, 80);
  p.width = reader.Number("width", 0.05, 4);
  p.radius_scale = reader.Number("radius_scale", 0.1, 20);
  p.dropout = reader.Number("dropout", 0, 0.95);
  p.roi_points = reader.Integer("roi_points", 16, 8192);
  p.pasted_objects = reader.Integer("pasted_objects", 0, 1000);
  p.train_max_depth_m = reader.Number("train_max_depth_m", 0, 1e6);
  p.train_fraction = reader.Number("train_fraction", 1e-3, 1);
  p.train_proposals = reader.Integer("train_proposals", 1, 9000);
  p.train_rois = reader.Integer("train_rois", 2, 4096);
  p.proposals = reader.Integer("proposals", 1, 9000);
  p.min_score = reader.Number("min_score", 0, 1);
  p.max_overlap = reader.Number("max_overlap", 0, 1);
  p.threads = reader.Integer("threads", 1, 1024);
  const std::string sampling = reader.Text("sampling");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  if (sampling != "random" && sampling != "angular") {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.sampling must be one of random, angular: got \"", sampling, "\""));
  }
  p.cloud.angular_map = sampling == "angular";
  return p;
}

}  // namespace backfire::detection
