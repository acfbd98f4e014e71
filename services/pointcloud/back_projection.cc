#include "services/pointcloud/back_projection.h"

#include <algorithm>
#include <limits>

namespace backfire::pointcloud {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kRowsBetweenQuestions = 64;

// What is the same for all pixels, and for those of a row.
struct Rules {
  float focal_times_baseline, min_disparity_px, min_depth_m, max_depth_m, max_height_m;
  float offset_x, offset_y;
};

// Back-projects kBlock pixels or fewer, and returns how many values it wrote. `slope_x`: (u - c_x)
// / f of each; `slope_y`: (v - c_y) / f_y.
template <int kColumns>
[[gnu::always_inline]] inline int64_t ProjectBlock(const float* disparity, const float* slope_x,
                                                   float slope_y, int64_t count, const Rules& rules,
                                                   float* out, bool& finite) {
  float x[kBlock], y[kBlock], z[kBlock];
  int32_t keep[kBlock];
  int32_t kept = 0, numbers = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float d = disparity[i];
    const float depth = rules.focal_times_baseline / d;
    const float below = slope_y * depth;
    z[i] = depth;
    x[i] = slope_x[i] * depth + rules.offset_x;
    y[i] = below + rules.offset_y;
    // Bitwise, so that there is no branch; comparisons with NaN are false.
    const int32_t inside = static_cast<int32_t>(d >= rules.min_disparity_px) &
                           static_cast<int32_t>(depth >= rules.min_depth_m) &
                           static_cast<int32_t>(depth <= rules.max_depth_m) &
                           static_cast<int32_t>(-below <= rules.max_height_m) &
                           static_cast<int32_t>(d <= std::numeric_limits<float>::max());
    keep[i] = inside;
    kept += inside;
    numbers += static_cast<int32_t>(d - d == 0);
  }
  finite = finite && numbers == count;
  if (kept == 0) return 0;
  if (kept == count) {  // Most blocks: vectorised.
    for (int64_t i = 0; i < count; ++i) {
      out[kColumns * i] = x[i];
      out[kColumns * i + 1] = y[i];
      out[kColumns * i + 2] = z[i];
      if (kColumns == 4) out[kColumns * i + 3] = 1;
    }
    return kColumns * count;
  }
  // Every point is written where the next kept one belongs: no branch that could be mispredicted.
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    out[at] = x[i];
    out[at + 1] = y[i];
    out[at + 2] = z[i];
    if (kColumns == 4) out[at + 3] = 1;
    at += kColumns * keep[i];
  }
  return at;
}

template <int kColumns>
[[gnu::always_inline]] inline int64_t ProjectRow(const float* disparity, const float* slope_x,
                                                 float slope_y, int64_t count, const Rules& rules,
                                                 float* out, bool& finite) {
  int64_t written = 0, i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    written += ProjectBlock<kColumns>(disparity + i, slope_x + i, slope_y, kBlock, rules,
                                      out + written, finite);
  }
  if (i < count) {
    written += ProjectBlock<kColumns>(disparity + i, slope_x + i, slope_y, count - i, rules,
                                      out + written, finite);
  }
  return written;
}

using RowFunction = int64_t (*)(const float* disparity, const float* slope_x, float slope_y,
                                int64_t count, const Rules& rules, float* out, bool& finite);

template <int kColumns>
int64_t RowPortable(const float* disparity, const float* slope_x, float slope_y, int64_t count,
                    const Rules& rules, float* out, bool& finite) {
  return ProjectRow<kColumns>(disparity, slope_x, slope_y, count, rules, out, finite);
}

// AVX2 without fused multiply-add: the same bits as the portable one.
#if defined(__x86_64__)
template <int kColumns>
[[gnu::target("avx2")]] int64_t RowAvx2(const float* disparity, const float* slope_x, float slope_y,
                                        int64_t count, const Rules& rules, float* out,
                                        bool& finite) {
  return ProjectRow<kColumns>(disparity, slope_x, slope_y, count, rules, out, finite);
}
#endif

RowFunction ChooseRow(bool intensity) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return intensity ? RowAvx2<4> : RowAvx2<3>;
#endif
  return intensity ? RowPortable<4> : RowPortable<3>;
}

}  // namespace

int64_t BackProjectionCapacity(int64_t height, int64_t width,
                               const BackProjectionOptions& options) {
  const int64_t rows = (height + options.stride - 1) / options.stride;
  const int64_t columns = (width + options.stride - 1) / options.stride;
  return rows * columns * options.columns();
}

BackProjection BackProjectInto(const float* disparity, int64_t height, int64_t width,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options, float* points,
                               const std::function<bool()>& cancelled) {
  Rules rules{};
  rules.focal_times_baseline =
      static_cast<float>(calibration.focal_length_px() * calibration.baseline_m());
  rules.min_disparity_px = static_cast<float>(options.min_disparity_px);
  rules.min_depth_m = static_cast<float>(options.min_depth_m);
  rules.max_depth_m = static_cast<float>(options.max_depth_m);
  rules.max_height_m = static_cast<float>(options.max_height_m);
  rules.offset_x = static_cast<float>(calibration.left_offset_x_m());
  rules.offset_y = static_cast<float>(calibration.left_offset_y_m());
  std::vector<float> slope_x;
  for (int64_t u = 0; u < width; u += options.stride) {
    slope_x.push_back(static_cast<float>((static_cast<double>(u) - calibration.centre_x_px()) /
                                         calibration.focal_length_px()));
  }
  const auto count = static_cast<int64_t>(slope_x.size());
  const RowFunction project = ChooseRow(options.intensity);
  std::vector<float> gathered(options.stride == 1 ? 0 : slope_x.size());
  BackProjection result;
  int64_t written = 0;
  for (int64_t v = 0; v < height && !result.cancelled; v += options.stride) {
    if (v % kRowsBetweenQuestions < options.stride) result.cancelled = cancelled();
    const float* row = disparity + v * width;
    if (options.stride != 1) {
      for (int64_t i = 0; i < count; ++i)
        gathered[static_cast<size_t>(i)] = row[i * options.stride];
      row = gathered.data();
    }
    const auto slope_y = static_cast<float>((static_cast<double>(v) - calibration.centre_y_px()) /
                                            calibration.left[5]);
    written += project(row, slope_x.data(), slope_y, count, rules, points + written, result.finite);
  }
  result.points = written / options.columns();
  return result;
}

std::vector<float> BackProject(const float* disparity, int64_t height, int64_t width,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options) {
  std::vector<float> points(static_cast<size_t>(BackProjectionCapacity(height, width, options)));
  const BackProjection result =
      BackProjectInto(disparity, height, width, calibration, options, points.data());
  points.resize(static_cast<size_t>(result.points * options.columns()));
  return points;
}

}  // namespace backfire::pointcloud
