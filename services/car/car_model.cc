#include "services/car/car_model.h"

#include "services/detection/detector_model.h"

namespace backfire::car {

std::unique_ptr<runtime::Model> MakeCarModel(const learning::DeviceOptions& options) {
  detection::DetectorConfig config;
  config.model = "car";
  config.type = "Car";
  config.proposal_class = 0;
  config.mean_size = {1.53f, 1.63f, 3.88f};  // Mean over KITTI's training labels.
  config.iou_threshold = 0.7;
  return detection::MakeDetectorModel(config, options);
}

}  // namespace backfire::car
