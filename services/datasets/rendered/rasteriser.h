#pragma once

#include <cstdint>
#include <vector>

#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// One camera: at (offset_m, 0, 0), looking along z.
struct Camera {
  double offset_m = 0, focal_px = 1, centre_x = 0, centre_y = 0;
  int width = 0, height = 0;  ///< Pixels.
};

/// A face as a camera sees it: what is in front of the camera, in pixels.
struct ScreenPolygon {
  static constexpr int kMaxCorners = 16;
  uint32_t face = 0;
  int count = 0;
  std::array<double, kMaxCorners> u{}, v{};
  /// Inverse depth, 1/m: w_u u + w_v v + w_0. Exact over the whole face, for it is flat.
  double w_u = 0, w_v = 0, w_0 = 0;
  double left = 0, right = 0, top = 0, bottom = 0;
};

/// Projects a polygon; false if nothing of it is in front of the camera. Not clipped to the image.
bool Project(const Camera& camera, const Vector3* corners, uint32_t count, const Vector3& normal,
             ScreenPolygon& polygon);

/// Samples in a regular grid over an image, each with the nearest face that it meets.
/// Two polygons that share an edge neither overlap nor leave a gap.
class SampleGrid {
 public:
  /// Sample (x, y) lies at pixel (origin + step x, origin + step y).
  SampleGrid(int width, int height, double origin, double step);

  /// Forgets everything; each sample then meets `face`, at that inverse depth.
  void Clear(uint32_t face, float inverse_depth);
  /// Adds a polygon that hides what is behind it.
  void Draw(const ScreenPolygon& polygon);
  /// Calls span(y, first, last) for each row of samples in a polygon: first <= x < last.
  template <typename Span>
  void ForEachSpan(const ScreenPolygon& polygon, const Span& span);

  int width() const { return width_; }
  int height() const { return height_; }
  double At(int index) const { return origin_ + step_ * index; }
  const float* inverse_depths(int y) const { return &inverse_depth_[Offset(y)]; }
  const uint32_t* faces(int y) const { return &face_[Offset(y)]; }

 private:
  size_t Offset(int y) const { return static_cast<size_t>(y) * static_cast<size_t>(width_); }

  const int width_, height_;
  const double origin_, step_;
  std::vector<float> inverse_depth_;
  std::vector<uint32_t> face_;
  std::vector<int> first_, last_;  // Of each row of the polygon at hand.
};

template <typename Span>
void SampleGrid::ForEachSpan(const ScreenPolygon& polygon, const Span& span) {
  const auto index = [this](double position) {  // The first sample at or beyond it.
    const double i = (position - origin_) / step_;
    return i <= 0 ? 0 : i >= 1e6 ? 1000000 : static_cast<int>(i) + (i > static_cast<int>(i));
  };
  const int top = std::min(index(polygon.top), height_),
            bottom = std::min(index(polygon.bottom), height_);
  if (top >= bottom || polygon.right < origin_) return;
  for (int y = top; y < bottom; ++y) first_[y] = width_, last_[y] = 0;
  for (int i = 0; i < polygon.count; ++i) {
    const int j = i + 1 == polygon.count ? 0 : i + 1;
    // Always from the upper corner, so that both polygons at an edge compute the same.
    const bool down = polygon.v[i] < polygon.v[j];
    const int a = down ? i : j, b = down ? j : i;
    const int from = index(polygon.v[a]), to = std::min(index(polygon.v[b]), height_);
    if (from >= to) continue;
    const double slope = (polygon.u[b] - polygon.u[a]) / (polygon.v[b] - polygon.v[a]);
    for (int y = from; y < to; ++y) {
      const int x = std::min(index(polygon.u[a] + (At(y) - polygon.v[a]) * slope), width_);
      first_[y] = std::min(first_[y], x);
      last_[y] = std::max(last_[y], x);
    }
  }
  for (int y = top; y < bottom; ++y) {
    if (first_[y] < last_[y]) span(y, first_[y], last_[y]);
  }
}

}  // namespace backfire::datasets
