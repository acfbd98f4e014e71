#include "services/datasets/render_profile.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace backfire::datasets {
namespace {

// A field, by reference to whole or real number.
struct Field {
  RenderParameter parameter;
  int RenderProfile::*whole;
  double RenderProfile::*real;
};

const std::vector<Field>& Fields() {
  using P = RenderProfile;
  static const auto* fields = new std::vector<Field>{
      {{"width", "image width, px", 32, 4096}, &P::width, nullptr},
      {{"height", "image height, px", 32, 4096}, &P::height, nullptr},
      {{"focal_length_px", "focal length, px", 16, 10000}, nullptr, &P::focal_length_px},
      {{"baseline_m", "distance between the cameras, m", 0.01, 10}, nullptr, &P::baseline_m},
      {{"centre_x_px", "principal point, px", -4096, 8192}, nullptr, &P::centre_x_px},
      {{"centre_y_px", "principal point (the horizon's row), px", -4096, 8192},
       nullptr,
       &P::centre_y_px},
      {{"camera_height_m", "height of the cameras above the road, m", 0.3, 10},
       nullptr,
       &P::camera_height_m},
      {{"slope_deg", "spread of the road's slope, degrees", 0, 3}, nullptr, &P::slope_deg},
      {{"cars", "mean number of cars placed in view", 0, 40}, nullptr, &P::cars},
      {{"pedestrians", "mean number of pedestrians placed in view", 0, 40},
       nullptr,
       &P::pedestrians},
      {{"near_m", "least depth of what stands in the street, m", 2, 100}, nullptr, &P::near_m},
      {{"far_m", "largest depth of a car's or pedestrian's middle, m", 4, 120}, nullptr, &P::far_m},
      {{"parked", "probability of a parked row on a side", 0, 1}, nullptr, &P::parked},
      {{"clutter", "poles, trees, bins ..., times the usual number", 0, 4}, nullptr, &P::clutter},
      {{"contrast", "of textures, times the usual one", 0, 3}, nullptr, &P::contrast},
      {{"reflection", "in cars' paint and windows, times the usual one", 0, 4},
       nullptr,
       &P::reflection},
      {{"sun", "probability of sunshine", 0, 1}, nullptr, &P::sun},
      {{"noise", "spread of the sensor's noise, grey levels", 0, 40}, nullptr, &P::noise},
      {{"gain", "spread between the cameras' exposures, relative", 0, 0.5}, nullptr, &P::gain},
      {{"blur_px", "largest blur of a camera, px", 0, 0.7}, nullptr, &P::blur_px},
      {{"vignetting", "largest loss of light in the corners", 0, 0.9}, nullptr, &P::vignetting},
  };
  return *fields;
}

}  // namespace

absl::StatusOr<RenderProfile> FindRenderProfile(const std::string& name) {
  RenderProfile profile;
  profile.name = name;
  if (name == "tiny") return profile;
  if (name == "kitti" || name == "half") {
    profile.width = 1242;
    profile.height = 375;
    profile.focal_length_px = 721.5377;
    profile.baseline_m = 0.54;
    profile.centre_x_px = 609.5593;
    profile.centre_y_px = 172.854;
    profile.near_m = 3.5;
    if (name == "kitti") return profile;
    profile.width = 621;
    profile.height = 188;
    profile.focal_length_px /= 2;
    profile.centre_x_px = (profile.centre_x_px + 0.5) / 2 - 0.5;
    profile.centre_y_px = (profile.centre_y_px + 0.5) / 2 - 0.5;
    return profile;
  }
  if (name == "lidar") {
    profile.width = 640;
    profile.height = 128;
    profile.baseline_m = 0.9;
    profile.centre_x_px = 319.5;
    profile.centre_y_px = 16;
    profile.near_m = 6.2;
    return profile;
  }
  if (name == "transfer") {
    profile.width = 900;
    profile.height = 272;
    profile.focal_length_px = 522.9;
    profile.baseline_m = 0.54;
    profile.centre_x_px = 441.6;
    profile.centre_y_px = 125.1;
    profile.near_m = 2;
    profile.parked = 0.7;
    profile.cars = 9;
    profile.reflection = 2;
    return profile;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the rendered world's profile must be tiny, half, kitti, lidar or transfer: got \"", name,
      "\""));
}

absl::Status SetParameter(RenderProfile& profile, std::string_view parameter,
                          std::string_view value) {
  const std::string text(value);
  for (const Field& field : Fields()) {
    if (field.parameter.name != parameter) continue;
    double number;
    if (!absl::SimpleAtod(text, &number) || !(number >= field.parameter.low) ||
        !(number <= field.parameter.high) ||
        (field.whole != nullptr && number != std::floor(number))) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s must be a %snumber in [%g, %g]: got \"%s\"", field.parameter.name,
          field.whole != nullptr ? "whole " : "", field.parameter.low, field.parameter.high, text));
    }
    if (field.whole != nullptr) {
      profile.*field.whole = static_cast<int>(number);
    } else {
      profile.*field.real = number;
    }
    return absl::OkStatus();
  }
  std::string names;
  for (const Field& field : Fields()) absl::StrAppend(&names, " ", field.parameter.name);
  return absl::InvalidArgumentError(absl::StrCat("the rendered world has no parameter \"",
                                                 std::string(parameter), "\"; it has", names));
}

const std::vector<RenderParameter>& RenderParameters() {
  static const auto* parameters = [] {
    auto* list = new std::vector<RenderParameter>;
    for (const Field& field : Fields()) list->push_back(field.parameter);
    return list;
  }();
  return *parameters;
}

std::string FormatProfile(const RenderProfile& profile) {
  std::string text;
  for (const Field& field : Fields()) {
    if (field.whole != nullptr) {
      absl::StrAppend(&text, field.parameter.name, " ", profile.*field.whole, "\n");
    } else {
      absl::StrAppendFormat(&text, "%s %.17g\n", field.parameter.name, profile.*field.real);
    }
  }
  return text;
}

}  // namespace backfire::datasets
