#pragma once

#include <optional>
#include <string>

namespace backfire::metrics {

/// An axis-aligned box in an image, pixels, edges not rounded.
struct Box2d {
  double left = 0, top = 0, right = 0, bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

/// A box in the rectified camera frame (x right, y down, z forward; metres), as KITTI labels it.
struct Box3d {
  double height = 0, width = 0, length = 0;
  double x = 0, y = 0, z = 0;  ///< The *bottom* centre.
  double rotation_y = 0;  ///< Radians about y; at 0 the length lies along +x, at -pi/2 along +z.
};

/// A label, or a detection: one line of KITTI's object format.
struct Object {
  std::string type;        ///< Car, Van, Pedestrian, Person_sitting, Cyclist, DontCare ...
  double truncation = -1;  ///< 0 (inside the image) to 1; -1 unknown.
  int occlusion = -1;      ///< 0 visible, 1 partly, 2 largely, 3 unknown; -1 for DontCare.
  double alpha = -10;      ///< Observation angle, radians; -10 unknown.
  Box2d box_2d;
  Box3d box_3d;
  std::optional<double> score;  ///< Detections only; higher is surer.
};

}  // namespace backfire::metrics
