#include "services/datasets/rendered/painter.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "services/datasets/rendered/noise_tile.h"
#include "services/datasets/rendered/patterns.h"
#include "services/datasets/rendered/reflection.h"

namespace backfire::datasets {
namespace {

// A numerator over inverse depth: affine in the image.
struct Affine {
  float u = 0, v = 0, one = 0;
  float At(float x, float y) const { return u * x + v * y + one; }
};

// A face as it is coloured: texture coordinates are a(x, y) / w(x, y) + shift.
struct Shader {
  Affine w, a, b;
  float shift_a = 0, shift_b = 0;
  Rgb lit{};  // The surface's colour times its light.
  const Surface* surface = nullptr;
  std::optional<Reflection> reflection;
};

class Painter {
 public:
  Painter(const Scene& scene, const Camera& camera, float contrast, float reflection)
      : scene_(scene),
        camera_(camera),
        contrast_(contrast),
        reflection_(reflection),
        noise_(NoiseTile::Get()),
        grid_(2 * camera.width, 2 * camera.height, -0.25, 0.5),
        shade_(static_cast<size_t>(4) * camera.width * camera.height, 1.0f) {}

  void Paint(const std::vector<ScreenPolygon>& polygons, std::vector<Rgb>& image) {
    grid_.Clear(scene_.sky_face, static_cast<float>(polygons[scene_.sky_face].w_0));
    for (const ScreenPolygon& polygon : polygons) {
      if (polygon.count > 0) grid_.Draw(polygon);
    }
    PrepareShaders(polygons);
    CastShadows();
    image.resize(static_cast<size_t>(camera_.width) * camera_.height);
    for (int y = 0; y < camera_.height; ++y) {
      PaintRow(y, &image[static_cast<size_t>(y) * camera_.width]);
    }
  }

 private:
  void PrepareShaders(const std::vector<ScreenPolygon>& polygons) {
    shaders_.resize(polygons.size());
    const Vector3 eye = {camera_.offset_m, 0, 0};
    for (size_t i = 0; i < polygons.size(); ++i) {
      if (polygons[i].count == 0) continue;
      const Face& face = scene_.mesh.faces[i];
      Shader& shader = shaders_[i];
      shader.surface = &scene_.mesh.surfaces[face.surface];
      shader.w = {static_cast<float>(polygons[i].w_u), static_cast<float>(polygons[i].w_v),
                  static_cast<float>(polygons[i].w_0)};
      shader.a = AlongRay(face.axis_a);
      shader.b = AlongRay(face.axis_b);
      shader.shift_a = static_cast<float>(face.shift_a + Dot(face.axis_a, eye));
      shader.shift_b = static_cast<float>(face.shift_b + Dot(face.axis_b, eye));
      const Light& light = scene_.light;
      const double facing = std::max(0.0, Dot(face.normal, light.to_sun));
      // From above comes more light than from below.
      const double sky = light.ambient * (0.8 - 0.25 * face.normal.y);
      const auto strength = static_cast<float>(sky + light.sun * facing);
      const bool backdrop = shader.surface->pattern == Pattern::kSky;
      for (size_t c = 0; c < 3; ++c) {
        shader.lit[c] = shader.surface->colour[c] * (backdrop ? 1.0f : strength);
      }
      if (reflection_ > 0 && shader.surface->reflectance > 0) {
        shader.reflection.emplace(face, *shader.surface, light, reflection_);
      }
    }
  }

  // The component along `axis` of a pixel's ray (of depth 1).
  Affine AlongRay(const Vector3& axis) const {
    const double f = camera_.focal_px;
    return {
        static_cast<float>(axis.x / f), static_cast<float>(axis.y / f),
        static_cast<float>(axis.z - (axis.x * camera_.centre_x + axis.y * camera_.centre_y) / f)};
  }

  // To what a pixel sees, at depth 1.
  Vector3 Ray(float u, float v) const {
    return {(u - camera_.centre_x) / camera_.focal_px, (v - camera_.centre_y) / camera_.focal_px,
            1};
  }

  void CastShadows() {
    ScreenPolygon polygon;
    for (const Shadow& shadow : scene_.shadows) {
      const auto count = static_cast<uint32_t>(shadow.corners.size());
      if (count < 3 || count > 14) continue;
      // Shadows lie on the ground, nearly flat; only their outline matters.
      if (!Project(camera_, shadow.corners.data(), count, {0, -1, 0}, polygon)) continue;
      grid_.ForEachSpan(polygon, [&](int y, int first, int last) {
        const uint32_t* faces = grid_.faces(y);
        float* shade = &shade_[static_cast<size_t>(y) * grid_.width()];
        for (int x = first; x < last; ++x) {
          const Shader& shader = shaders_[faces[x]];
          if (shader.surface->ground) shade[x] = std::min(shade[x], shadow.light);
        }
      });
    }
  }

  void PaintRow(int y, Rgb* row) const {
    const uint32_t *above = grid_.faces(2 * y), *below = grid_.faces(2 * y + 1);
    const float* shade_above = &shade_[static_cast<size_t>(2 * y) * grid_.width()];
    const float* shade_below = shade_above + grid_.width();
    for (int x = 0; x < camera_.width; ++x) {
      const std::array<uint32_t, 4> faces = {above[2 * x], above[2 * x + 1], below[2 * x],
                                             below[2 * x + 1]};
      const std::array<float, 4> shades = {shade_above[2 * x], shade_above[2 * x + 1],
                                           shade_below[2 * x], shade_below[2 * x + 1]};
      if (faces[0] == faces[1] && faces[0] == faces[2] && faces[0] == faces[3]) {
        const float shade = (shades[0] + shades[1] + shades[2] + shades[3]) / 4;
        row[x] = Shade(faces[0], static_cast<float>(x), static_cast<float>(y), shade);
        continue;
      }
      Rgb sum{};
      unsigned done = 0;
      for (unsigned i = 0; i < 4; ++i) {
        if (done >> i & 1) continue;
        // All samples of this face together, at their middle: within the face, for it is convex.
        float weight = 0, u = 0, v = 0, shade = 0;
        for (unsigned j = i; j < 4; ++j) {
          if (faces[j] != faces[i]) continue;
          done |= 1u << j;
          weight += 1;
          u += j & 1 ? 0.25f : -0.25f;
          v += j & 2 ? 0.25f : -0.25f;
          shade += shades[j];
        }
        const Rgb colour = Shade(faces[i], static_cast<float>(x) + u / weight,
                                 static_cast<float>(y) + v / weight, shade / weight);
        for (size_t c = 0; c < 3; ++c) sum[c] += 0.25f * weight * colour[c];
      }
      row[x] = sum;
    }
  }

  Rgb Shade(uint32_t face, float u, float v, float shade) const {
    const Shader& shader = shaders_[face];
    const Surface& surface = *shader.surface;
    TexturePoint point;
    const float z = 1 / std::max(shader.w.At(u, v), 1e-6f);
    const float a = shader.a.At(u, v) * z, b = shader.b.At(u, v) * z;
    point.a = a + shader.shift_a;
    point.b = b + shader.shift_b;
    // How much they change from pixel to pixel.
    point.footprint_a = std::max(z * std::abs(shader.a.u - a * shader.w.u),
                                 z * std::abs(shader.a.v - a * shader.w.v));
    point.footprint_b = std::max(z * std::abs(shader.b.u - b * shader.w.u),
                                 z * std::abs(shader.b.v - b * shader.w.v));
    const float coarse = surface.pattern == Pattern::kSky ? 10.0f : 1.0f;  // Clouds are soft.
    const float grain =
        noise_.Fractal(point.a, point.b, coarse * point.footprint_a, coarse * point.footprint_b,
                       surface.contrast, surface.texture);
    Rgb colour = ApplyPattern(surface, point, shader.lit, grain * contrast_);
    if (surface.pattern == Pattern::kSky) return colour;
    if (surface.ground) {
      for (float& channel : colour) channel *= shade;
    }
    if (shader.reflection.has_value()) {
      shader.reflection->AddTo(Ray(u, v), point.a, point.b, noise_, colour);
    }
    const float haze = z / (z + 900);
    Mix(colour, scene_.light.haze, haze);
    return colour;
  }

  const Scene& scene_;
  const Camera& camera_;
  const float contrast_, reflection_;
  const NoiseTile& noise_;
  SampleGrid grid_;
  std::vector<Shader> shaders_;  // By face.
  std::vector<float> shade_;     // Of each sample: how much light is left on the ground.
};

}  // namespace

View PaintView(const Scene& scene, const Camera& camera, float contrast, float reflection,
               bool with_image) {
  View view{SampleGrid(camera.width, camera.height, 0, 1), {}, {}};
  const Mesh& mesh = scene.mesh;
  view.polygons.resize(mesh.faces.size());
  for (size_t i = 0; i < mesh.faces.size(); ++i) {
    const Face& face = mesh.faces[i];
    ScreenPolygon& polygon = view.polygons[i];
    polygon.face = static_cast<uint32_t>(i);
    if (!Project(camera, &mesh.corners[face.first], face.count, face.normal, polygon)) {
      polygon.count = 0;
    }
  }
  view.centres.Clear(scene.sky_face, static_cast<float>(view.polygons[scene.sky_face].w_0));
  for (const ScreenPolygon& polygon : view.polygons) {
    if (polygon.count > 0) view.centres.Draw(polygon);
  }
  if (with_image) Painter(scene, camera, contrast, reflection).Paint(view.polygons, view.image);
  return view;
}

}  // namespace backfire::datasets
