#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/metrics/bootstrap.h"
#include "services/runtime/dataset.h"
#include "services/runtime/dataset_access.h"
#include "services/runtime/tensor.h"

namespace backfire::runtime {

/// What a running job tells its service, and hears from it. Thread-safe.
class JobContext {
 public:
  virtual ~JobContext() = default;
  /// Shows how far the job is. Cheap: call it at every step.
  virtual void Report(const v1::Progress& progress) = 0;
  /// Whether the job should stop now; it then returns CANCELLED. Ask at every step.
  virtual bool cancelled() const = 0;
};

/// Files of a training's own. Their folders may not be there yet.
struct TrainingFiles {
  /// Where a training may keep a checkpoint (write it atomically). If it exists, the training goes
  /// on from it, to the same bits as if it had never stopped. Gone once the training has ended.
  std::string checkpoint;
  /// Where one that fails may leave the last weights that were good, for people. Stays.
  std::string last_good_weights;
};

/// What a version is trained from.
struct TrainingTask {
  v1::Recipe recipe;  ///< As Model::ResolveRecipe returned it.
  int64_t seed = 0;
  const Dataset* dataset = nullptr;
  /// Tensors of the training and validation examples that Model::TrainingInputs asked for and a
  /// parent feeds, by the name of the model's input. The others come from `dataset`.
  const Examples* train_inputs = nullptr;
  const Examples* validation_inputs = nullptr;
  /// Weights of this model that the training starts from, those that
  /// `recipe.parameters.initialize_from` names; null where it is empty.
  const std::string* initial_weights = nullptr;
  /// The same of the split `population`, for recipes that are solved on it; empty where the dataset
  /// has none.
  const Examples* population_inputs = nullptr;
  TrainingFiles files;
};

/// A version that can run. Thread-safe: many requests share one.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// Runs the version on one example. `inputs` has every input of the signature, with the right
  /// datatype and rank; values are the predictor's to check. INVALID_ARGUMENT names the input.
  /// `cancelled` is asked now and then by work that takes long; CANCELLED when it says so.
  virtual absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                            const std::function<bool()>& cancelled) const = 0;

  /// Bytes of memory that a prediction takes at its peak beside its inputs, for inputs of these
  /// shapes: roughly, and rather too many. Asked before it starts, so that a service refuses what
  /// it has no room for. As it is here: four times the inputs, which is right for what copies them.
  virtual int64_t PeakBytes(const TensorMap& inputs) const;

  /// Whether PredictBatch is sooner than one Predict per example.
  virtual bool HasBatches() const { return false; }
  /// As Predict, for examples whose inputs have equal shapes; fails if one of them does. Only
  /// requests are batched, never what is evaluated or learnt from: the last bits of a result may
  /// depend on what it shares its batch with.
  virtual absl::StatusOr<std::vector<TensorMap>> PredictBatch(
      const std::vector<const TensorMap*>& inputs, const std::function<bool()>& cancelled) const;
};

/// One kind of model, as a vertex can use it: everything about learning and metrics, nothing about
/// servers, files of versions or other models. Implementations include no gRPC. Thread-safe.
class Model {
 public:
  virtual ~Model() = default;

  /// Name, signature, recipes, judged losses. Capabilities and fingerprint are the server's to
  /// fill.
  virtual const v1::Model& description() const = 0;

  /// Names whatever outside this binary decides numeric results: library versions, CPU capability.
  /// A part of the build fingerprint.
  virtual std::string NumericFingerprint() const { return ""; }

  /// Returns the recipe with every parameter at its effective value. INVALID_ARGUMENT: unknown
  /// recipe or parameter, or a value out of range: `recipe.parameters.steps must be > 0: got 0`.
  /// Versions that were trained before a recipe had a parameter are loaded by its default: for them
  /// it must change nothing.
  virtual absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const = 0;

  /// Which of the model's inputs a training of this recipe reads (a subset of the signature).
  virtual std::vector<std::string> TrainingInputs(const v1::Recipe& recipe) const = 0;

  /// Opens what a dataset URI names. INVALID_ARGUMENT, NOT_FOUND or DATA_LOSS, naming the file.
  /// PERMISSION_DENIED: a file is outside of `access.roots`. CANCELLED: `access.cancelled` said so.
  /// What is opened keeps the roots, and not `cancelled`.
  virtual absl::StatusOr<std::shared_ptr<const Dataset>> OpenDataset(
      const std::string& uri, const DatasetAccess& access) const = 0;

  /// Trains, and returns the weights as one string of bytes: equal for equal tasks. CANCELLED when
  /// the job was cancelled. RESOURCE_EXHAUSTED and the like as they come.
  virtual absl::StatusOr<std::string> Train(const TrainingTask& task, JobContext& job) const = 0;

  /// Makes weights able to run at full speed: the first request is no slower than the next.
  /// DATA_LOSS: they are not what Train returns for this recipe.
  virtual absl::StatusOr<std::unique_ptr<Predictor>> Load(const v1::Recipe& recipe,
                                                          const std::string& weights) const = 0;

  /// Turns a file that people have into weights, as Train would return them for this recipe: equal
  /// for files that say the same. INVALID_ARGUMENT: all that is wrong with the file, in one
  /// message. Never runs code from the file. As it is here, a file is weights as they are.
  virtual absl::StatusOr<std::string> ImportWeights(const v1::Recipe& recipe,
                                                    const std::string& file) const;

  /// The reverse: a file that others can read, and that ImportWeights takes. FAILED_PRECONDITION:
  /// this recipe's versions hold nothing that is worth a file.
  virtual absl::StatusOr<std::string> ExportWeights(const v1::Recipe& recipe,
                                                    const std::string& weights) const;

  /// A file of weights that comes with the model, for ImportWeights: a start for trainings, made by
  /// one that is documented. NOT_FOUND: lists those there are; here, there are none.
  virtual absl::StatusOr<std::string> PretrainedFile(std::string_view name) const;

  /// Whether a seed changes what this recipe trains. Where it does not, one version stands for all
  /// seeds.
  virtual bool DependsOnSeed(const v1::Recipe& recipe) const;

  /// Outputs of an unservable recipe (v1.Recipe.unservable) for one example: what Load and Predict
  /// give for the others. FAILED_PRECONDITION: the dataset does not hold what they are made from.
  virtual absl::StatusOr<TensorMap> PredictFromDataset(const v1::Recipe& recipe,
                                                       const std::string& weights,
                                                       const Dataset& dataset, Split split,
                                                       int64_t example) const;

  /// Computes every loss on a split from a version's outputs for its examples, and on every
  /// resample of them, with how many examples and clusters bear upon it. Judged losses first, in
  /// the order of description().
  virtual absl::StatusOr<v1::Evaluation> Evaluate(const Dataset& dataset, Split split,
                                                  const Examples& outputs,
                                                  const metrics::Resampling& resampling,
                                                  JobContext& job) const = 0;
};

}  // namespace backfire::runtime
