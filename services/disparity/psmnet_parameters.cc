#include "services/disparity/psmnet_parameters.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::disparity {
namespace {

using runtime::SetParameter;

constexpr char kFull[] = "psmnet-full-", kDepth[] = "depth-mae";

v1::Recipe SmallRecipe(const std::string& name) {
  v1::Recipe recipe;
  recipe.set_name(name);
  SetParameter(recipe, "channels", 16);
  SetParameter(recipe, "max_disparity", 64);
  SetParameter(recipe, "pyramid_levels", 3);
  SetParameter(recipe, "hourglasses", 1);
  SetParameter(recipe, "volume_scale", 4);
  SetParameter(recipe, "contrast_window", 0);
  SetParameter(recipe, "steps", 1000);
  SetParameter(recipe, "batch", 2);
  SetParameter(recipe, "crop_height", 96);
  SetParameter(recipe, "crop_width", 256);
  SetParameter(recipe, "photometric", 0.3);
  SetParameter(recipe, "geometric", 0);
  SetParameter(recipe, "occlusion", 0);
  SetParameter(recipe, "far_weight", 0);
  SetParameter(recipe, "learning_rate", 2e-3);
  SetParameter(recipe, "schedule", "linear");
  SetParameter(recipe, "decay_fraction", 0.4);
  SetParameter(recipe, "warmup_steps", 50);
  SetParameter(recipe, "gradient_norm", 100);
  return recipe;
}

// The small network for cameras that it has not learnt from: disparities as KITTI's at up to three
// quarters of its resolution, and changes of light, geometry and sight strong enough that a
// rendered world will do (the profile `transfer`).
v1::Recipe TransferRecipe(const std::string& name) {
  v1::Recipe recipe = SmallRecipe(name);
  SetParameter(recipe, "contrast_window", 15);
  SetParameter(recipe, "max_disparity", 144);
  SetParameter(recipe, "steps", 5400);
  SetParameter(recipe, "crop_height", 128);
  SetParameter(recipe, "crop_width", 320);
  SetParameter(recipe, "photometric", 0.8);
  SetParameter(recipe, "geometric", 0.7);
  SetParameter(recipe, "occlusion", 0.5);
  SetParameter(recipe, "far_weight", 1);
  return recipe;
}

// As published for KITTI 2015: 300 epochs of 160 pairs in batches of 12; the rate falls to a tenth
// after epoch 200.
v1::Recipe FullRecipe(const std::string& name) {
  v1::Recipe recipe;
  recipe.set_name(name);
  SetParameter(recipe, "network", "stackhourglass");
  SetParameter(recipe, "align_corners", 0);
  SetParameter(recipe, "contrast_window", 0);
  SetParameter(recipe, "max_disparity", 192);
  SetParameter(recipe, "steps", 4000);
  SetParameter(recipe, "batch", 12);
  SetParameter(recipe, "crop_height", 256);
  SetParameter(recipe, "crop_width", 512);
  SetParameter(recipe, "photometric", 0);
  SetParameter(recipe, "geometric", 0);
  SetParameter(recipe, "occlusion", 0);
  SetParameter(recipe, "far_weight", 0);
  SetParameter(recipe, "learning_rate", 1e-3);
  SetParameter(recipe, "schedule", "step");
  SetParameter(recipe, "decay_fraction", 1.0 / 3);
  SetParameter(recipe, "warmup_steps", 0);
  SetParameter(recipe, "gradient_norm", 1e9);
  return recipe;
}

absl::Status MustBeMultiple(const char* name, int64_t value, int64_t of) {
  if (value % of == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("recipe.parameters.", name, " must be a multiple of ", of, ": got ", value));
}

absl::Status OneOf(const char* name, const std::string& value,
                   const std::vector<std::string>& allowed) {
  std::string list;
  for (const std::string& one : allowed) {
    if (one == value) return absl::OkStatus();
    absl::StrAppend(&list, list.empty() ? "" : ", ", one);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("recipe.parameters.", name, " must be one of ", list, ": got \"", value, "\""));
}

absl::Status ReadSmallNetwork(runtime::ParameterReader& reader, PsmNetOptions& network) {
  const int64_t channels = reader.Integer("channels", 4, 128);
  network = SmallPsmNet(channels);
  const int64_t levels = reader.Integer("pyramid_levels", 0, 4);
  network.pyramid.clear();
  for (int64_t level = 0; level < levels; ++level) {
    network.pyramid.push_back(int64_t{4} << (levels - 1 - level));
  }
  network.hourglasses = reader.Integer("hourglasses", 0, 8);
  network.volume_scale = reader.Integer("volume_scale", 4, 8);
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  if (channels % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.channels must be even: got ", channels));
  }
  return MustBeMultiple("volume_scale", network.volume_scale, 4);
}

absl::Status ReadFullNetwork(runtime::ParameterReader& reader, PsmNetOptions& network) {
  const std::string kind = reader.Text("network");
  const bool align_corners = reader.Integer("align_corners", 0, 1) == 1;
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  BACKFIRE_RETURN_IF_ERROR(OneOf("network", kind, {"stackhourglass", "basic"}));
  network = kind == "basic" ? BasicPsmNet() : PsmNetOptions();
  network.align_corners = align_corners;
  return absl::OkStatus();
}

}  // namespace

std::vector<v1::Recipe> PsmNetRecipeDefaults() {
  std::vector<v1::Recipe> recipes = {SmallRecipe("psmnet-depth-mae"),
                                     SmallRecipe("psmnet-disparity-mae"),
                                     TransferRecipe("psmnet-transfer-depth-mae"),
                                     TransferRecipe("psmnet-transfer-disparity-mae"),
                                     FullRecipe("psmnet-full-depth-mae"),
                                     FullRecipe("psmnet-full-disparity-mae")};
  for (v1::Recipe& recipe : recipes) {
    SetParameter(recipe, runtime::kInitializeFrom, "");
    SetParameter(recipe, "weight_decay", 0);
    SetParameter(recipe, "max_depth_m", 80);
    SetParameter(recipe, "threads", 1);
    SetParameter(recipe, "layout", "plain");
    SetParameter(recipe, "precision", "float32");
    SetParameter(recipe, "loss", absl::StartsWith(recipe.name(), kFull) ? "smooth-l1" : "l1");
  }
  return recipes;
}

absl::StatusOr<PsmNetParameters> ReadPsmNetParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  PsmNetParameters p;
  const std::string loss = reader.Text("loss");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  BACKFIRE_RETURN_IF_ERROR(OneOf("loss", loss, {"l1", "smooth-l1"}));
  if (absl::EndsWith(recipe.name(), kDepth)) {
    p.loss.kind = loss == "l1" ? LossKind::kDepth : LossKind::kSmoothDepth;
  } else {
    p.loss.kind = loss == "l1" ? LossKind::kDisparity : LossKind::kSmoothDisparity;
  }
  if (absl::StartsWith(recipe.name(), kFull)) {
    BACKFIRE_RETURN_IF_ERROR(ReadFullNetwork(reader, p.network));
  } else {
    BACKFIRE_RETURN_IF_ERROR(ReadSmallNetwork(reader, p.network));
  }
  p.network.max_disparity = reader.Integer("max_disparity", 16, 384);
  p.network.contrast_window = reader.Integer("contrast_window", 0, 255);
  p.schedule.steps = reader.Integer("steps", 1, 10'000'000);
  p.schedule.learning_rate = reader.Number("learning_rate", 1e-7, 1);
  p.schedule.warmup_steps = reader.Integer("warmup_steps", 0, 1'000'000);
  p.schedule.decay_fraction = reader.Number("decay_fraction", 0, 1);
  p.schedule.gradient_norm = reader.Number("gradient_norm", 1e-6, 1e12);
  p.schedule.weight_decay = reader.Number("weight_decay", 0, 1);
  p.crop.batch = reader.Integer("batch", 2, 256);
  p.crop.height = reader.Integer("crop_height", 16, 4096);
  p.crop.width = reader.Integer("crop_width", 16, 8192);
  p.crop.photometric = reader.Number("photometric", 0, 1);
  p.crop.geometric = reader.Number("geometric", 0, 1);
  p.crop.occlusion = reader.Number("occlusion", 0, 1);
  p.loss.max_depth_m = reader.Number("max_depth_m", 1, 10'000);
  p.loss.far_weight = reader.Number("far_weight", 0, 1);
  p.loss.max_disparity = static_cast<double>(p.network.max_disparity);
  p.threads = reader.Integer("threads", 1, 1024);
  const std::string schedule = reader.Text("schedule"), layout = reader.Text("layout"),
                    precision = reader.Text("precision");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  BACKFIRE_RETURN_IF_ERROR(OneOf("schedule", schedule, {"linear", "cosine", "step"}));
  BACKFIRE_RETURN_IF_ERROR(OneOf("layout", layout, {"plain", "channels-last"}));
  BACKFIRE_RETURN_IF_ERROR(OneOf("precision", precision, {"float32", "bfloat16"}));
  p.schedule.decay = schedule == "linear"   ? learning::RateDecay::kLinear
                     : schedule == "cosine" ? learning::RateDecay::kCosine
                                            : learning::RateDecay::kStep;
  p.channels_last = layout == "channels-last";
  p.bfloat16 = precision == "bfloat16";
  if (p.network.contrast_window > 0 && p.network.contrast_window % 2 == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe.parameters.contrast_window must be odd, or 0: got ", p.network.contrast_window));
  }
  const int64_t multiple = p.network.multiple();
  BACKFIRE_RETURN_IF_ERROR(MustBeMultiple("max_disparity", p.network.max_disparity, multiple));
  BACKFIRE_RETURN_IF_ERROR(MustBeMultiple("crop_height", p.crop.height, multiple));
  BACKFIRE_RETURN_IF_ERROR(MustBeMultiple("crop_width", p.crop.width, multiple));
  return p;
}

}  // namespace backfire::disparity
