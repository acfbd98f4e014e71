#include "services/datasets/rendered/rasteriser.h"

#include <algorithm>

namespace backfire::datasets {

bool Project(const Camera& camera, const Vector3* corners, uint32_t count, const Vector3& normal,
             ScreenPolygon& polygon) {
  constexpr double kNearM = 0.2;
  // The plane: Dot(normal, point - eye) = distance. 1 / z = Dot(normal, ray) / distance.
  const Vector3 eye = {camera.offset_m, 0, 0};
  const double distance = Dot(normal, corners[0] - eye);
  if (!(distance < -1e-9)) return false;  // Seen from behind, or edge on.
  const double f = camera.focal_px;
  polygon.w_u = normal.x / f / distance;
  polygon.w_v = normal.y / f / distance;
  polygon.w_0 =
      (normal.z - normal.x * camera.centre_x / f - normal.y * camera.centre_y / f) / distance;

  polygon.count = 0;
  const auto add = [&](const Vector3& point) {
    if (polygon.count == ScreenPolygon::kMaxCorners) return;
    const double u = camera.centre_x + f * (point.x - camera.offset_m) / point.z;
    const double v = camera.centre_y + f * point.y / point.z;
    if (polygon.count == 0) {
      polygon.left = polygon.right = u;
      polygon.top = polygon.bottom = v;
    }
    polygon.left = std::min(polygon.left, u), polygon.right = std::max(polygon.right, u);
    polygon.top = std::min(polygon.top, v), polygon.bottom = std::max(polygon.bottom, v);
    polygon.u[polygon.count] = u;
    polygon.v[polygon.count++] = v;
  };
  for (uint32_t i = 0; i < count; ++i) {
    const Vector3 &a = corners[i], &b = corners[i + 1 == count ? 0 : i + 1];
    if (a.z >= kNearM) add(a);
    if ((a.z >= kNearM) != (b.z >= kNearM)) add(a + ((kNearM - a.z) / (b.z - a.z)) * (b - a));
  }
  return polygon.count >= 3;
}

SampleGrid::SampleGrid(int width, int height, double origin, double step)
    : width_(width),
      height_(height),
      origin_(origin),
      step_(step),
      inverse_depth_(static_cast<size_t>(width) * height),
      face_(static_cast<size_t>(width) * height),
      first_(height),
      last_(height) {}

void SampleGrid::Clear(uint32_t face, float inverse_depth) {
  std::fill(inverse_depth_.begin(), inverse_depth_.end(), inverse_depth);
  std::fill(face_.begin(), face_.end(), face);
}

void SampleGrid::Draw(const ScreenPolygon& polygon) {
  ForEachSpan(polygon, [&](int y, int first, int last) {
    const auto step = static_cast<float>(polygon.w_u * step_);
    const auto start =
        static_cast<float>(polygon.w_u * At(first) + polygon.w_v * At(y) + polygon.w_0);
    float* depths = &inverse_depth_[Offset(y)] + first;
    uint32_t* faces = &face_[Offset(y)] + first;
    const uint32_t face = polygon.face;
    const int count = last - first;
    for (int i = 0; i < count; ++i) {
      const float w = start + step * static_cast<float>(i);
      const bool nearer = w > depths[i];
      depths[i] = nearer ? w : depths[i];
      faces[i] = nearer ? face : faces[i];
    }
  });
}

}  // namespace backfire::datasets
