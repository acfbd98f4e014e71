#include "services/datasets/kitti_objects.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/base/status.h"
#include "services/base/text_file.h"

namespace backfire::datasets {
namespace {

using metrics::Object;

constexpr size_t kLabelColumns = 15;
constexpr std::array<const char*, kLabelColumns + 1> kColumns = {
    "type",   "truncated", "occluded", "alpha", "left", "top", "right",      "bottom",
    "height", "width",     "length",   "x",     "y",    "z",   "rotation_y", "score"};

constexpr std::array<const char*, 9> kTypes = {
    "Car", "Cyclist", "DontCare", "Misc", "Pedestrian", "Person_sitting", "Tram", "Truck", "Van"};

// KITTI's evaluator compares names of classes without regard to case. Everything behind this reader
// compares them exactly, so a class of KITTI's gets KITTI's spelling here.
std::string Spelling(absl::string_view type) {
  for (const char* known : kTypes) {
    if (absl::EqualsIgnoreCase(type, known)) return known;
  }
  return std::string(type);
}

absl::StatusOr<Object> ParseObject(absl::string_view line, const std::string& where) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (fields.size() != kLabelColumns && fields.size() != kLabelColumns + 1) {
    return absl::DataLossError(absl::StrCat(
        where, ": an object has 15 columns, or 16 with its score: got ", fields.size()));
  }
  std::array<double, kLabelColumns + 1> values{};
  for (size_t i = 1; i < fields.size(); ++i) {
    if (!absl::SimpleAtod(fields[i], &values[i]) || !std::isfinite(values[i])) {
      return absl::DataLossError(absl::StrCat(where, ": column ", i + 1, " (", kColumns[i],
                                              ") must be a finite number: got \"", fields[i],
                                              "\""));
    }
  }
  if (std::floor(values[2]) != values[2] || std::abs(values[2]) > 100) {
    return absl::DataLossError(absl::StrCat(
        where, ": column 3 (occluded) must be a whole number: got \"", fields[2], "\""));
  }
  Object object;
  object.type = Spelling(fields[0]);
  object.truncation = values[1];
  object.occlusion = static_cast<int>(values[2]);
  object.alpha = values[3];
  object.box_2d = {values[4], values[5], values[6], values[7]};
  object.box_3d = {values[8],  values[9],  values[10], values[11],
                   values[12], values[13], values[14]};
  if (fields.size() > kLabelColumns) object.score = values[15];
  return object;
}

// What can be read, but is no label of anything.
std::vector<std::string> Implausible(const Object& object) {
  std::vector<std::string> faults;
  if (std::find(kTypes.begin(), kTypes.end(), object.type) == kTypes.end()) {
    faults.push_back(absl::StrCat("type must be one of ", absl::StrJoin(kTypes, ", "), ": got \"",
                                  object.type, "\""));
  }
  if (!(object.box_2d.width() > 0) || !(object.box_2d.height() > 0)) {
    faults.push_back("the 2D box is empty: right must be > left, bottom > top");
  }
  if (object.type == "DontCare") return faults;
  if (object.truncation != -1 && (object.truncation < 0 || object.truncation > 1)) {
    faults.push_back(absl::StrCat("truncated must be in [0, 1], or -1: got ", object.truncation));
  }
  if (object.occlusion < -1 || object.occlusion > 3) {
    faults.push_back(absl::StrCat("occluded must be 0 to 3, or -1: got ", object.occlusion));
  }
  const metrics::Box3d& box = object.box_3d;
  if (!(box.height > 0) || !(box.width > 0) || !(box.length > 0)) {
    faults.push_back(absl::StrCat("height, width and length must be > 0 m: got ", box.height, ", ",
                                  box.width, ", ", box.length));
  }
  constexpr double kFarthestM = 1000;
  // Where it isn't known, as in KITTI's detections in the image alone, it is -1000.
  if (std::max({std::abs(box.x), std::abs(box.y), std::abs(box.z)}) > kFarthestM) {
    faults.push_back(absl::StrCat("x, y and z must be within ", kFarthestM, " m: got ", box.x, ", ",
                                  box.y, ", ", box.z));
  }
  constexpr double kTurn = 3.15;  // Two decimals of pi.
  if (std::abs(box.rotation_y) > kTurn || std::abs(object.alpha) > kTurn) {
    faults.push_back(absl::StrCat("alpha and rotation_y must be in [-pi, pi]: got ", object.alpha,
                                  " and ", box.rotation_y));
  }
  return faults;
}

}  // namespace

absl::StatusOr<std::vector<Object>> ParseObjects(std::string_view content, std::string_view where) {
  std::vector<Object> objects;
  int line_number = 0;
  const absl::string_view text(content.data(), content.size());
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    if (line.find_first_not_of(" \t") == absl::string_view::npos) continue;
    BACKFIRE_ASSIGN_OR_RETURN(
        Object object, ParseObject(line, absl::StrCat(std::string(where), ":", line_number)));
    objects.push_back(std::move(object));
  }
  return objects;
}

std::vector<Object> ParseObjectLines(std::string_view content, std::string_view where,
                                     std::vector<absl::Status>& faults) {
  std::vector<Object> objects;
  int line_number = 0;
  const absl::string_view text(content.data(), content.size());
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    if (line.find_first_not_of(" \t") == absl::string_view::npos) continue;
    const std::string place = absl::StrCat(std::string(where), ":", line_number);
    auto object = ParseObject(line, place);
    if (!object.ok()) {
      faults.push_back(object.status());
      continue;
    }
    for (const std::string& fault : Implausible(*object)) {
      faults.push_back(absl::DataLossError(absl::StrCat(place, ": ", fault)));
    }
    objects.push_back(*std::move(object));
  }
  return objects;
}

absl::StatusOr<std::vector<Object>> ReadObjects(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadTextFile(path));
  return ParseObjects(content, path.string());
}

std::string FormatObjects(const std::vector<Object>& objects) {
  std::string content;
  for (const Object& object : objects) {
    const bool dont_care = object.type == "DontCare";
    const metrics::Box2d& image = object.box_2d;
    const metrics::Box3d& box = object.box_3d;
    // KITTI writes unknown values as whole numbers: -1, -10, -1000.
    const auto truncation =
        object.truncation < 0 ? std::string("-1") : absl::StrFormat("%.2f", object.truncation);
    const auto alpha =
        object.alpha == -10 ? std::string("-10") : absl::StrFormat("%.2f", object.alpha);
    absl::StrAppendFormat(&content, "%s %s %d %s %.2f %.2f %.2f %.2f ", object.type, truncation,
                          object.occlusion, alpha, image.left, image.top, image.right,
                          image.bottom);
    if (dont_care) {
      absl::StrAppend(&content, "-1 -1 -1 -1000 -1000 -1000 -10");
    } else {
      absl::StrAppendFormat(&content, "%.2f %.2f %.2f %.2f %.2f %.2f %.2f", box.height, box.width,
                            box.length, box.x, box.y, box.z, box.rotation_y);
    }
    if (object.score.has_value()) absl::StrAppendFormat(&content, " %.6f", *object.score);
    absl::StrAppend(&content, "\n");
  }
  return content;
}

double ObservationAngle(const metrics::Box3d& box) {
  return std::remainder(box.rotation_y - std::atan2(box.x, box.z), 6.283185307179586476925);
}

}  // namespace backfire::datasets
