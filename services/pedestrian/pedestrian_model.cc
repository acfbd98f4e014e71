#include "services/pedestrian/pedestrian_model.h"

#include "services/detection/detector_model.h"

namespace backfire::pedestrian {

std::unique_ptr<runtime::Model> MakePedestrianModel(const learning::DeviceOptions& options) {
  detection::DetectorConfig config;
  config.model = "pedestrian";
  config.type = "Pedestrian";
  config.proposal_class = 1;
  config.mean_size = {1.76f, 0.66f, 0.84f};  // Mean over KITTI's training labels.
  config.iou_threshold = 0.5;
  config.max_depth_m = 20;  // As the paper judges pedestrians (section 4.2).
  return detection::MakeDetectorModel(config, options);
}

}  // namespace backfire::pedestrian
