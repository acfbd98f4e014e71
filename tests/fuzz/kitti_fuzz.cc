// Parsers of KITTI's files and of dataset URIs. The first byte says which.
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/datasets/dataset_uri.h"
#include "services/datasets/image_transform.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"
#include "services/datasets/render_profile.h"
#include "services/datasets/rendered_dataset.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire::datasets {
namespace {

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

namespace backfire {

std::vector<std::string> FuzzExamples() {
  using datasets::LidarPoint;
  return {
      std::string(1, '\0') +
          "Car 0.00 0 -1.57 600.0 150.0 640.0 190.0 1.5 1.6 3.9 1.0 1.7 20.0 -1.57\n"
          "DontCare -1 -1 -10 5.0 170.0 60.0 250.0 -1 -1 -1 -1000 -1000 -1000 -10\r\n"
          "Pedestrian -1 -1 0.2 7 1 8 3 1.8 0.5 0.9 2 1.6 8.4 0.01 0.875\n",
      std::string(1, '\1') +
          "P0: 700 0 600 0 0 700 180 0 0 0 1 0\nP1: 700 0 600 -370 0 700 180 0 0 0 1 0\n"
          "P2: 700 0 600 45 0 700 180 0.2 0 0 1 0.003\nP3: 700 0 600 -330 0 700 180 2.2 0 0 1 "
          "0.003\n"
          "R0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n",
      std::string(1, '\2') +
          datasets::FormatLidar({{10, 1, -1, 0.5f}, {12, -1, 0, 0}, {5, 0, 0, 1}}),
      std::string(1, '\3') + "rendered:tiny?frames=600&seed=1&cars=5.5&crop=100x50+1+2&size=64x32",
      std::string(1, '\3') + "kitti:/data/kitti?train=train&validation=&test=val&size=608x176"};
}

std::vector<std::string> FuzzTokens() {
  return {":",        "&",   "=",    "?",       "x",
          "+",        "P2",  "P3",   "R0_rect", "Tr_velo_to_cam",
          "DontCare", "Car", "crop", "size",    "frames",
          "rendered"};
}

int FuzzRuns() { return 100000; }

}  // namespace backfire

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
