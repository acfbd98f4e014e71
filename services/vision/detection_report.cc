#include "services/vision/detection_report.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/vision/json_text.h"

namespace backfire::vision {
namespace {

using metrics::Object;

void Describe(const Object& detection, JsonText& json) {
  json.BeginObject().Key("type").String(detection.type);
  json.Key("score").Number(detection.score.value_or(0));
  json.Key("alpha").Number(detection.alpha);
  const metrics::Box2d& image = detection.box_2d;
  json.Key("box_2d").BeginObject();
  json.Key("left").Number(image.left).Key("top").Number(image.top);
  json.Key("right").Number(image.right).Key("bottom").Number(image.bottom).EndObject();
  const metrics::Box3d& box = detection.box_3d;
  json.Key("box_3d").BeginObject();
  json.Key("height").Number(box.height).Key("width").Number(box.width);
  json.Key("length").Number(box.length);
  json.Key("x").Number(box.x).Key("y").Number(box.y).Key("z").Number(box.z);
  json.Key("rotation_y").Number(box.rotation_y).EndObject();
  json.EndObject();
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
  JsonText json;
  json.BeginObject().Key("releases").BeginList();
  for (const ReleaseDetections& release : releases) {
    json.BeginObject().Key("release").String(release.release).Key("detections").BeginList();
    for (const Object& detection : release.detections) Describe(detection, json);
    json.EndList().EndObject();
  }
  json.EndList().EndObject();
  return std::move(json).Finish();
}

}  // namespace backfire::vision
