#include "services/datasets/rendered/mesh.h"

#include <algorithm>

namespace backfire::datasets {

void MeshBuilder::Place(const Vector3& origin, double rotation_y, Point scale) {
  origin_ = origin;
  cosine_ = ExactCosine(rotation_y);
  sine_ = ExactSine(rotation_y);
  scale_ = scale;
}

uint32_t MeshBuilder::AddSurface(const Surface& surface) {
  mesh_.surfaces.push_back(surface);
  return static_cast<uint32_t>(mesh_.surfaces.size() - 1);
}

Vector3 MeshBuilder::ToScene(const Point& point) const {
  const double along = scale_.along * point.along, aside = scale_.aside * point.aside;
  return {origin_.x + cosine_ * along + sine_ * aside, origin_.y - scale_.up * point.up,
          origin_.z - sine_ * along + cosine_ * aside};
}

void MeshBuilder::AddPolygon(const std::vector<Point>& points, const Point& inside,
                             uint32_t surface) {
  Face face;
  face.first = static_cast<uint32_t>(mesh_.corners.size());
  face.count = static_cast<uint32_t>(points.size());
  face.surface = surface;
  for (const Point& point : points) mesh_.corners.push_back(ToScene(point));
  const Vector3* corner = &mesh_.corners[face.first];
  // Newell's method: right also where three corners lie on a line.
  Vector3 normal;
  for (uint32_t i = 0; i < face.count; ++i) {
    normal = normal + Cross(corner[i] - corner[0], corner[(i + 1) % face.count] - corner[0]);
  }
  normal = Unit(normal);
  if (Dot(normal, corner[0] - ToScene(inside)) < 0) {
    std::reverse(mesh_.corners.begin() + face.first, mesh_.corners.end());
    normal = -1 * normal;
  }
  face.normal = normal;
  // Along and up in the object's frame, so that textures stay on their surfaces.
  const Vector3 along = {cosine_, 0, -sine_}, aside = {sine_, 0, cosine_}, up = {0, -1, 0};
  const double facing_along = std::abs(Dot(normal, along)), facing_up = std::abs(normal.y);
  if (facing_up > 0.8) {
    face.axis_a = along;
    face.axis_b = aside;
  } else {
    // The horizontal direction within the face, and the one square to it.
    const Vector3 level = Unit(Cross(normal, up));
    const double sign = facing_along > 0.8 ? Dot(level, aside) : Dot(level, along);
    face.axis_a = sign < 0 ? -1 * level : level;
    face.axis_b = Cross(normal, level);
    if (face.axis_b.y > 0) face.axis_b = -1 * face.axis_b;
  }
  face.shift_a = -Dot(face.axis_a, origin_);
  face.shift_b = -Dot(face.axis_b, origin_);
  mesh_.faces.push_back(face);
}

void MeshBuilder::AddLimb(const Point& bottom, const Point& bottom_radius, const Point& top,
                          const Point& top_radius, int sides, uint32_t surface) {
  std::vector<Point> low, high;
  for (int i = 0; i < sides; ++i) {
    const double angle = 2 * kPi * (i + 0.5) / sides;
    const double c = ExactCosine(angle), s = ExactSine(angle);
    low.push_back({bottom.along + c * bottom_radius.along, bottom.up,
                   bottom.aside + s * bottom_radius.aside});
    high.push_back({top.along + c * top_radius.along, top.up, top.aside + s * top_radius.aside});
  }
  const Point middle = {(bottom.along + top.along) / 2, (bottom.up + top.up) / 2,
                        (bottom.aside + top.aside) / 2};
  for (int i = 0; i < sides; ++i) {
    const auto j = static_cast<size_t>(i), k = static_cast<size_t>((i + 1) % sides);
    AddPolygon({low[j], low[k], high[k], high[j]}, middle, surface);
  }
  AddPolygon(high, middle, surface);
  AddPolygon(low, middle, surface);
}

void MeshBuilder::AddBox(const Point& bottom, double length, double height, double width,
                         uint32_t surface) {
  const auto corner = [&](int l, int u, int w) {
    return Point{bottom.along + l * length / 2, bottom.up + u * height,
                 bottom.aside + w * width / 2};
  };
  const Point middle = {bottom.along, bottom.up + height / 2, bottom.aside};
  for (const int s : {-1, 1}) {
    AddPolygon({corner(s, 0, -1), corner(s, 0, 1), corner(s, 1, 1), corner(s, 1, -1)}, middle,
               surface);
    AddPolygon({corner(-1, 0, s), corner(1, 0, s), corner(1, 1, s), corner(-1, 1, s)}, middle,
               surface);
  }
  AddPolygon({corner(-1, 1, -1), corner(1, 1, -1), corner(1, 1, 1), corner(-1, 1, 1)}, middle,
             surface);
}

void MeshBuilder::AddBlob(const Point& centre, const Point& radius, int rings, int sides,
                          double roughness, Random* random, uint32_t surface) {
  std::vector<std::vector<Point>> ring(static_cast<size_t>(rings) + 1);
  for (int r = 0; r <= rings; ++r) {
    const double elevation = kPi * (static_cast<double>(r) / rings - 0.5);
    const double level = ExactCosine(elevation), up = ExactSine(elevation);
    const bool pole = r == 0 || r == rings;
    for (int i = 0; i < (pole ? 1 : sides); ++i) {
      const double angle = 2 * kPi * (i + 0.5 * (r % 2)) / sides;
      const double size = random == nullptr ? 1 : 1 - roughness * random->Uniform();
      ring[static_cast<size_t>(r)].push_back(
          {centre.along + size * radius.along * level * ExactCosine(angle),
           centre.up + size * radius.up * up,
           centre.aside + size * radius.aside * level * ExactSine(angle)});
    }
  }
  // Triangles, because dented quadrangles aren't flat.
  for (size_t r = 0; r < static_cast<size_t>(rings); ++r) {
    const auto& low = ring[r];
    const auto& high = ring[r + 1];
    for (size_t i = 0; i < static_cast<size_t>(sides); ++i) {
      const size_t j = (i + 1) % static_cast<size_t>(sides);
      if (low.size() == 1) {
        AddPolygon({low[0], high[i], high[j]}, centre, surface);
      } else if (high.size() == 1) {
        AddPolygon({low[i], low[j], high[0]}, centre, surface);
      } else if (r % 2 == 1) {  // The lower ring is turned by half a side.
        AddPolygon({low[i], high[i], high[j]}, centre, surface);
        AddPolygon({low[i], low[j], high[j]}, centre, surface);
      } else {
        AddPolygon({low[i], low[j], high[i]}, centre, surface);
        AddPolygon({low[j], high[i], high[j]}, centre, surface);
      }
    }
  }
}

metrics::Box3d EnclosingBox(const Mesh& mesh, uint32_t first_face, const Vector3& origin,
                            double rotation_y) {
  const double cosine = ExactCosine(rotation_y), sine = ExactSine(rotation_y);
  double low_l = 1e9, high_l = -1e9, low_w = 1e9, high_w = -1e9, low_y = 1e9, high_y = -1e9;
  for (size_t f = first_face; f < mesh.faces.size(); ++f) {
    for (uint32_t i = 0; i < mesh.faces[f].count; ++i) {
      const Vector3 d = mesh.corners[mesh.faces[f].first + i] - origin;
      const double l = cosine * d.x - sine * d.z, w = sine * d.x + cosine * d.z;
      low_l = std::min(low_l, l), high_l = std::max(high_l, l);
      low_w = std::min(low_w, w), high_w = std::max(high_w, w);
      low_y = std::min(low_y, d.y), high_y = std::max(high_y, d.y);
    }
  }
  const double l = (low_l + high_l) / 2, w = (low_w + high_w) / 2;
  metrics::Box3d box;
  box.length = high_l - low_l;
  box.width = high_w - low_w;
  box.height = high_y - low_y;
  box.x = origin.x + cosine * l + sine * w;
  box.y = origin.y + high_y;
  box.z = origin.z - sine * l + cosine * w;
  box.rotation_y = WrapAngle(rotation_y);
  return box;
}

}  // namespace backfire::datasets
