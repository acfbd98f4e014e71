#pragma once

#include "services/metrics/object.h"

namespace backfire::vision {

/// A label straight ahead, `z` metres away: counted by KITTI's evaluation at moderate.
inline metrics::Object At(double z, const char* type = "Car") {
  metrics::Object object;
  object.type = type;
  object.box_2d = {100, 100, 160, 140};
  object.box_3d.x = 0;
  object.box_3d.y = 1.6;
  object.box_3d.z = z;
  object.box_3d.height = 1.5;
  object.box_3d.width = 1.6;
  object.box_3d.length = 4;
  return object;
}

/// A detection of it.
inline metrics::Object Found(double z, double score, const char* type = "Car") {
  metrics::Object object = At(z, type);
  object.score = score;
  return object;
}

}  // namespace backfire::vision
