#include "services/pointcloud/pointcloud_model.h"

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
#include "services/runtime/recipe.h"

namespace backfire::pointcloud {
namespace {

using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

absl::StatusOr<BackProjectionOptions> ReadParameters(const v1::Recipe& recipe) {
  runtime::ParameterReader reader(recipe);
  BackProjectionOptions options;
  options.min_disparity_px = reader.Number("min_disparity_px", 1e-3, 1000);
  options.max_depth_m = reader.Number("max_depth_m", 1, 10'000);
  options.max_height_m = reader.Number("max_height_m", -100, 1000);
  options.stride = reader.Integer("stride", 1, 64);
  BACKFIRE_RETURN_IF_ERROR(reader.status());
  return options;
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
  points->add_shape(3);
  points->set_description("x, y, z in metres, rectified camera-0 frame: right, down, forward.");
  v1::Recipe& recipe = *model.add_recipes();
  recipe.set_name("pseudo-lidar");
  const BackProjectionOptions defaults;
  runtime::SetParameter(recipe, "min_disparity_px", defaults.min_disparity_px);
  runtime::SetParameter(recipe, "max_depth_m", defaults.max_depth_m);
  runtime::SetParameter(recipe, "max_height_m", defaults.max_height_m);
  runtime::SetParameter(recipe, "stride", static_cast<double>(defaults.stride));
  auto* loss = model.add_losses();
  loss->set_name("point_depth_mae");
  loss->set_unit("m");
  loss->set_maximum(std::numeric_limits<double>::infinity());
  loss->set_description(
      "Mean absolute error of the points' depth against the true depth of the pixels that they "
      "project to.");
  return model;
}

class PointCloudPredictor final : public runtime::Predictor {
 public:
  explicit PointCloudPredictor(const BackProjectionOptions& options) : options_(options) {}

  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>&) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* disparity, runtime::FindTensor(inputs, "disparity"));
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* tensor, runtime::FindTensor(inputs, "calibration"));
    absl::StatusOr<datasets::StereoCalibration> calibration =
        datasets::CalibrationFromTensor(*tensor);
    if (!calibration.ok()) return Annotate(calibration.status(), "input \"calibration\"");
    for (int64_t i = 0; i < disparity->ElementCount(); ++i) {
      if (std::isfinite(disparity->As<float>()[i])) continue;
      return absl::InvalidArgumentError(absl::StrCat("input \"disparity\": pixel (row ",
                                                     i / disparity->shape[1], ", column ",
                                                     i % disparity->shape[1], ") must be finite"));
    }
    const std::vector<float> points = BackProject(disparity->As<float>(), disparity->shape[0],
                                                  disparity->shape[1], *calibration, options_);
    TensorMap outputs;
    Tensor& cloud = outputs["points"];
    cloud =
        runtime::MakeTensor(runtime::Datatype::kFp32, {static_cast<int64_t>(points.size()) / 3, 3});
    if (!points.empty()) std::memcpy(cloud.data.data(), points.data(), cloud.data.size());
    return outputs;
  }

 private:
  const BackProjectionOptions options_;
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
      const std::string& uri) const override {
    return datasets::OpenStereoDataset(uri);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask&,
                                    runtime::JobContext&) const override {
    return std::string();
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const BackProjectionOptions options, ReadParameters(recipe));
    if (!weights.empty()) return absl::DataLossError("a transform has no weights");
    return std::make_unique<PointCloudPredictor>(options);
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& base, Split split,
                                          const runtime::Examples& outputs,
                                          const v1::Bootstrap& bootstrap,
                                          runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const datasets::StereoDataset&>(base);
    std::vector<double> errors, counts;
    for (int64_t i = 0; i < dataset.size(split); ++i) {
      if (job.cancelled()) return absl::CancelledError("cancelled while computing losses");
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(i));
      BACKFIRE_ASSIGN_OR_RETURN(const Tensor* points, runtime::FindTensor(tensors, "points"));
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset.Disparity(split, i));
      BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(split, i));
      const double focal_times_baseline = calibration.focal_length_px() * calibration.baseline_m();
      double error = 0, count = 0;
      for (int64_t p = 0; p < points->shape[0]; ++p) {
        const float* point = points->As<float>() + 3 * p;
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
    }
    v1::Evaluation evaluation;
    metrics::AddRatioLoss(errors, counts, bootstrap, "point_depth_mae", "", true, evaluation);
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
