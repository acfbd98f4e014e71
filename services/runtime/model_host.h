#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/base/mutex.h"
#include "services/rpc/channel.h"
#include "services/runtime/batching_predictor.h"
#include "services/runtime/model.h"
#include "services/runtime/output_store.h"
#include "services/runtime/primary.h"
#include "services/runtime/version_store.h"

namespace backfire::runtime {

/// One model with its versions: trains them, computes and keeps their outputs, evaluates them, and
/// holds those that serve. Thread-safe.
class ModelHost {
 public:
  struct Options {
    std::filesystem::path directory;  ///< Of this model alone.
    std::string build_fingerprint;    ///< Of this program; the model's own is added.
    int threads = 1;                  ///< Examples that are predicted at once when materialising.
    BatchOptions batch;               ///< Of requests.
    /// The service that this one is a replica of; null: it is none. A replica loads what its
    /// primary has, and deletes what it unloads. Borrowed.
    const Primary* primary = nullptr;
  };
  /// A version that serves.
  struct Loaded {
    int64_t number = 0;
    std::shared_ptr<const Predictor> predictor;
  };

  /// Opens the versions on disk, and loads those that served when the process ended; one that can't
  /// be loaded any more is logged and left out.
  static absl::StatusOr<std::unique_ptr<ModelHost>> Open(const Options& options,
                                                         std::unique_ptr<Model> model,
                                                         OutputStore& outputs,
                                                         ChannelPool& channels);

  /// With capabilities and build fingerprint filled in.
  const v1::Model& description() const { return description_; }
  /// `disparity`, of `models/disparity`.

  /// Finds faults of a request that need neither files nor other services. INVALID_ARGUMENT.
  absl::Status Check(const v1::TrainRequest& request) const;
  /// As above; NOT_FOUND: no such version.
  absl::Status Check(const v1::EvaluateRequest& request) const;

  /// Trains, or finds the version that the request's inputs gave before. `files` are the
  /// training's. Sets `result.version`.
  absl::Status Train(const v1::TrainRequest& request, const TrainingFiles& files, JobContext& job,
                     v1::Job& result);
  /// Sets `result.evaluation`.
  absl::Status Evaluate(const v1::EvaluateRequest& request, JobContext& job, v1::Job& result);

  /// Finds faults of an import's description. INVALID_ARGUMENT.
  absl::Status Check(const v1::ImportVersionRequest& description) const;
  /// Makes a version of a file, or finds the one that has these weights. `description` is the first
  /// message of an import, its `data` aside. INVALID_ARGUMENT: the file does not fit the recipe.
  absl::StatusOr<v1::Version> Import(const v1::ImportVersionRequest& description,
                                     const std::string& file);
  /// A version's weights as a file for others.
  absl::StatusOr<std::string> Export(int64_t number) const;
  /// The bytes that are kept, for a replica.
  absl::StatusOr<std::string> ExportAsStored(int64_t number) const;

  /// Outputs of a version for all examples of a split, computed unless they are kept already.
  struct Outputs {
    std::shared_ptr<const Dataset> dataset;
    Split split = Split::kTest;
    std::shared_ptr<const Examples> examples;
  };
  absl::StatusOr<Outputs> Materialize(const v1::MaterializeRequest& request, JobContext& job);

  /// Loads a version, so that Find gives it; remembered over restarts. A replica makes sure first
  /// that it has what its primary has of that number, unless the primary is away.
  /// FAILED_PRECONDITION: its recipe is unservable.
  /// @param cancelled  Asked while a replica copies.
  absl::Status Load(
      int64_t number, const std::function<bool()>& cancelled = [] { return false; });
  /// Stops serving a version; who holds it may go on using it.
  absl::Status Unload(int64_t number);
  /// The loaded version of that number, or the highest. NOT_FOUND: no such version, or none is
  /// loaded. UNAVAILABLE: the version exists, and is not loaded.
  absl::StatusOr<Loaded> Find(std::optional<int64_t> number) const;
  /// Losses of a version on the test split, fed by its lineage, as the last evaluation since the
  /// start found them, resamples left out; empty: there was none.
  std::vector<v1::LossEstimate> TestLosses(int64_t number) const;
  /// How many requests were predicted at once, of each loaded version that gathers them.
  std::map<int64_t, prometheus::ClientMetric> BatchSizes() const;
  /// Loaded versions, ascending.
  std::vector<int64_t> LoadedNumbers() const;

  /// A version with `loaded` filled in.
  absl::StatusOr<v1::Version> Get(int64_t number) const;
  std::vector<v1::Version> List() const;
  /// FAILED_PRECONDITION: it is loaded.
  absl::Status Delete(int64_t number);

 private:
  ModelHost(const Options& options, std::unique_ptr<Model> model, OutputStore& outputs,
            ChannelPool& channels);
  absl::Status LoadRemembered();
  absl::Status Remember(const std::map<int64_t, std::shared_ptr<const Predictor>>& loaded) const;
  absl::Status LoadKept(int64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(loading_);
  /// Makes a replica have what its primary has of that number; what it had otherwise goes.
  absl::Status CopyFromPrimary(int64_t number, const std::function<bool()>& cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(loading_);
  /// A kept version's recipe, with the parameters that the recipe has got since at their defaults:
  /// one that an older program trained must go on working.
  absl::StatusOr<v1::Recipe> CompleteRecipe(const v1::Version& version) const;
  absl::StatusOr<std::shared_ptr<const Predictor>> MakePredictor(const v1::Version& version) const;
  bool IsUnservable(const v1::Recipe& recipe) const;
  /// What a recipe's training starts from: its digest, and how to read it.
  struct Start {
    std::string digest;
    std::function<absl::StatusOr<std::string>()> read_weights;
  };
  /// Nothing if the training starts from scratch.
  absl::StatusOr<std::optional<Start>> StartOf(const v1::Recipe& recipe) const;
  absl::Status CheckLineage(const google::protobuf::RepeatedPtrField<v1::Parent>& lineage,
                            const std::string& field) const;
  /// The named inputs of every example: those of `lineage` from the parents' services, the others
  /// from the dataset.
  absl::StatusOr<std::shared_ptr<const Examples>> GatherInputs(
      const std::vector<std::string>& names, const std::vector<v1::Parent>& lineage,
      const std::shared_ptr<const Dataset>& dataset, Split split, const v1::Endpoints& endpoints,
      JobContext& job, OutputTally& tally);
  absl::StatusOr<std::shared_ptr<const Examples>> ComputeOutputs(
      const v1::Version& version, const std::vector<v1::Parent>& swapped_parents,
      const std::shared_ptr<const Dataset>& dataset, Split split, const v1::Endpoints& endpoints,
      JobContext& job, OutputTally& tally);

  const Options options_;
  const std::unique_ptr<Model> model_;
  v1::Model description_;
  std::string short_name_;
  OutputStore& outputs_;
  ChannelPool& channels_;
  std::unique_ptr<VersionStore> versions_;
  Mutex importing_;  ///< Held while a file is converted: it takes memory.
  Mutex loading_;    ///< Held while versions are loaded or unloaded: one at a time.
  mutable Mutex mutex_;
  std::map<int64_t, std::shared_ptr<const Predictor>> loaded_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::vector<v1::LossEstimate>> test_losses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
