#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/learning/device_options.h"
#include "services/runtime/model.h"

namespace backfire::detection {

/// What distinguishes one detector from another.
struct DetectorConfig {
  std::string model;                 ///< `car`.
  std::string type;                  ///< Of KITTI's labels: `Car`.
  int proposal_class = 0;            ///< In the tensor `boxes_2d`.
  std::array<float, 3> mean_size{};  ///< Height, width, length, metres.
  double iou_threshold = 0.7;
  std::optional<double> max_depth_m;  ///< Judged up to here; none: everywhere.
};

/// One way to learn a detector: a family of networks with its parameters, training and prediction.
/// What it is judged by is the detector's, not its recipe's. Thread-safe.
class DetectorRecipe {
 public:
  virtual ~DetectorRecipe() = default;
  /// The name, and every parameter at its default.
  virtual const v1::Recipe& defaults() const = 0;
  /// INVALID_ARGUMENT: a parameter of a complete recipe is out of range.
  virtual absl::Status Check(const v1::Recipe& recipe) const = 0;
  /// Which of the detector's inputs a training reads from its parents.
  virtual std::vector<std::string> TrainingInputs() const = 0;
  /// See runtime::Model::Train.
  virtual absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                            runtime::JobContext& job) const = 0;
  /// See runtime::Model::Load. The predictor's output is `detections`.
  virtual absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const = 0;
  /// Weights of an untrained network: the names, shapes and types that a file to import must have.
  virtual absl::StatusOr<std::string> UntrainedWeights(const v1::Recipe& recipe) const = 0;
};

/// Recipes `frustum-pointnet` and `frustum-pointnet-full`: one network, a small one and the
/// published one.
std::unique_ptr<DetectorRecipe> MakeFrustumPointNetRecipe(const DetectorConfig& config,
                                                          const learning::DeviceOptions& options);
std::unique_ptr<DetectorRecipe> MakeFullFrustumPointNetRecipe(
    const DetectorConfig& config, const learning::DeviceOptions& options);

/// Recipes `point-rcnn` and `point-rcnn-small`, see point_rcnn/point_rcnn_parameters.h.
std::vector<std::unique_ptr<DetectorRecipe>> MakePointRcnnRecipes(
    const DetectorConfig& config, const learning::DeviceOptions& options);

/// Every recipe of a detector. A new family is a line here, and files of its own.
std::vector<std::unique_ptr<DetectorRecipe>> MakeDetectorRecipes(
    const DetectorConfig& config, const learning::DeviceOptions& options);

}  // namespace backfire::detection
