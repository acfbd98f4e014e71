#include "services/pointcloud/pointcloud_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/metrics/bootstrap.h"
#include "services/pointcloud/back_projection.h"
#include "services/pointcloud/cloud_distance.h"
#include "services/pointcloud/subsampling.h"
#include "services/runtime/for_each_example.h"
#include "services/runtime/recipe.h"

namespace backfire::pointcloud {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

// Of each frame, when distances are measured: a search costs microseconds.
constexpr int64_t kMeasuredPoints = 4096;

struct Parameters {
  BackProjectionOptions projection;
  Sampling sampling = Sampling::kAll;
  BeamPattern beams;
  int64_t points = 16384;
  double voxel_m = 0.1;
  uint64_t sampling_seed = 1;
};

Sampling ToSampling(const std::string& name) {
  return name == "beams"    ? Sampling::kBeams
         : name == "random" ? Sampling::kRandom
         : name == "voxels" ? Sampling::kVoxels
                            : Sampling::kAll;
}

absl::StatusOr<Parameters> ReadParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  Parameters p;
  p.projection.min_disparity_px = reader.Number("min_disparity_px");
  p.projection.min_depth_m = reader.Number("min_depth_m");
  p.projection.max_depth_m = reader.Number("max_depth_m");
  p.projection.max_height_m = reader.Number("max_height_m");
  p.projection.stride = reader.Integer("stride");
  p.projection.intensity = reader.Integer("intensity") == 1;
  p.beams.beams = reader.Integer("beams");
  p.beams.columns = reader.Integer("beam_columns");
  p.points = reader.Integer("sampled_points");
  p.voxel_m = reader.Number("voxel_m");
  p.sampling_seed = static_cast<uint64_t>(reader.Integer("sampling_seed"));
  const std::string sampling = reader.Text("sampling");
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  p.sampling = ToSampling(sampling);
  if (!(p.projection.min_depth_m < p.projection.max_depth_m)) {
    return absl::InvalidArgumentError(
        absl::StrCat("recipe.parameters.min_depth_m must be less than max_depth_m, ",
                     p.projection.max_depth_m, ": got ", p.projection.min_depth_m));
  }
  return p;
}

v1::Model Describe() {
  v1::Model model;
  model.set_name("models/pointcloud");
  model.set_kind(v1::Model::TRANSFORM);
  model.set_description("Back-projects disparity to a pseudo-LiDAR point cloud.");
  auto* disparity = model.add_inputs();
  disparity->set_name("disparity");
  disparity->set_datatype("FP32");
  disparity->add_shape(-1);
  disparity->add_shape(-1);
  disparity->set_description("Pixels of the left image, height x width.");
  auto* calibration = model.add_inputs();
  calibration->set_name("calibration");
  calibration->set_datatype("FP64");
  for (const int64_t size : {2, 3, 4}) calibration->add_shape(size);
  calibration->set_description(
      "Left, then right projection of the rectified pair (KITTI's P2, P3).");
  auto* points = model.add_outputs();
  points->set_name("points");
  points->set_datatype("FP32");
  points->add_shape(-1);
  points->add_shape(-1);
  points->set_description(
      "x, y, z in metres, rectified camera-0 frame: right, down, forward; then intensity, where "
      "the "
      "recipe asks for it.");
  v1::Recipe& recipe = *model.add_recipes();
  recipe.set_name("pseudo-lidar");
  const BackProjectionOptions defaults;
  const auto declare = [&](const char* name, double value, runtime::Range range, const char* unit,
                           const char* description) {
    runtime::Declare(recipe, name, value, range, unit, description);
  };
  declare("min_disparity_px", defaults.min_disparity_px, {1e-3, 1000}, "px",
          "Pixels of less disparity give no point.");
  declare("min_depth_m", defaults.min_depth_m, {0, 10'000}, "m", "Nearer points are left out.");
  declare("max_depth_m", defaults.max_depth_m, {1, 10'000}, "m", "Farther points are left out.");
  declare("max_height_m", defaults.max_height_m, {-100, 1000}, "m",
          "Points that are higher above the camera are left out.");
  declare("stride", static_cast<double>(defaults.stride), {1, 64}, "px",
          "Every so many rows and columns give points.");
  declare("intensity", 0, {0, 1}, "", "1: points have a fourth column, of ones.");
  runtime::Declare(
      recipe, "sampling", "all", {"all", "beams", "random", "voxels"},
      "Which points are kept: all; one in each beam, as of a LiDAR; a random sample; or "
      "one in each cube of space.");
  declare("beams", 64, {1, 4096}, "", "Of `beams`: elevations.");
  declare("beam_columns", 512, {1, 65536}, "", "Of `beams`: azimuths.");
  declare("sampled_points", 16384, {1, 10'000'000}, "", "Of `random`: how many points.");
  declare("voxel_m", 0.1, {1e-3, 100}, "m", "Of `voxels`: side of a cube.");
  declare("sampling_seed", 1, {0, 1'000'000'000}, "", "Of `random`.");
  auto* distance = model.add_losses();
  distance->set_name("mean_point_distance");
  distance->set_unit("m");
  distance->set_maximum(std::numeric_limits<double>::infinity());
  distance->set_description(absl::StrCat(
      "Mean distance from a point to the nearest point of the ground-truth cloud, over ",
      kMeasuredPoints, " points of each frame."));
  auto* loss = model.add_losses();
  loss->set_name("point_depth_mae");
  loss->set_unit("m");
  loss->set_maximum(std::numeric_limits<double>::infinity());
  loss->set_description(
      "Mean absolute error of the points' depth against the true depth of the pixels that they "
      "project to.");
  return model;
}

// Sum of the distances of some points to the cloud of the true disparity, and how many points these
// are: all, or every so many where there are more than kMeasuredPoints.
std::pair<double, double> SumDistances(const Tensor& points, const cv::Mat& truth,
                                       const datasets::StereoCalibration& calibration) {
  BackProjectionOptions everything;
  everything.min_disparity_px = 1e-3;
  everything.max_depth_m = everything.max_height_m = 1e6;
  const cv::Mat continuous = truth.isContinuous() ? truth : truth.clone();
  const ReferenceCloud reference(
      BackProject(continuous.ptr<float>(), truth.rows, truth.cols, calibration, everything));
  if (reference.empty()) return {0, 0};
  const int64_t step =
      std::max<int64_t>(1, (points.shape[0] + kMeasuredPoints - 1) / kMeasuredPoints);
  double sum = 0, count = 0;
  for (int64_t i = 0; i < points.shape[0]; i += step) {
    sum += reference.DistanceTo(points.As<float>() + points.shape[1] * i);
    count += 1;
  }
  return {sum, count};
}

class PointCloudPredictor final : public runtime::Predictor {
 public:
  explicit PointCloudPredictor(const Parameters& parameters) : p_(parameters) {}

  // The cloud with a point for every pixel, and what sampling notes of each.
  int64_t PeakBytes(const TensorMap& inputs) const override {
    const auto disparity = inputs.find("disparity");
    return disparity == inputs.end() ? 0 : 12 * static_cast<int64_t>(disparity->second.data.size());
  }

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>& cancelled) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* disparity, runtime::FindTensor(inputs, "disparity"));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* tensor, runtime::FindTensor(inputs, "calibration"));
    absl::StatusOr<datasets::StereoCalibration> calibration =
        datasets::CalibrationFromTensor(*tensor);
    if (!calibration.ok()) return Annotate(calibration.status(), "input \"calibration\"");
    const int64_t height = disparity->shape[0], width = disparity->shape[1];
    TensorMap outputs;
    Tensor& cloud = outputs["points"];
    const int64_t columns = p_.projection.columns();
    cloud = runtime::MakeTensor(
        runtime::Datatype::kFp32,
        {BackProjectionCapacity(height, width, p_.projection) / columns, columns});
    const BackProjection result =
        BackProjectInto(disparity->As<float>(), height, width, *calibration, p_.projection,
                        cloud.MutableAs<float>(), cancelled);
    if (result.cancelled) return absl::CancelledError("cancelled during the back-projection");
    if (!result.finite) return NotFinite(*disparity);
    Resize(result.points, cloud);
    Sample(cloud);
    return outputs;
  }

 private:
  static void Resize(int64_t points, Tensor& cloud) {
    cloud.shape[0] = points;
    cloud.data.resize(static_cast<size_t>(cloud.ElementCount()) * sizeof(float));
  }

  static absl::Status NotFinite(const Tensor& disparity) {
    int64_t i = 0;
    while (i < disparity.ElementCount() - 1 && std::isfinite(disparity.As<float>()[i])) ++i;
    return absl::InvalidArgumentError(absl::StrCat("input \"disparity\": pixel (row ",
                                                   i / disparity.shape[1], ", column ",
                                                   i % disparity.shape[1], ") must be finite"));
  }

  // Keeps what the recipe's sampling keeps, in place.
  void Sample(Tensor& cloud) const {
    const int64_t count = cloud.shape[0], columns = cloud.shape[1];
    float* points = cloud.MutableAs<float>();
    std::vector<int64_t> kept;
    switch (p_.sampling) {
      case Sampling::kAll:
        return;
      case Sampling::kBeams:
        kept = SampleBeams(points, count, columns, p_.beams);
        break;
      case Sampling::kRandom:
        kept = SampleRandom(count, p_.points, p_.sampling_seed);
        break;
      case Sampling::kVoxels:
        kept = SampleVoxels(points, count, columns, p_.voxel_m, p_.sampling_seed);
        break;
    }
    for (size_t i = 0; i < kept.size(); ++i) {
      std::memmove(points + static_cast<int64_t>(i) * columns, points + kept[i] * columns,
                   static_cast<size_t>(columns) * sizeof(float));
    }
    Resize(static_cast<int64_t>(kept.size()), cloud);
  }

  const Parameters p_;
};

class PointCloudModel final : public runtime::Model {
 public:
  PointCloudModel() : description_(Describe()) {}
  const v1::Model& description() const override { return description_; }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Recipe complete, runtime::CompleteRecipe(description_, recipe));
    BACKFIRE_RETURN_IF_ERROR(ReadParameters(complete).status());
    return complete;
  }

  // There is nothing to learn, so nothing to read.
  std::vector<std::string> TrainingInputs(const v1::Recipe&) const override { return {}; }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri, const runtime::DatasetAccess& access) const override {
    return datasets::OpenStereoDataset(uri, access);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask&,
                                    runtime::JobContext&) const override {
    return std::string();
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Parameters parameters, ReadParameters(recipe));
    if (!weights.empty()) return absl::DataLossError("a transform has no weights");
    return std::make_unique<PointCloudPredictor>(parameters);
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& base, Split split,
                                          const runtime::Examples& outputs,
                                          const metrics::Resampling& resampling,
                                          runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const datasets::StereoDataset&>(base);
    std::vector<double> errors, counts, distances, measured;
    const auto read = [&](int64_t i) -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(i));
      BACKFIRE_ASSIGN_OR_RETURN(const Tensor* points, runtime::FindTensor(tensors, "points"));
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset.Disparity(split, i));
      BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(split, i));
      const double focal_times_baseline = calibration.focal_length_px() * calibration.baseline_m();
      double error = 0, count = 0;
      for (int64_t p = 0; p < points->shape[0]; ++p) {
        const float* point = points->As<float>() + points->shape[1] * p;
        const double z = point[2];
        const double u = (point[0] - calibration.left_offset_x_m()) * calibration.left[0] / z +
                         calibration.centre_x_px();
        const double v = (point[1] - calibration.left_offset_y_m()) * calibration.left[5] / z +
                         calibration.centre_y_px();
        const int column = static_cast<int>(std::lround(u));
        const int row = static_cast<int>(std::lround(v));
        if (column < 0 || row < 0 || column >= truth.cols || row >= truth.rows) continue;
        const float d = truth.at<float>(row, column);
        if (!(d > 0)) continue;
        error += std::abs(z - focal_times_baseline / d);
        count += 1;
      }
      errors.push_back(error);
      counts.push_back(count);
      const auto [distance, count_measured] = SumDistances(*points, truth, calibration);
      distances.push_back(distance);
      measured.push_back(count_measured);
      return absl::OkStatus();
    };
    BACKFIRE_RETURN_IF_ERROR(
        runtime::ForEachExample(dataset.size(split), "computing losses", job, read));
    v1::Evaluation evaluation;
    metrics::AddRatioLoss(distances, measured, resampling, "mean_point_distance", "", true,
                          evaluation);
    metrics::AddRatioLoss(errors, counts, resampling, "point_depth_mae", "", true, evaluation);
    return evaluation;
  }

 private:
  const v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakePointCloudModel() {
  return std::make_unique<PointCloudModel>();
}

}  // namespace backfire::pointcloud
