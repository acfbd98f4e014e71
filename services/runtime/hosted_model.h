#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/rpc/channel.h"
#include "services/runtime/jobs/committer.h"
#include "services/runtime/jobs/evaluator.h"
#include "services/runtime/jobs/job_runner.h"
#include "services/runtime/jobs/trainer.h"
#include "services/runtime/outputs/input_gatherer.h"
#include "services/runtime/outputs/output_producer.h"
#include "services/runtime/outputs/output_store.h"
#include "services/runtime/serving/served_versions.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/primary.h"
#include "services/runtime/versions/version_exchange.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// The parts that offer one model, put together: nothing is done here. As thread-safe as they are.
class HostedModel {
 public:
  struct Options {
    std::filesystem::path directory;   ///< Of this model alone.
    std::string build_fingerprint;     ///< Of this program; the model's own is added.
    DatasetRoots dataset_roots;        ///< Of datasets that requests name.
    int threads = 1;                   ///< Examples that are predicted at once when materialising.
    BatchOptions batch;                ///< Of requests.
    const Primary* primary = nullptr;  ///< Of which this is a replica; null: of none. Borrowed.
  };

  /// Opens the versions on disk, and loads those that served when the process ended.
  /// @param outputs, channels  Borrowed.
  static absl::StatusOr<std::unique_ptr<HostedModel>> Open(const Options& options,
                                                           std::unique_ptr<Model> model,
                                                           OutputStore& outputs,
                                                           ChannelPool& channels);

  /// With capabilities and build fingerprint filled in.
  const v1::Model& description() const { return model_.description; }
  const VersionStore& versions() const { return *versions_; }
  VersionExchange& exchange() { return exchange_; }
  const VersionExchange& exchange() const { return exchange_; }
  ServedVersions& served() { return *served_; }
  const ServedVersions& served() const { return *served_; }
  const OutputProducer& outputs() const { return outputs_; }
  const Trainer& trainer() const { return trainer_; }
  const Committer& committer() const { return committer_; }
  Evaluator& evaluator() { return evaluator_; }
  const Evaluator& evaluator() const { return evaluator_; }

 private:
  HostedModel(const Options& options, std::unique_ptr<Model> model,
              std::unique_ptr<VersionStore> versions, OutputStore& outputs, ChannelPool& channels)
      : model_(std::move(model), options.build_fingerprint, options.dataset_roots),
        versions_(std::move(versions)),
        exchange_(model_, *versions_),
        inputs_(outputs, channels),
        outputs_(model_, *versions_, outputs, inputs_, options.threads),
        trainer_(model_, *versions_, inputs_),
        evaluator_(model_, *versions_, outputs_),
        committer_(model_, *versions_, outputs_) {}

  const DescribedModel model_;
  const std::unique_ptr<VersionStore> versions_;
  VersionExchange exchange_;
  const InputGatherer inputs_;
  const OutputProducer outputs_;
  const Trainer trainer_;
  Evaluator evaluator_;
  const Committer committer_;
  std::unique_ptr<ServedVersions> served_;
};

/// The models of one process, by short name: `disparity`, of `models/disparity`.
using HostedModels = std::map<std::string, std::unique_ptr<HostedModel>>;

/// The model of that resource name or short name. NOT_FOUND: lists those there are.
absl::StatusOr<HostedModel*> FindModel(const HostedModels& models, const std::string& name);

/// A version's number beside its model; whether there is such a version has not been asked.
struct NamedVersion {
  HostedModel* model;
  int64_t number;
  /// The version, with `loaded` filled in. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<v1::Version> Get() const;
};
/// What `models/{model}/versions/{number}` names. INVALID_ARGUMENT: another form. NOT_FOUND: no
/// such model.
absl::StatusOr<NamedVersion> FindVersion(const HostedModels& models, const std::string& name);

/// Does a job's work on the model that its request names; what a JobRunner is given.
/// @param models  Borrowed.
JobRunner::Execute ExecuteOn(const HostedModels& models);

}  // namespace backfire::runtime
