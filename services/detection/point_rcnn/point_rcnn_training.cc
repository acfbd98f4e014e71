#include "services/detection/point_rcnn/point_rcnn_training.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/detector_inputs.h"
#include "services/detection/point_rcnn/cloud_preparation.h"
#include "services/detection/training_frames.h"
#include "services/runtime/for_each_example.h"

namespace backfire::detection {
namespace {

using runtime::Split;

constexpr int64_t kPastePoints = 5;  // Objects with fewer aren't worth pasting.

}  // namespace

absl::StatusOr<PointRcnnTrainingSet> ReadPointRcnnTrainingSet(const DetectorConfig& config,
                                                              const PointRcnnParameters& parameters,
                                                              const runtime::TrainingTask& task,
                                                              runtime::JobContext& job) {
  const auto& dataset = static_cast<const datasets::StereoDataset&>(*task.dataset);
  CloudOptions options = parameters.cloud;
  if (parameters.train_max_depth_m > 0) {
    options.max_depth_m = std::min(options.max_depth_m, parameters.train_max_depth_m);
  }
  PointRcnnTrainingSet set;
  int64_t objects = 0;
  bool any_point = false;
  const std::vector<int64_t> frames =
      TrainingFrames(dataset.size(Split::kTrain), parameters.train_fraction, task.seed);
  const auto read = [&](int64_t index) -> absl::Status {
    const int64_t frame = frames[static_cast<size_t>(index)];
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::TensorMap inputs, task.train_inputs->Get(frame));
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::Tensor* tensor, runtime::FindTensor(inputs, "points"));
    BACKFIRE_ASSIGN_OR_RETURN(const PointCloudView view, ViewPointCloud(*tensor));
    BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset.Labels(Split::kTrain, frame));
    LabelledCloud& cloud = set.clouds.emplace_back();
    cloud.points = PointsInRange(view, options);
    // Whether it has points or not: else two disparities of the same frames would be trained on
    // different objects.
    for (const metrics::Object& label : labels) {
      if (label.type != config.type || label.box_3d.z > options.max_depth_m) continue;
      const std::vector<float> row = BoxRow(label.box_3d);
      cloud.boxes.insert(cloud.boxes.end(), row.begin(), row.end());
    }
    objects += cloud.box_count();
    any_point = any_point || !cloud.points.empty();
    if (parameters.pasted_objects > 0) set.objects.Add(cloud, kPastePoints);
    return absl::OkStatus();
  };
  BACKFIRE_RETURN_IF_ERROR(runtime::ForEachExample(static_cast<int64_t>(frames.size()),
                                                   "reading the dataset", job, read));
  if (objects == 0) {
    return absl::FailedPreconditionError(absl::StrCat("the training split has no object of type ",
                                                      config.type, " within ", options.max_depth_m,
                                                      " m"));
  }
  if (!any_point) {
    return absl::FailedPreconditionError("no cloud of the training split has a point in range");
  }
  return set;
}

LabelledCloud DrawCloud(const PointRcnnTrainingSet& set, const PointRcnnParameters& parameters,
                        Random& random) {
  // A cloud without points teaches nothing; there is one that has some.
  const LabelledCloud* drawn = nullptr;
  while (drawn == nullptr || drawn->points.empty()) {
    drawn = &set.clouds[static_cast<size_t>(random.Below(static_cast<int64_t>(set.clouds.size())))];
  }
  LabelledCloud cloud = *drawn;
  set.objects.Paste(cloud, parameters.pasted_objects, random);
  cloud.points = SamplePoints(cloud.points, parameters.cloud.points, random);
  AugmentCloud(cloud, random);
  return cloud;
}

}  // namespace backfire::detection
