#include "services/vision/detection_report.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace backfire::vision {
namespace {

using google::protobuf::Struct;
using metrics::Object;

void Set(Struct& object, const char* name, double value) {
  (*object.mutable_fields())[name].set_number_value(value);
}

Struct& SubObject(Struct& object, const char* name) {
  return *(*object.mutable_fields())[name].mutable_struct_value();
}

void Describe(const Object& detection, Struct& json) {
  (*json.mutable_fields())["type"].set_string_value(detection.type);
  Set(json, "score", detection.score.value_or(0));
  Set(json, "alpha", detection.alpha);
  Struct& image = SubObject(json, "box_2d");
  Set(image, "left", detection.box_2d.left);
  Set(image, "top", detection.box_2d.top);
  Set(image, "right", detection.box_2d.right);
  Set(image, "bottom", detection.box_2d.bottom);
  Struct& box = SubObject(json, "box_3d");
  Set(box, "height", detection.box_3d.height);
  Set(box, "width", detection.box_3d.width);
  Set(box, "length", detection.box_3d.length);
  Set(box, "x", detection.box_3d.x);
  Set(box, "y", detection.box_3d.y);
  Set(box, "z", detection.box_3d.z);
  Set(box, "rotation_y", detection.box_3d.rotation_y);
}

}  // namespace

std::string FormatDetectionTable(const std::vector<ReleaseDetections>& releases, double min_score) {
  std::string table;
  int64_t below = 0, shown = 0;
  absl::StrAppend(&table,
                  "release  type        score      x      z  distance    h    w    l  heading\n",
                  "                                m      m         m    m    m    m  degrees\n");
  for (const ReleaseDetections& release : releases) {
    for (const Object& detection : release.detections) {
      const double score = detection.score.value_or(0);
      if (score < min_score) {
        ++below;
        continue;
      }
      ++shown;
      const metrics::Box3d& box = detection.box_3d;
      absl::StrAppendFormat(
          &table, "%-7s  %-10s  %5.2f  %5.1f  %5.1f  %8.1f  %3.1f  %3.1f  %3.1f  %7.0f\n",
          release.release, detection.type, score, box.x, box.z, std::hypot(box.x, box.z),
          box.height, box.width, box.length, box.rotation_y * 180 / 3.14159265358979323846);
    }
  }
  if (shown == 0) table = "no detection\n";
  if (below > 0) {
    absl::StrAppendFormat(&table, "%d more below score %.2f (--min-score)\n", below, min_score);
  }
  return table;
}

std::string FormatDetectionJson(const std::vector<ReleaseDetections>& releases) {
  Struct root;
  auto& list = *(*root.mutable_fields())["releases"].mutable_list_value();
  for (const ReleaseDetections& release : releases) {
    Struct& entry = *list.add_values()->mutable_struct_value();
    (*entry.mutable_fields())["release"].set_string_value(release.release);
    auto& detections = *(*entry.mutable_fields())["detections"].mutable_list_value();
    for (const Object& detection : release.detections) {
      Describe(detection, *detections.add_values()->mutable_struct_value());
    }
  }
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  // Only non-finite numbers could fail, and ReadResponse lets none in.
  (void)google::protobuf::util::MessageToJsonString(root, &json, options);
  return json;
}

}  // namespace backfire::vision
