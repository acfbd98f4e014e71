#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "services/datasets/rendered/exact_math.h"
#include "services/metrics/object.h"

namespace backfire::datasets {

/// A linear colour, 0 to 1 each: red, green, blue.
using Rgb = std::array<float, 3>;

/// Takes a colour towards another by a share of the way.
inline void Mix(Rgb& colour, const Rgb& other, float share) {
  for (size_t c = 0; c < 3; ++c) colour[c] += share * (other[c] - colour[c]);
}

/// The pattern of a surface, beside its noise. `a` runs along it, `b` up (or away from the camera,
/// on the ground); metres.
enum class Pattern : uint8_t {
  kPlain,
  kRoad,    ///< Asphalt with lane markings: shape[0] left edge, [1] centre line, [2] right edge.
  kPaving,  ///< Slabs with joints: shape[0] x shape[1] metres.
  kFacade,  ///< Windows: pitch shape[0] x shape[1], width shape[2], height shape[3].
  kSlats,   ///< A fence: pitch shape[0], of which shape[1] is slat.
  kWheel,   ///< A disc of radius shape[0] about (0, shape[1]): tyre and rim.
  kSky,     ///< Brighter towards the horizon, with clouds.
  kZebra,   ///< A pedestrian crossing: stripes of shape[0] metres along a.
};

/// What a surface is made of.
struct Surface {
  Rgb colour{};
  /// Strength of the noise relative to the colour, by wavelength: fine (below 0.25 m), middle, and
  /// coarse (beyond 2 m). Car paint has next to none, foliage much.
  std::array<float, 3> contrast = {0.1f, 0.1f, 0.1f};
  Pattern pattern = Pattern::kPlain;
  std::array<float, 4> shape{};
  uint32_t texture = 0;  ///< Different numbers give unrelated noise.
  bool ground = false;   ///< Takes shadows.
  /// Share of light that is mirrored straight back; more is at a flat angle. Glass 0.04 a side.
  float reflectance = 0;
};

/// A flat convex polygon, seen from the side that its normal points to.
struct Face {
  uint32_t first = 0, count = 0;  ///< Corners, in Mesh::corners.
  uint32_t surface = 0;
  Vector3 normal;
  Vector3 axis_a, axis_b;  ///< Texture coordinates: a = Dot(axis_a, point) + shift_a ...
  double shift_a = 0, shift_b = 0;
};

/// Something that is labelled: a run of faces.
struct SceneObject {
  std::string type;    ///< Car, Van, Pedestrian.
  metrics::Box3d box;  ///< Encloses all its faces, tightly.
  uint32_t first_face = 0, face_count = 0;
};

/// A shadow on the ground: a convex polygon, and how much light is left in it.
struct Shadow {
  std::vector<Vector3> corners;
  float light = 0.5f;
};

/// Polygons in the rectified camera-0 frame.
struct Mesh {
  std::vector<Vector3> corners;
  std::vector<Face> faces;
  std::vector<Surface> surfaces;
};

/// Adds solids to a mesh, given in an object's own frame: `along` its length (forwards), `up` from
/// the ground, `aside` along its width; metres.
class MeshBuilder {
 public:
  struct Point {
    double along = 0, up = 0, aside = 0;
  };

  explicit MeshBuilder(Mesh& mesh) : mesh_(mesh) {}

  /// Where the object stands: the middle of its bottom, and KITTI's rotation_y. `scale` stretches
  /// all that follows.
  void Place(const Vector3& origin, double rotation_y, Point scale = {1, 1, 1});
  uint32_t AddSurface(const Surface& surface);

  /// A polygon seen from the side away from `inside`.
  void AddPolygon(const std::vector<Point>& points, const Point& inside, uint32_t surface);
  /// A frustum between two horizontal regular n-gons: prism, cone, tapered limb. Radii along and
  /// aside. Ends are closed.
  void AddLimb(const Point& bottom, const Point& bottom_radius, const Point& top,
               const Point& top_radius, int sides, uint32_t surface);
  /// A cuboid whose bottom's middle is `bottom`; `top_surface` may differ.
  void AddBox(const Point& bottom, double length, double height, double width, uint32_t surface);
  /// A ball of flat faces, dented by up to `roughness` of its radius.
  void AddBlob(const Point& centre, const Point& radius, int rings, int sides, double roughness,
               Random* random, uint32_t surface);

  Vector3 ToScene(const Point& point) const;
  const Mesh& mesh() const { return mesh_; }

 private:
  Mesh& mesh_;
  Vector3 origin_;
  double cosine_ = 1, sine_ = 0;
  Point scale_ = {1, 1, 1};
};

/// The box at this place and heading that just encloses faces from `first_face` on.
metrics::Box3d EnclosingBox(const Mesh& mesh, uint32_t first_face, const Vector3& origin,
                            double rotation_y);

}  // namespace backfire::datasets
