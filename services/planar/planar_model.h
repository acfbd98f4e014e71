#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "services/planar/kind.h"
#include "services/planar/planar_dataset.h"
#include "services/runtime/model.h"

namespace backfire::planar {

/// What tells one planar model from another.
struct ModelSpec {
  std::string name;  ///< Without `models/`.
  /// Beside `point`, which every model has: names and numbers of features (1: a label or a score;
  /// 2: a position), sorted by name.
  std::vector<std::pair<std::string, int>> inputs;
  Target target;  ///< What it is judged by; says whether it gives labels or positions.
};

/// A model over points in the plane. Inputs: `point`, FP64 [2], at which only stated predictors and
/// references look, unless there is no other input; and what its parents give, FP64 [1] or [2].
/// Outputs: `label` (0 or 1) and `score`, FP64 [1]; or `position`, FP64 [2]. Recipes: every kind
/// (kind.h) that gives what the target judges. Losses on `population` are true ones.
std::unique_ptr<runtime::Model> MakePlanarModel(const ModelSpec& spec,
                                                std::shared_ptr<DatasetCache> datasets);

/// The models of a system's vertices that planar-service hosts: those whose `process` names it, or
/// that have none. Shapes of inputs follow from the names of what feeds them, targets from the
/// system's dataset. INVALID_ARGUMENT: a vertex is fed by something else than the request's point,
/// positions, labels or scores; two vertices share a model and differ; or as ParseData.
absl::StatusOr<std::vector<ModelSpec>> SpecsOf(const v1::System& system);

/// Which examples of the split `train` a complete recipe learns from, in its order.
/// INVALID_ARGUMENT: more than there are.
absl::StatusOr<std::vector<size_t>> TrainingExamples(const PlanarDataset& dataset,
                                                     const Target& target, const v1::Recipe& recipe,
                                                     int64_t seed);

}  // namespace backfire::planar
