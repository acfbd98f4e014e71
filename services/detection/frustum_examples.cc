#include "services/detection/frustum_examples.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/training_frames.h"
#include "services/runtime/for_each_example.h"

namespace backfire::detection {
namespace {

using runtime::Split;

metrics::Box2d Jitter(const metrics::Box2d& box, double amount, Random& random) {
  const double x = (box.left + box.right) / 2 + box.width() * random.Uniform(-amount, amount);
  const double y = (box.top + box.bottom) / 2 + box.height() * random.Uniform(-amount, amount);
  const double width = box.width() * random.Uniform(1 - amount, 1 + amount);
  const double height = box.height() * random.Uniform(1 - amount, 1 + amount);
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
}

// Points in any box that Jitter may return.
std::vector<ProjectedPoint> Reachable(const std::vector<ProjectedPoint>& points,
                                      const metrics::Box2d& box, double amount) {
  const double x = box.width() * 1.5 * amount, y = box.height() * 1.5 * amount;
  std::vector<ProjectedPoint> reachable;
  for (const ProjectedPoint& p : points) {
    if (p.u >= box.left - x && p.u <= box.right + x && p.v >= box.top - y &&
        p.v <= box.bottom + y) {
      reachable.push_back(p);
    }
  }
  return reachable;
}

}  // namespace

absl::StatusOr<std::vector<FrustumExample>> ReadFrustumExamples(const std::string& type,
                                                                const FrustumParameters& p,
                                                                const runtime::TrainingTask& task,
                                                                runtime::JobContext& job) {
  const auto& dataset = static_cast<const datasets::StereoDataset&>(*task.dataset);
  std::vector<FrustumExample> examples;
  const std::vector<int64_t> frames =
      TrainingFrames(dataset.size(Split::kTrain), p.train_fraction, task.seed);
  const auto read = [&](int64_t index) -> absl::Status {
    const int64_t frame = frames[static_cast<size_t>(index)];
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::TensorMap inputs, task.train_inputs->Get(frame));
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::Tensor* tensor, runtime::FindTensor(inputs, "points"));
    BACKFIRE_ASSIGN_OR_RETURN(const PointCloudView cloud, ViewPointCloud(*tensor));
    BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(Split::kTrain, frame));
    BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset.Labels(Split::kTrain, frame));
    const std::vector<ProjectedPoint> points = Project(cloud, calibration);
    for (const metrics::Object& label : labels) {
      if (label.type != type || label.box_2d.height() < p.min_box_height_px) continue;
      if (p.train_max_depth_m > 0 && label.box_3d.z > p.train_max_depth_m) continue;
      examples.push_back({label, calibration, Reachable(points, label.box_2d, p.box_jitter)});
    }
    return absl::OkStatus();
  };
  BACKFIRE_RETURN_IF_ERROR(runtime::ForEachExample(static_cast<int64_t>(frames.size()),
                                                   "reading the dataset", job, read));
  if (examples.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the training split has no object of type ", type, " at least ", p.min_box_height_px,
        " px high",
        p.train_max_depth_m > 0 ? absl::StrCat(" within ", p.train_max_depth_m, " m") : ""));
  }
  return examples;
}

FrustumBatch MakeFrustumBatch(const std::vector<FrustumExample>& examples,
                              const FrustumParameters& p, Random& random) {
  FrustumBatch batch;
  const auto values = static_cast<size_t>(p.frustum.points);
  for (int64_t b = 0; b < p.batch; ++b) {
    const FrustumExample& example =
        examples[static_cast<size_t>(random.Below(static_cast<int64_t>(examples.size())))];
    const metrics::Box2d jittered = Jitter(example.label.box_2d, p.box_jitter, random);
    Frustum frustum = CutFrustum(example.points, jittered,
                                 FrustumAngle(jittered, example.calibration), p.frustum, random);
    FrustumBox box = ToFrustum(example.label.box_3d, frustum);
    // The label's own box may hold a point that a jittered one misses.
    const bool empty = frustum.size() == 0;
    if (empty) frustum.points.resize(4 * values);
    if (random.Uniform() < 0.5) Mirror(frustum, box);
    for (int64_t i = 0; i < frustum.size(); ++i) {
      batch.mask.push_back(!empty && Inside(box, frustum.point(i)) ? 1 : 0);
    }
    if (p.published_depth_shift && !empty) {
      const double distance = std::hypot(box.x, box.y);
      ShiftDepth(std::clamp(random.Normal() * distance * 0.05, 0.8 * distance, 1.2 * distance),
                 frustum, box);
    }
    batch.points.insert(batch.points.end(), frustum.points.begin(), frustum.points.end());
    for (const double value : {box.x, box.y, box.z}) {
      batch.center.push_back(static_cast<float>(value));
    }
    for (const double value : {box.length, box.width, box.height}) {
      batch.size.push_back(static_cast<float>(value));
    }
    batch.heading.push_back(static_cast<float>(box.heading));
    batch.weight.push_back(empty ? 0.0f : 1.0f);
  }
  return batch;
}

}  // namespace backfire::detection
