#include "services/disparity/psmnet_parameters.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

namespace backfire::disparity {
namespace {

using runtime::Declare;
using runtime::SetParameter;

constexpr char kFull[] = "psmnet-full-", kDepth[] = "depth-mae";

// What the small networks and the published ones have in common, at the small ones' defaults.
void DeclareShared(v1::Recipe& recipe) {
  Declare(recipe, "max_disparity", 64, {16, 384}, "px",
          "Disparities that are searched; larger ones are neither learnt nor predicted. A multiple "
          "of what the network divides by.");
  Declare(recipe, "contrast_window", 0, {0, 255}, "px",
          "Side of the window by which a pixel is normalised, odd; 0: none.");
  Declare(recipe, "steps", 1000, {1, 10'000'000}, "", "Steps of the optimiser.");
  Declare(recipe, "batch", 2, {2, 256}, "", "Crops in a step.");
  Declare(recipe, "crop_height", 96, {16, 4096}, "px", "Of a crop, a multiple as `max_disparity`.");
  Declare(recipe, "crop_width", 256, {16, 8192}, "px", "Of a crop, a multiple as `max_disparity`.");
  Declare(recipe, "photometric", 0.3, {0, 1}, "",
          "How strongly light changes, of both images alike and of each.");
  Declare(recipe, "geometric", 0, {0, 1}, "",
          "How strongly crops are zoomed and the right one is misaligned.");
  Declare(recipe, "occlusion", 0, {0, 1}, "",
          "Probability that a patch of the right crop is hidden.");
  Declare(recipe, "max_depth_m", 80, {1, 10'000}, "m", "Depths are learnt up to here.");
  Declare(recipe, "far_weight", 0, {0, 1}, "",
          "Of a pixel beyond `max_depth_m`, which teaches only that it is no nearer; 0: nothing.");
  Declare(recipe, "learning_rate", 2e-3, {1e-7, 1}, "", "Of Adam, at its highest.");
  Declare(recipe, "warmup_steps", 50, {0, 1'000'000}, "", "Steps in which the rate rises.");
  Declare(recipe, "schedule", "linear", {"linear", "cosine", "step"},
          "How the rate falls at the end: to a hundredth; `step`: at once to a tenth.");
  Declare(recipe, "decay_fraction", 0.4, {0, 1}, "",
          "The last part of the steps, in which it falls.");
  Declare(recipe, "gradient_norm", 100, {1e-6, 1e12}, "",
          "Longer gradients are scaled down to it.");
  Declare(recipe, "weight_decay", 0, {0, 1}, "", "L2 penalty of the weights.");
  Declare(recipe, runtime::kInitializeFrom, "", {},
          "A version of the same network, or `pretrained:small`, whose weights a training starts "
          "with; empty: none.");
  Declare(recipe, "threads", 1, {1, 1024}, "", "Of a training; results depend on it.");
  Declare(recipe, "layout", "plain", {"plain", "channels-last"},
          "Of images and weights in memory, in training and serving; channels-last needs AVX-512.");
  Declare(recipe, "precision", "float32", {"float32", "bfloat16"},
          "Of convolutions, in training and serving; bfloat16 needs AVX-512.");
}

v1::Recipe SmallRecipe(const std::string& name) {
  v1::Recipe recipe;
  recipe.set_name(name);
  Declare(recipe, "channels", 16, {4, 128}, "", "Of the first layers, even; all others follow.");
  Declare(recipe, "pyramid_levels", 3, {0, 4}, "", "Windows of the spatial pyramid.");
  Declare(recipe, "hourglasses", 1, {0, 8}, "", "0: the residual pairs of `basic`.");
  Declare(recipe, "volume_scale", 4, {4, 8}, "px",
          "What a plane, a row and a column of the cost volume stand for: 4 or 8.");
  DeclareShared(recipe);
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
  Declare(recipe, "network", "stackhourglass", {"stackhourglass", "basic"}, "As published.");
  Declare(recipe, "align_corners", 0, {0, 1}, "",
          "1: interpolation as PyTorch before 0.4, for the authors' weights.");
  DeclareShared(recipe);
  SetParameter(recipe, "max_disparity", 192);
  SetParameter(recipe, "steps", 4000);
  SetParameter(recipe, "batch", 12);
  SetParameter(recipe, "crop_height", 256);
  SetParameter(recipe, "crop_width", 512);
  SetParameter(recipe, "photometric", 0);
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

absl::Status ReadSmallNetwork(runtime::ParameterReader& reader, PsmNetOptions& network) {
  const int64_t channels = reader.Integer("channels");
  network = SmallPsmNet(channels);
  const int64_t levels = reader.Integer("pyramid_levels");
  network.pyramid.clear();
  for (int64_t level = 0; level < levels; ++level) {
    network.pyramid.push_back(int64_t{4} << (levels - 1 - level));
  }
  network.hourglasses = reader.Integer("hourglasses");
  network.volume_scale = reader.Integer("volume_scale");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  if (channels % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.channels must be even: got ", channels));
  }
  return MustBeMultiple("volume_scale", network.volume_scale, 4);
}

absl::Status ReadFullNetwork(runtime::ParameterReader& reader, PsmNetOptions& network) {
  const std::string kind = reader.Text("network");
  const bool align_corners = reader.Integer("align_corners") == 1;
  BACKFIRE_RETURN_IF_ERROR(reader.status());
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
    Declare(recipe, "loss", absl::StartsWith(recipe.name(), kFull) ? "smooth-l1" : "l1",
            {"l1", "smooth-l1"},
            "Of the error in px, or m in `...-depth-mae`; smooth L1 is quadratic up to 1.");
  }
  return recipes;
}

absl::StatusOr<PsmNetParameters> ReadPsmNetParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  PsmNetParameters p;
  const std::string loss = reader.Text("loss");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
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
  p.network.max_disparity = reader.Integer("max_disparity");
  p.network.contrast_window = reader.Integer("contrast_window");
  p.schedule.steps = reader.Integer("steps");
  p.schedule.learning_rate = reader.Number("learning_rate");
  p.schedule.warmup_steps = reader.Integer("warmup_steps");
  p.schedule.decay_fraction = reader.Number("decay_fraction");
  p.schedule.gradient_norm = reader.Number("gradient_norm");
  p.schedule.weight_decay = reader.Number("weight_decay");
  p.crop.batch = reader.Integer("batch");
  p.crop.height = reader.Integer("crop_height");
  p.crop.width = reader.Integer("crop_width");
  p.crop.photometric = reader.Number("photometric");
  p.crop.geometric = reader.Number("geometric");
  p.crop.occlusion = reader.Number("occlusion");
  p.loss.max_depth_m = reader.Number("max_depth_m");
  p.loss.far_weight = reader.Number("far_weight");
  p.loss.max_disparity = static_cast<double>(p.network.max_disparity);
  p.threads = reader.Integer("threads");
  const std::string schedule = reader.Text("schedule"), layout = reader.Text("layout"),
                    precision = reader.Text("precision");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
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
