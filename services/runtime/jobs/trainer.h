#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/model.h"
#include "services/runtime/outputs/input_gatherer.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// Does the trainings of one model. Thread-safe.
class Trainer {
 public:
  /// All are borrowed.
  Trainer(const DescribedModel& model, VersionStore& versions, const InputGatherer& inputs)
      : model_(model), versions_(versions), inputs_(inputs) {}

  /// Finds faults of a request that need neither files nor other services. INVALID_ARGUMENT.
  absl::Status Check(const v1::TrainRequest& request) const;
  /// What a training makes of a recipe: every parameter at its effective value. Opens the dataset,
  /// if one is named, which is kept open for the training. INVALID_ARGUMENT, NOT_FOUND, DATA_LOSS:
  /// what a training would fail by, with the field. CANCELLED: `cancelled` says that nobody waits.
  absl::StatusOr<v1::Recipe> Resolve(const v1::ResolveRecipeRequest& request,
                                     const std::function<bool()>& cancelled) const;
  /// Trains, or finds the version that the request's inputs gave before. `files` are the
  /// training's. Sets `result.version`, and what it cost.
  absl::Status Train(const v1::TrainRequest& request, const TrainingFiles& files, JobContext& job,
                     v1::Job& result) const;

 private:
  const DescribedModel& model_;
  VersionStore& versions_;
  const InputGatherer& inputs_;
};

}  // namespace backfire::runtime
