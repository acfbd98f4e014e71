#include "services/datasets/rendered_world.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/datasets/kitti_objects.h"

namespace backfire::datasets {
namespace {

using metrics::Box2d;
using metrics::Box3d;

constexpr double kLeftOffsetM = -0.06;  // x of the left camera in the camera-0 frame.
constexpr int kGround = -1, kSky = -2;  // Indices beside those of parts.

struct Vector3 {
  double x, y, z;
};

// One camera: at (offset, 0, 0), looking along z.
struct Camera {
  double offset_m, focal_px, centre_x, centre_y;
  int width, height;
};

Camera LeftCamera(const RenderProfile& profile) {
  // The horizon is a little above the middle, as in KITTI's images.
  return {kLeftOffsetM,          profile.focal_length_px, (profile.width - 1) / 2.0,
          profile.height * 0.45, profile.width,           profile.height};
}

// Extent in the image of boxes, unclipped.
Box2d ProjectedExtent(const Camera& camera, const Box3d& box) {
  constexpr double kNearM = 0.1;
  const double infinity = std::numeric_limits<double>::infinity();
  Box2d extent = {infinity, infinity, -infinity, -infinity};
  const double cosine = std::cos(box.rotation_y), sine = std::sin(box.rotation_y);
  for (int corner = 0; corner < 8; ++corner) {
    const double l = (corner & 1 ? 0.5 : -0.5) * box.length;
    const double w = (corner & 2 ? 0.5 : -0.5) * box.width;
    const double y = box.y - (corner & 4 ? box.height : 0);
    const double x = box.x + cosine * l + sine * w - camera.offset_m;
    const double z = box.z - sine * l + cosine * w;
    if (z < kNearM) return {-1e9, -1e9, 1e9, 1e9};  // Reaches behind the camera.
    const double u = camera.centre_x + camera.focal_px * x / z;
    const double v = camera.centre_y + camera.focal_px * y / z;
    extent = {std::min(extent.left, u), std::min(extent.top, v), std::max(extent.right, u),
              std::max(extent.bottom, v)};
  }
  return extent;
}

// A part as rays from one camera meet it, in the part's own frame: x along its length, z along its
// width, the origin in the middle of its bottom.
struct PreparedPart {
  Box2d extent;
  double cosine, sine;
  Vector3 origin;  // The camera.
  Vector3 low, high;
};

struct Hit {
  double depth = kSkyDepthM;
  int part = kSky;
  uint64_t objects = 0;  // Bit i: the ray meets object i, hidden or not.
};

class View {
 public:
  View(const Scene& scene, const Texture& texture, const Camera& camera)
      : scene_(scene), texture_(texture), camera_(camera) {
    for (const Part& part : scene.parts) {
      const Box3d& box = part.box;
      PreparedPart prepared;
      prepared.extent = ProjectedExtent(camera, box);
      prepared.cosine = std::cos(box.rotation_y);
      prepared.sine = std::sin(box.rotation_y);
      prepared.origin = ToPart(prepared, {camera.offset_m - box.x, -box.y, -box.z});
      prepared.low = {-box.length / 2, -box.height, -box.width / 2};
      prepared.high = {box.length / 2, 0, box.width / 2};
      parts_.push_back(prepared);
    }
    // A street has some hundred parts, and a row meets a quarter of them. A pixel's samples lie
    // within half a row of its centre.
    parts_by_row_.resize(static_cast<size_t>(camera.height));
    for (int y = 0; y < camera.height; ++y) {
      for (size_t i = 0; i < parts_.size(); ++i) {
        if (parts_[i].extent.top <= y + 0.5 && parts_[i].extent.bottom >= y - 0.5) {
          parts_by_row_[static_cast<size_t>(y)].push_back(i);
        }
      }
    }
  }

  Hit Cast(double u, double v) const {
    const Vector3 direction = Direction(u, v);
    Hit hit;
    if (direction.y > 0) {
      const double ground = kCameraHeightM / direction.y;
      if (ground < hit.depth) {
        hit.depth = ground;
        hit.part = kGround;
      }
    }
    const auto row = static_cast<size_t>(std::clamp(std::lround(v), 0L, camera_.height - 1L));
    for (const size_t i : parts_by_row_[row]) {
      const PreparedPart& part = parts_[i];
      if (u < part.extent.left || u > part.extent.right || v < part.extent.top ||
          v > part.extent.bottom) {
        continue;
      }
      const double depth = Meet(part, ToPart(part, direction));
      if (!(depth > 0)) continue;
      const int object = scene_.parts[i].object;
      if (object >= 0) hit.objects |= uint64_t{1} << object;
      if (depth < hit.depth) {
        hit.depth = depth;
        hit.part = static_cast<int>(i);
      }
    }
    return hit;
  }

  // Colour of the surface that was met, 0 to 1 but for overexposure.
  Rgb Shade(double u, double v, const Hit& hit) const {
    const Vector3 direction = Direction(u, v);
    const auto depth = static_cast<float>(hit.depth);
    const float footprint = depth / static_cast<float>(camera_.focal_px);
    const Vector3 point = {camera_.offset_m + direction.x * depth, direction.y * depth, depth};
    if (hit.part == kSky) return SkyColour(point, footprint);
    if (hit.part == kGround) return GroundColour(point, direction, footprint);
    return PartColour(hit, direction, footprint);
  }

 private:
  Vector3 Direction(double u, double v) const {
    return {(u - camera_.centre_x) / camera_.focal_px, (v - camera_.centre_y) / camera_.focal_px,
            1};
  }

  static Vector3 ToPart(const PreparedPart& part, const Vector3& vector) {
    return {part.cosine * vector.x - part.sine * vector.z, vector.y,
            part.sine * vector.x + part.cosine * vector.z};
  }

  // Depth at which a ray enters a part (slab test); 0 if it misses.
  static double Meet(const PreparedPart& part, const Vector3& direction) {
    double enter = 0, leave = 1e9;
    const auto slab = [&](double origin, double along, double low, double high) {
      const double inverse = 1 / along;  // Infinite for a parallel ray, which compares rightly.
      const double a = (low - origin) * inverse, b = (high - origin) * inverse;
      enter = std::max(enter, std::min(a, b));
      leave = std::min(leave, std::max(a, b));
    };
    slab(part.origin.x, direction.x, part.low.x, part.high.x);
    slab(part.origin.y, direction.y, part.low.y, part.high.y);
    slab(part.origin.z, direction.z, part.low.z, part.high.z);
    return enter < leave ? enter : 0;
  }

  Rgb SkyColour(const Vector3& point, float footprint) const {
    const float noise = texture_.Noise(static_cast<float>(point.x), static_cast<float>(point.y),
                                       footprint, footprint, 1);
    const float light = scene_.brightness * (1 + 0.22f * noise);
    return {0.66f * light, 0.74f * light, 0.86f * light};
  }

  Rgb GroundColour(const Vector3& point, const Vector3& direction, float footprint) const {
    const auto x = static_cast<float>(point.x), z = static_cast<float>(point.z);
    const float noise = texture_.Noise(
        x, z, footprint, footprint / std::max(static_cast<float>(direction.y), 0.01f), 2);
    const bool road = std::abs(x) < kRoadHalfWidthM;
    Rgb colour = road ? scene_.road : scene_.verge;
    const bool dashed = std::abs(x) < 0.08f && std::fmod(z + 100, 6.0f) < 3;
    const bool edge = std::abs(std::abs(x) - kRoadHalfWidthM + 0.2) < 0.08;
    if (dashed || edge) colour = {0.85f, 0.85f, 0.82f};
    for (float& channel : colour)
      channel *= scene_.brightness * (1 + (road ? 0.5f : 0.65f) * noise);
    return colour;
  }

  Rgb PartColour(const Hit& hit, const Vector3& direction, float footprint) const {
    const Part& part = scene_.parts[static_cast<size_t>(hit.part)];
    const PreparedPart& prepared = parts_[static_cast<size_t>(hit.part)];
    const Vector3 ray = ToPart(prepared, direction);
    const Vector3 point = {prepared.origin.x + ray.x * hit.depth,
                           prepared.origin.y + ray.y * hit.depth,
                           prepared.origin.z + ray.z * hit.depth};
    // The face is the one whose plane is nearest; distances to planes, outermost first.
    const double to_ends = std::abs(std::abs(point.x) - prepared.high.x);
    const double to_sides = std::abs(std::abs(point.z) - prepared.high.z);
    const double to_roof = std::min(std::abs(point.y), std::abs(point.y - prepared.low.y));
    float a, b, footprint_a = footprint, footprint_b = footprint, light;
    const auto widen = [footprint](double cosine) {
      return footprint / std::max(static_cast<float>(std::abs(cosine)), 0.05f);
    };
    uint32_t face;
    if (to_roof < to_ends && to_roof < to_sides) {
      a = static_cast<float>(point.x), b = static_cast<float>(point.z);
      footprint_a = footprint_b = widen(ray.y);
      light = 1.15f;
      face = 0;
    } else if (to_ends < to_sides) {
      a = static_cast<float>(point.z), b = static_cast<float>(point.y);
      footprint_a = widen(ray.x);
      light = 0.92f;
      face = point.x > 0 ? 1 : 2;
    } else {
      a = static_cast<float>(point.x), b = static_cast<float>(point.y);
      footprint_a = widen(ray.z);
      light = point.z > 0 ? 0.78f : 1.0f;
      face = point.z > 0 ? 3 : 4;
    }
    const uint32_t surface = 16 + 8 * static_cast<uint32_t>(hit.part) + face;
    const float noise = texture_.Noise(a, b, footprint_a, footprint_b, surface);
    Rgb colour = part.colour;
    if (part.material == Material::kBuilding && face != 0) {
      const float across = a - 2.6f * std::floor(a / 2.6f), up = -b - 3.0f * std::floor(-b / 3.0f);
      const bool window = across > 0.7f && across < 1.9f && up > 0.9f && up < 2.3f;
      if (window) colour = {0.22f, 0.26f, 0.32f};
    }
    const float tint =
        part.material == Material::kFoliage ? 0.25f * texture_.Octave(a * 2, b * 2, surface) : 0.0f;
    for (float& channel : colour) {
      channel *= scene_.brightness * light * (1 + part.contrast * noise + tint);
    }
    return colour;
  }

  const Scene& scene_;
  const Texture& texture_;
  const Camera camera_;
  std::vector<PreparedPart> parts_;
  std::vector<std::vector<size_t>> parts_by_row_;  // Indices of parts that a row may meet.
};

struct Rendered {
  cv::Mat image;          // CV_8UC3, RGB.
  std::vector<Hit> hits;  // At pixel centres, row by row.
};

Rendered Render(const View& view, const Camera& camera, Random& noise) {
  Rendered rendered;
  rendered.hits.resize(static_cast<size_t>(camera.width) * camera.height);
  const auto at = [&](int x, int y) -> Hit& {
    return rendered.hits[static_cast<size_t>(y) * camera.width + x];
  };
  for (int y = 0; y < camera.height; ++y) {
    for (int x = 0; x < camera.width; ++x) at(x, y) = view.Cast(x, y);
  }
  rendered.image.create(camera.height, camera.width, CV_8UC3);
  for (int y = 0; y < camera.height; ++y) {
    auto* row = rendered.image.ptr<cv::Vec3b>(y);
    for (int x = 0; x < camera.width; ++x) {
      const int part = at(x, y).part;
      const bool edge = (x > 0 && at(x - 1, y).part != part) ||
                        (y > 0 && at(x, y - 1).part != part) ||
                        (x + 1 < camera.width && at(x + 1, y).part != part) ||
                        (y + 1 < camera.height && at(x, y + 1).part != part);
      Rgb colour{};
      if (edge) {  // Four samples where surfaces meet, so that edges aren't jagged.
        for (const double dy : {-0.25, 0.25}) {
          for (const double dx : {-0.25, 0.25}) {
            const Rgb sample = view.Shade(x + dx, y + dy, view.Cast(x + dx, y + dy));
            for (size_t c = 0; c < 3; ++c) colour[c] += sample[c] / 4;
          }
        }
      } else {
        colour = view.Shade(x, y, at(x, y));
      }
      // Sensor noise of about 2.4 grey levels: the sum of two bytes per channel is near enough to
      // normal, and costs one random number.
      uint64_t bits = noise.Bits();
      for (size_t c = 0; c < 3; ++c, bits >>= 16) {
        const float random = static_cast<float>((bits & 255) + ((bits >> 8) & 255)) / 255.0f - 1;
        row[x][static_cast<int>(c)] =
            static_cast<uchar>(std::clamp(255 * colour[c] + 6 * random + 0.5f, 0.0f, 255.0f));
      }
    }
  }
  return rendered;
}

std::vector<metrics::Object> MakeLabels(const Scene& scene, const Camera& camera,
                                        const std::vector<Hit>& hits) {
  std::vector<int64_t> visible(scene.objects.size(), 0), covered(scene.objects.size(), 0);
  for (const Hit& hit : hits) {
    for (size_t i = 0; i < scene.objects.size(); ++i) covered[i] += (hit.objects >> i) & 1;
    if (hit.part < 0) continue;
    const int object = scene.parts[static_cast<size_t>(hit.part)].object;
    if (object >= 0) ++visible[static_cast<size_t>(object)];
  }
  std::vector<metrics::Object> labels;
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    if (visible[i] == 0) continue;
    Box2d whole = {1e9, 1e9, -1e9, -1e9};
    for (const Part& part : scene.parts) {
      if (part.object != static_cast<int>(i)) continue;
      const Box2d extent = ProjectedExtent(camera, part.box);
      whole = {std::min(whole.left, extent.left), std::min(whole.top, extent.top),
               std::max(whole.right, extent.right), std::max(whole.bottom, extent.bottom)};
    }
    metrics::Object label;
    label.box_2d = {std::max(whole.left, 0.0), std::max(whole.top, 0.0),
                    std::min(whole.right, camera.width - 1.0),
                    std::min(whole.bottom, camera.height - 1.0)};
    const double fraction = static_cast<double>(visible[i]) / static_cast<double>(covered[i]);
    if (visible[i] < 8 || fraction < 0.15) {
      label.type = "DontCare";
      label.box_3d = {-1, -1, -1, -1000, -1000, -1000, -10};
    } else {
      label.type = scene.objects[i].type;
      label.box_3d = scene.objects[i].box;
      label.alpha = ObservationAngle(label.box_3d);
      label.truncation =
          1 - label.box_2d.width() * label.box_2d.height() / (whole.width() * whole.height());
      label.occlusion = fraction >= 0.85 ? 0 : fraction >= 0.5 ? 1 : 2;
    }
    labels.push_back(std::move(label));
  }
  // As in KITTI, areas that nobody should care about come last.
  std::stable_partition(labels.begin(), labels.end(),
                        [](const metrics::Object& label) { return label.type != "DontCare"; });
  return labels;
}

}  // namespace

absl::StatusOr<RenderProfile> FindRenderProfile(const std::string& name) {
  RenderProfile tiny;
  tiny.name = "tiny";
  if (name == tiny.name) return tiny;
  return absl::InvalidArgumentError(absl::StrCat("profile must be tiny: got \"", name, "\""));
}

StereoCalibration ProfileCalibration(const RenderProfile& profile) {
  const Camera camera = LeftCamera(profile);
  const double f = profile.focal_length_px;
  const auto projection = [&](double offset_m) {
    return Projection{f, 0, camera.centre_x, -f * offset_m, 0, f, camera.centre_y, 0, 0, 0, 1, 0};
  };
  return {projection(kLeftOffsetM), projection(kLeftOffsetM + profile.baseline_m)};
}

StereoFrame RenderScene(const RenderProfile& profile, const Scene& scene, uint64_t texture_seed,
                        Random noise) {
  const Texture texture(texture_seed);
  const Camera left = LeftCamera(profile);
  Camera right = left;
  right.offset_m += profile.baseline_m;
  const Rendered left_view = Render(View(scene, texture, left), left, noise);
  const Rendered right_view = Render(View(scene, texture, right), right, noise);

  StereoFrame frame;
  frame.left = left_view.image;
  frame.right = right_view.image;
  frame.calibration = ProfileCalibration(profile);
  frame.labels = MakeLabels(scene, left, left_view.hits);
  frame.disparity.create(left.height, left.width, CV_32FC1);
  frame.visible_disparity.create(left.height, left.width, CV_32FC1);
  for (int y = 0; y < left.height; ++y) {
    const Hit* row = &left_view.hits[static_cast<size_t>(y) * left.width];
    const Hit* right_row = &right_view.hits[static_cast<size_t>(y) * left.width];
    for (int x = 0; x < left.width; ++x) {
      const double disparity = left.focal_px * profile.baseline_m / row[x].depth;
      frame.disparity.at<float>(y, x) = static_cast<float>(disparity);
      // Seen by the right camera if, where it should be, something at that depth is: nearer by
      // more than 2 % hides it.
      const double match = x - disparity;
      bool seen = match >= 0;
      if (seen) {
        const int low = static_cast<int>(std::floor(match));
        const int high = std::min(low + 1, left.width - 1);
        const double farthest = std::max(right_row[low].depth, right_row[high].depth);
        seen = farthest > 0.98 * row[x].depth;
      }
      frame.visible_disparity.at<float>(y, x) = seen ? static_cast<float>(disparity) : 0;
    }
  }
  return frame;
}

StereoFrame RenderFrame(const RenderProfile& profile, uint64_t seed, runtime::Split split,
                        int64_t index) {
  // Splits have streams of their own: a longer training split leaves the test split as it was.
  const uint64_t stream = (static_cast<uint64_t>(split) + 1) << 40 | static_cast<uint64_t>(index)
                                                                         << 1;
  Random random(seed, stream);
  const Scene scene = MakeScene(random);
  return RenderScene(profile, scene, /*texture_seed=*/random.Bits(), Random(seed, stream + 1));
}

}  // namespace backfire::datasets
