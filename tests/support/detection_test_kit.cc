#include "tests/support/detection_test_kit.h"

#include <cstring>
#include <vector>

#include "services/detection/detections_tensor.h"

namespace backfire::testing {
namespace {

runtime::Tensor Rows(const std::vector<float>& values, int64_t columns) {
  runtime::Tensor tensor = runtime::MakeTensor(
      runtime::Datatype::kFp32, {static_cast<int64_t>(values.size()) / columns, columns});
  if (!values.empty()) std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

}  // namespace

runtime::TensorMap TrueDetectorInputs(const datasets::StereoDataset& dataset, runtime::Split split,
                                      int64_t example, int stride, double far_m) {
  const datasets::StereoCalibration calibration = *dataset.Calibration(split, example);
  const cv::Mat disparity = *dataset.Disparity(split, example);
  std::vector<float> points, boxes;
  for (int v = 0; v < disparity.rows; v += stride) {
    for (int u = 0; u < disparity.cols; u += stride) {
      const float d = disparity.at<float>(v, u);
      if (!(d > 0)) continue;
      const double z = calibration.focal_length_px() * calibration.baseline_m() / d;
      if (z >= far_m) continue;
      for (const double value : {(u - calibration.centre_x_px()) * z / calibration.left[0] +
                                     calibration.left_offset_x_m(),
                                 (v - calibration.centre_y_px()) * z / calibration.left[5] +
                                     calibration.left_offset_y_m(),
                                 z}) {
        points.push_back(static_cast<float>(value));
      }
    }
  }
  const std::vector<metrics::Object> labels = *dataset.Labels(split, example);
  for (const metrics::Object& label : labels) {
    if (label.type != "Car") continue;
    for (const double value :
         {label.box_2d.left, label.box_2d.top, label.box_2d.right, label.box_2d.bottom, 0.9, 0.0}) {
      boxes.push_back(static_cast<float>(value));
    }
  }
  runtime::TensorMap inputs;
  inputs["points"] = Rows(points, 3);
  inputs["boxes_2d"] = Rows(boxes, detection::kProposalColumns);
  inputs["calibration"] = datasets::ToTensor(calibration);
  return inputs;
}

detection::DetectorConfig CarConfig() {
  detection::DetectorConfig config;
  config.model = "car";
  config.type = "Car";
  config.mean_size = {1.53f, 1.63f, 3.88f};
  return config;
}

}  // namespace backfire::testing
