#pragma once

#include <vector>

#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// Which ground is taken: rectangles as seen from above, metres. One thread.
class GroundPlan {
 public:
  /// Whether a rectangle fits at `at` with `gap` metres around it; takes the place if so.
  /// @param rotation_y  About the vertical axis, radians; 0: its length runs along x.
  bool Occupy(const Vector3& at, double rotation_y, double length, double width, double gap);

 private:
  struct Footprint {
    double x, z, half_length, half_width, cosine, sine;
  };
  static bool Apart(const Footprint& a, const Footprint& b);

  std::vector<Footprint> taken_;
};

}  // namespace backfire::datasets
