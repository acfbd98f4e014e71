#include "services/detection/point_rcnn/point_rcnn_training.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/detector_inputs.h"
#include "services/detection/point_rcnn/cloud_preparation.h"

namespace backfire::detection {
namespace {

using runtime::Split;

constexpr uint64_t kFractionStream = 0x46524143;
constexpr int64_t kPastePoints = 5;  // Objects with fewer aren't worth pasting.

// The frames that are used, in their order: a part drawn by the seed.
std::vector<int64_t> ChooseFrames(int64_t count, double fraction, int64_t seed) {
  std::vector<int64_t> frames(static_cast<size_t>(count));
  for (size_t i = 0; i < frames.size(); ++i) frames[i] = static_cast<int64_t>(i);
  const auto kept = std::max<int64_t>(std::min<int64_t>(count, 1),
                                      std::llround(fraction * static_cast<double>(count)));
  Random random(static_cast<uint64_t>(seed), kFractionStream);
  for (int64_t i = 0; i < kept; ++i) {
    std::swap(frames[static_cast<size_t>(i)],
              frames[static_cast<size_t>(i + random.Below(count - i))]);
  }
  frames.resize(static_cast<size_t>(kept));
  std::sort(frames.begin(), frames.end());
  return frames;
}

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
      ChooseFrames(dataset.size(Split::kTrain), parameters.train_fraction, task.seed);
  for (const int64_t frame : frames) {
    if (job.cancelled()) return absl::CancelledError("cancelled while reading the dataset");
    v1::Progress progress;
    progress.set_stage("reading inputs");
    progress.set_step(static_cast<int64_t>(set.clouds.size()));
    progress.set_total_steps(static_cast<int64_t>(frames.size()));
    job.Report(progress);
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
  }
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
