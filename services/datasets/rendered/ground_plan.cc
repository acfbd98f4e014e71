#include "services/datasets/rendered/ground_plan.h"

#include <cmath>
#include <utility>

#include "services/datasets/rendered/exact_math.h"

namespace backfire::datasets {

bool GroundPlan::Occupy(const Vector3& at, double rotation_y, double length, double width,
                        double gap) {
  const Footprint a = {at.x,
                       at.z,
                       length / 2 + gap,
                       width / 2 + gap,
                       ExactCosine(rotation_y),
                       ExactSine(rotation_y)};
  for (const Footprint& b : taken_) {
    if (!Apart(a, b)) return false;
  }
  taken_.push_back({at.x, at.z, length / 2, width / 2, a.cosine, a.sine});
  return true;
}

// Separating axis: rectangles are apart if their shadows on some side's direction are.
bool GroundPlan::Apart(const Footprint& a, const Footprint& b) {
  const double dx = b.x - a.x, dz = b.z - a.z;
  for (const Footprint* f : {&a, &b}) {
    for (const auto& [x, z] : {std::pair(f->cosine, -f->sine), std::pair(f->sine, f->cosine)}) {
      const auto reach = [x = x, z = z](const Footprint& g) {
        return g.half_length * std::abs(g.cosine * x - g.sine * z) +
               g.half_width * std::abs(g.sine * x + g.cosine * z);
      };
      if (std::abs(dx * x + dz * z) > reach(a) + reach(b)) return true;
    }
  }
  return false;
}

}  // namespace backfire::datasets
