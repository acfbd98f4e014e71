#pragma once

#include <prometheus/client_metric.h>

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
#include "services/runtime/model.h"
#include "services/runtime/serving/batching_predictor.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/primary.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// The versions of one model that are loaded, and so serve requests. Thread-safe.
class ServedVersions {
 public:
  struct Options {
    std::filesystem::path directory;  ///< Of the model: which were loaded is kept in it.
    int threads = 1;                  ///< Predictions at once, of a model without batches.
    BatchOptions batch;               ///< Of requests.
    /// The service that this one is a replica of; null: it is none. A replica loads what its
    /// primary has, and deletes what it unloads. Borrowed.
    const Primary* primary = nullptr;
  };
  /// A version that serves.
  struct Loaded {
    int64_t number = 0;
    std::string digest;  ///< Which says that it is what a release was made of.
    std::shared_ptr<const Predictor> predictor;
  };

  /// Loads the versions that served when the process ended; one that can't be loaded any more is
  /// logged and left out.
  /// @param model, versions  Borrowed.
  static absl::StatusOr<std::unique_ptr<ServedVersions>> Open(const Options& options,
                                                              const DescribedModel& model,
                                                              VersionStore& versions);

  /// Loads a version, so that Find gives it; remembered over restarts. A replica makes sure first
  /// that it has what its primary has of that number, unless the primary is away.
  /// FAILED_PRECONDITION: its recipe is unservable. DATA_LOSS: what has this number is another
  /// content than `digest` says; a replica then keeps what it has.
  /// @param digest     Empty: any will do.
  /// @param cancelled  Asked while a replica copies.
  absl::Status Load(
      int64_t number, const std::string& digest = "",
      const std::function<bool()>& cancelled = [] { return false; });
  /// Stops serving a version; who holds it may go on using it.
  absl::Status Unload(int64_t number);
  /// Deletes a version that does not serve. FAILED_PRECONDITION: it is loaded.
  absl::Status Delete(int64_t number);

  /// The loaded version of that number, or the highest. NOT_FOUND: no such version, or none is
  /// loaded. UNAVAILABLE: the version exists, and is not loaded.
  absl::StatusOr<Loaded> Find(std::optional<int64_t> number) const;
  bool IsLoaded(int64_t number) const;
  /// Loaded versions, ascending.
  std::vector<int64_t> LoadedNumbers() const;
  /// How many requests were predicted at once, of each loaded version that gathers them.
  std::map<int64_t, prometheus::ClientMetric> BatchSizes() const;

 private:
  using Predictors = std::map<int64_t, Loaded>;

  ServedVersions(const Options& options, const DescribedModel& model, VersionStore& versions)
      : options_(options), model_(model), versions_(versions) {}
  absl::Status LoadRemembered();
  absl::Status Remember(const Predictors& loaded) const;
  absl::Status LoadKept(int64_t number, const std::string& digest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(loading_);
  /// Makes a replica have what its primary has of that number; what it had otherwise goes.
  absl::Status CopyFromPrimary(int64_t number, const std::string& digest,
                               const std::function<bool()>& cancelled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(loading_);
  Predictors loaded() const;

  const Options options_;
  const DescribedModel& model_;
  VersionStore& versions_;
  Mutex loading_;  ///< Held while versions are loaded, unloaded or deleted: one at a time.
  mutable Mutex mutex_;
  Predictors loaded_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
