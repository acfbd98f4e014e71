#include "services/vision/birds_eye_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "absl/strings/str_format.h"
#include "services/vision/canvas.h"

namespace backfire::vision {
namespace {

constexpr int kShift = 4;  // Sub-pixel bits of coordinates, for smooth small boxes.

// Metres on the ground to pixels of the picture.
struct GroundMap {
  double pixels_per_m;
  double camera_u, camera_v;
  cv::Point2d operator()(double x, double z) const {
    return {camera_u + x * pixels_per_m, camera_v - z * pixels_per_m};
  }
};

cv::Point Fixed(const cv::Point2d& point) {
  return {static_cast<int>(std::lround(point.x * (1 << kShift))),
          static_cast<int>(std::lround(point.y * (1 << kShift)))};
}

// From the ground's height to a little above the camera: what is higher hides the street.
bool IsDrawn(const cv::Point3f& point) { return point.z > 0 && point.y >= -1.0f; }

void DrawPoints(cv::Mat& image, const GroundMap& map, const std::vector<cv::Point3f>& points) {
  for (const cv::Point3f& point : points) {
    if (!IsDrawn(point)) continue;
    const cv::Point2d at = map(point.x, point.z);
    if (!(at.x >= 0 && at.y >= 0 && at.x < image.cols && at.y < image.rows)) continue;
    // Ground is dim, what stands on it is brighter.
    const double height = std::clamp((1.65 - point.y) / 2.0, 0.0, 1.0);
    const auto level = static_cast<uchar>(66 + 150 * height);
    const cv::Vec3b colour(level, level, static_cast<uchar>(std::min(255, level + 12)));
    const int side = height > 0.15 ? 2 : 1;  // What stands is seen edge on: few pixels.
    const cv::Rect dot(static_cast<int>(at.x), static_cast<int>(at.y), side, side);
    image(dot & cv::Rect(0, 0, image.cols, image.rows)).setTo(cv::Scalar(colour));
  }
}

void DrawRings(cv::Mat& image, const GroundMap& map, const BirdsEyeScene& scene,
               LabelPlacer& placer) {
  const cv::Point camera = map(0, 0);
  for (int range = 10; range <= scene.max_depth_m; range += 10) {
    const int radius = static_cast<int>(range * map.pixels_per_m);
    cv::ellipse(image, camera, {radius, radius}, 0, 180, 360, Palette::Line(), 1, cv::LINE_AA);
  }
  if (scene.tangent_of_half_view > 0) {
    for (const double side : {-1.0, 1.0}) {
      cv::line(
          image, camera,
          map(side * scene.tangent_of_half_view * scene.max_depth_m * 1.2, scene.max_depth_m * 1.2),
          Palette::Line(), 1, cv::LINE_AA);
    }
  }
  // Ring labels first, so that labels of objects avoid them.
  for (int range = 10; range <= scene.max_depth_m; range += 10) {
    const std::string text = absl::StrFormat("%d m", range);
    const cv::Size size = TextSize(text, 0.4);
    // On the ring, 40 degrees to the right of straight on, or where it leaves the picture.
    double x = range * 0.643, z = range * 0.766;
    const double limit = (image.cols - map.camera_u - size.width - 12) / map.pixels_per_m;
    if (x > limit) {
      x = std::max(limit, 0.0);
      z = std::sqrt(std::max(range * range - x * x, 0.0));
    }
    const cv::Point at = map(x, z);
    placer.Draw(image, text, {{at.x + 2, at.y - 8}, {at.x + 2, at.y + 4}}, Palette::DimText(), 0.4);
  }
}

void DrawCamera(cv::Mat& image, const GroundMap& map) {
  const cv::Point at = map(0, 0);
  const std::vector<cv::Point> triangle = {
      {at.x, at.y - 9}, {at.x - 6, at.y + 3}, {at.x + 6, at.y + 3}};
  cv::fillConvexPoly(image, triangle, Palette::Text(), cv::LINE_AA);
}

std::array<cv::Point2d, 4> Corners(const GroundMap& map, const metrics::Box3d& box) {
  const double cosine = std::cos(box.rotation_y), sine = std::sin(box.rotation_y);
  std::array<cv::Point2d, 4> corners;
  constexpr std::array<std::array<int, 2>, 4> kSigns = {{{1, 1}, {1, -1}, {-1, -1}, {-1, 1}}};
  for (size_t i = 0; i < 4; ++i) {
    const double l = kSigns[i][0] * box.length / 2, w = kSigns[i][1] * box.width / 2;
    corners[i] = map(box.x + cosine * l + sine * w, box.z - sine * l + cosine * w);
  }
  return corners;
}

void DrawFootprint(cv::Mat& image, const GroundMap& map, const metrics::Box3d& box,
                   const BoxLayer& layer) {
  const auto corners = Corners(map, box);
  for (size_t i = 0; i < 4; ++i) {
    cv::line(image, Fixed(corners[i]), Fixed(corners[(i + 1) % 4]), layer.colour, layer.thickness,
             cv::LINE_AA, kShift);
  }
  const cv::Point2d front = (corners[0] + corners[1]) / 2;
  cv::line(image, Fixed(map(box.x, box.z)), Fixed(front), layer.colour, layer.thickness,
           cv::LINE_AA, kShift);
}

bool HasBox(const metrics::Object& object) {
  constexpr double kFarM = 1000;  // Also keeps pixels within integers, whatever a file holds.
  const metrics::Box3d& box = object.box_3d;
  return box.length > 0 && box.width > 0 && box.length < kFarM && box.width < kFarM &&
         std::abs(box.x) < kFarM && std::abs(box.z) < kFarM;
}

}  // namespace

double ViewDepth(const std::vector<const std::vector<metrics::Object>*>& objects,
                 const std::vector<const std::vector<cv::Point3f>*>& points) {
  double farthest = 0;
  for (const auto* list : objects) {
    for (const metrics::Object& object : *list) {
      if (HasBox(object)) farthest = std::max(farthest, object.box_3d.z + object.box_3d.length / 2);
    }
  }
  if (farthest == 0) {
    std::vector<float> depths;
    for (const auto* cloud : points) {
      for (const cv::Point3f& point : *cloud) {
        if (IsDrawn(point)) depths.push_back(point.z);
      }
    }
    if (!depths.empty()) {
      const auto rank = depths.begin() + static_cast<std::ptrdiff_t>((depths.size() - 1) * 0.95);
      std::nth_element(depths.begin(), rank, depths.end());
      farthest = *rank;
    }
  }
  return std::clamp(10 * std::ceil(farthest / 10), 20.0, 80.0);
}

cv::Mat DrawBirdsEyeView(const BirdsEyeScene& scene, cv::Size size) {
  cv::Mat image(size, CV_8UC3, Palette::Panel());
  constexpr int kBottom = 22, kTop = 14;
  const GroundMap map = {(size.height - kBottom - kTop) / scene.max_depth_m, size.width / 2.0,
                         static_cast<double>(size.height - kBottom)};
  LabelPlacer placer(cv::Rect(2, 2, size.width - 4, size.height - 4));
  if (scene.points != nullptr) DrawPoints(image, map, *scene.points);
  // First, so that nothing takes its place; on a plate, as points are bright.
  if (!scene.name.empty()) placer.Draw(image, scene.name, {{6, 6}}, scene.name_colour, 0.5);
  DrawRings(image, map, scene, placer);
  DrawCamera(image, map);
  for (const BoxLayer& layer : scene.layers) {
    for (const metrics::Object& object : *layer.objects) {
      if (HasBox(object)) DrawFootprint(image, map, object.box_3d, layer);
    }
  }
  for (const BoxLayer& layer : scene.layers) {
    if (!layer.with_score) continue;
    for (const metrics::Object& object : *layer.objects) {
      if (!HasBox(object)) continue;
      const auto corners = Corners(map, object.box_3d);
      double left = corners[0].x, right = left, top = corners[0].y, bottom = top;
      for (const cv::Point2d& corner : corners) {
        left = std::min(left, corner.x), right = std::max(right, corner.x);
        top = std::min(top, corner.y), bottom = std::max(bottom, corner.y);
      }
      const std::string text = absl::StrFormat("%.2f", object.score.value_or(0));
      const cv::Size extent = TextSize(text, 0.4);
      const int middle = static_cast<int>((top + bottom) / 2) - extent.height / 2;
      placer.Draw(image, text,
                  {{static_cast<int>(right) + 4, middle},
                   {static_cast<int>(left) - extent.width - 10, middle},
                   {static_cast<int>(left), static_cast<int>(bottom) + 3},
                   {static_cast<int>(left), static_cast<int>(top) - extent.height - 6}},
                  layer.colour, 0.4);
    }
  }
  return image;
}

}  // namespace backfire::vision
