#include <algorithm>
#include <cmath>

#include "services/planar/distribution.h"

namespace backfire::planar {

Distribution::Draw Distribution::Sample(Random& random) const {
  if (discrete()) {
    const double at = random.Uniform() * cumulative_.back();
    const size_t i =
        std::min(static_cast<size_t>(std::upper_bound(cumulative_.begin(), cumulative_.end(), at) -
                                     cumulative_.begin()),
                 atoms_.size() - 1);
    return {atoms_[i].point, atoms_[i].component, atoms_[i].labels};
  }
  double at = random.Uniform();
  int component = 0;
  while (component + 1 < component_count() && at >= share(component)) at -= share(component++);
  const Shape& shape = shapes_[static_cast<size_t>(component)];
  Draw draw{{}, component, labels(component)};
  if (shape.blob.has_value()) {
    const Blob& blob = *shape.blob;
    const double a = random.Normal(), b = random.Normal();
    draw.point = {blob.mean.x + blob.l11 * a, blob.mean.y + blob.l21 * a + blob.l22 * b};
    return draw;
  }
  if (shape.band.radius > 0) {
    const Band& band = shape.band;
    const double angle = band.middle + band.half * random.Uniform(-1, 1) +
                         band.deviation / band.radius * random.Normal();
    const double radius = band.radius + band.deviation * random.Normal();
    draw.point = {band.centre.x + radius * std::cos(angle),
                  band.centre.y + radius * std::sin(angle)};
    return draw;
  }
  double area = random.Uniform() * shape.area;
  for (size_t i = 2; i < shape.polygon.size(); ++i) {
    const Position a = shape.polygon[0], b = shape.polygon[i - 1], c = shape.polygon[i];
    const double part = Cross(a, b, c) / 2;
    if (area > part && i + 1 < shape.polygon.size()) {
      area -= part;
      continue;
    }
    double u = random.Uniform(), v = random.Uniform();
    if (u + v > 1) u = 1 - u, v = 1 - v;
    draw.point = {a.x + u * (b.x - a.x) + v * (c.x - a.x), a.y + u * (b.y - a.y) + v * (c.y - a.y)};
    break;
  }
  return draw;
}

}  // namespace backfire::planar
