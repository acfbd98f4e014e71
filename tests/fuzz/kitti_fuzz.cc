// Parsers of KITTI's files and of dataset URIs. The first byte says which.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "services/datasets/dataset_uri.h"
#include "services/datasets/image_transform.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"
#include "services/datasets/render_profile.h"
#include "services/datasets/rendered_dataset.h"

namespace backfire::datasets {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

void FuzzObjects(std::string_view content) {
  const auto objects = ParseObjects(content, "fuzz");
  std::vector<absl::Status> faults;
  const std::vector<metrics::Object> some = ParseObjectLines(content, "fuzz", faults);
  if (!objects.ok()) {
    Require(!faults.empty());  // The checker finds what the reader finds.
    return;
  }
  Require(some.size() == objects->size());
  for (const metrics::Object& object : *objects) {
    Require(!object.type.empty() && std::isfinite(object.box_3d.z) &&
            std::isfinite(object.box_2d.left) && std::isfinite(ObservationAngle(object.box_3d)));
  }
  // What is written is read again.
  Require(ParseObjects(FormatObjects(*objects), "again")->size() == objects->size());
}

void FuzzCalibration(std::string_view content) {
  std::vector<absl::Status> faults;
  const KittiCalibration calibration = ParseKittiCalibration(content, "fuzz", faults);
  if (!faults.empty()) return;
  const auto stereo = calibration.Stereo();
  Require(stereo.ok() && stereo->baseline_m() > 0 && stereo->focal_length_px() > 0);
  Require(Validate(*stereo).ok());
}

void FuzzLidar(std::string_view content) {
  const auto scan = ParseLidar(content, "fuzz");
  if (!scan.ok()) return;
  Require(FormatLidar(*scan) == content);
  KittiCalibration calibration;
  calibration.image_from_rect[2] = Projection{50, 0, 20, 0, 0, 50, 15, 0, 0, 0, 1, 0};
  calibration.image_from_rect[3] = Projection{50, 0, 20, -25, 0, 50, 15, 0, 0, 0, 1, 0};
  calibration.rect_from_cam0 = Rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  calibration.cam0_from_velo = RigidMotion{0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0};
  const auto disparity = DisparityFromLidar(*scan, calibration, {40, 30});
  Require(disparity.ok());
  for (int y = 0; y < disparity->rows; ++y) {
    for (int x = 0; x < disparity->cols; ++x) {
      Require(disparity->at<float>(y, x) >= 0 && std::isfinite(disparity->at<float>(y, x)));
    }
  }
}

void FuzzUri(std::string_view content) {
  const std::string uri(content);
  const auto parsed = ParseDatasetUri(uri);
  if (!parsed.ok()) return;
  Require(!parsed->scheme.empty() && !parsed->path.empty());
  const auto rendered = ParseRenderedUri(uri, *parsed);
  if (rendered.ok()) {
    Require(rendered->profile.width >= 32 && rendered->profile.focal_length_px > 0);
    Require(rendered->train >= 0 && rendered->train <= kMaxRenderedFrames);
  }
  for (const auto& [name, value] : parsed->parameters) {
    ImageTransform transform;
    const auto taken = SetTransform(transform, name, value);
    if (taken.ok() && *taken) (void)TransformFor(transform, {1242, 375});
  }
}

}  // namespace
}  // namespace backfire::datasets

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace backfire::datasets;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      FuzzObjects(content);
      break;
    case 1:
      FuzzCalibration(content);
      break;
    case 2:
      FuzzLidar(content);
      break;
    default:
      FuzzUri(content);
  }
  return 0;
}
