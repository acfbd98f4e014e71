#include "services/pointcloud/lidar.h"

#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::pointcloud {
namespace {

// Row-major 3x4; for a rotation, the last column is 0.
using Transform = std::array<double, 12>;

// The matrix of that name, [3, columns], from a calibration file's text.
absl::StatusOr<Transform> FindMatrix(const std::string& text, const std::string& path,
                                     const std::string& name, size_t columns) {
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.first != name) continue;
    const std::vector<absl::string_view> fields =
        absl::StrSplit(parts.second, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    Transform transform{};
    bool sound = fields.size() == 3 * columns;
    for (size_t i = 0; sound && i < fields.size(); ++i) {
      double& value = transform[i / columns * 4 + i % columns];
      sound = absl::SimpleAtod(fields[i], &value) && std::isfinite(value);
    }
    if (sound) return transform;
    return absl::DataLossError(absl::StrCat(path, ":", line_number, ": ", name, " must be ",
                                            3 * columns, " finite numbers"));
  }
  return absl::DataLossError(absl::StrCat(path, ": there is no ", name));
}

Transform Multiply(const Transform& rotation, const Transform& transform) {
  Transform product{};
  for (size_t row = 0; row < 3; ++row) {
    for (size_t column = 0; column < 4; ++column) {
      for (size_t k = 0; k < 3; ++k) {
        product[4 * row + column] += rotation[4 * row + k] * transform[4 * k + column];
      }
    }
  }
  return product;
}

}  // namespace

absl::StatusOr<std::vector<float>> ReadLidar(const std::filesystem::path& sweep,
                                             const std::filesystem::path& calibration) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(calibration));
  BACKFIRE_ASSIGN_OR_RETURN(const Transform rect_from_cam,
                            FindMatrix(text, calibration.string(), "R0_rect", 3));
  BACKFIRE_ASSIGN_OR_RETURN(const Transform cam_from_velo,
                            FindMatrix(text, calibration.string(), "Tr_velo_to_cam", 4));
  const Transform m = Multiply(rect_from_cam, cam_from_velo);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(sweep));
  constexpr size_t kPointBytes = 4 * sizeof(float);
  if (bytes.size() % kPointBytes != 0) {
    return absl::DataLossError(absl::StrCat(sweep.string(), ": must be points of ", kPointBytes,
                                            " bytes: it has ", bytes.size()));
  }
  std::vector<float> points(bytes.size() / sizeof(float));
  std::memcpy(points.data(), bytes.data(), bytes.size());
  for (size_t i = 0; i < points.size(); i += 4) {
    float* p = points.data() + i;
    if (!std::isfinite(p[0] + p[1] + p[2] + p[3])) {
      return absl::DataLossError(
          absl::StrCat(sweep.string(), ": point ", i / 4, " is not of finite numbers"));
    }
    const double x = p[0], y = p[1], z = p[2];
    for (size_t row = 0; row < 3; ++row) {
      p[row] = static_cast<float>(m[4 * row] * x + m[4 * row + 1] * y + m[4 * row + 2] * z +
                                  m[4 * row + 3]);
    }
  }
  return points;
}

std::vector<float> ApplyLimits(const std::vector<float>& points,
                               const datasets::StereoCalibration& calibration,
                               const BackProjectionOptions& options) {
  std::vector<float> kept;
  for (size_t i = 0; i + 3 < points.size(); i += 4) {
    const double height = calibration.left_offset_y_m() - points[i + 1], depth = points[i + 2];
    if (!(depth > 0) || depth < options.min_depth_m || depth > options.max_depth_m ||
        height > options.max_height_m) {
      continue;
    }
    kept.insert(kept.end(), points.begin() + static_cast<std::ptrdiff_t>(i),
                points.begin() + static_cast<std::ptrdiff_t>(i + 4));
  }
  return kept;
}

}  // namespace backfire::pointcloud
