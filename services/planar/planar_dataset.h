#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/mutex.h"
#include "services/planar/data.pb.h"
#include "services/planar/distribution.h"
#include "services/planar/population.h"
#include "services/runtime/dataset.h"
#include "services/runtime/dataset_access.h"

namespace backfire::planar {

/// Reads the text after `planar:` of a dataset's URI. INVALID_ARGUMENT: not such a URI, or a fault
/// of the description, with its line.
absl::StatusOr<Data> ParseData(const std::string& uri);

/// Samples of a distribution over the plane, and the distribution itself. Requests carry `point`,
/// FP64 [2].
class PlanarDataset : public runtime::Dataset {
 public:
  /// An example with its labels as observed: some may be noise.
  using Example = Distribution::Draw;

  /// Errors as ParseData and Distribution::Build. CANCELLED: as `access` says.
  static absl::StatusOr<std::shared_ptr<const PlanarDataset>> Open(
      const std::string& uri, const runtime::DatasetAccess& access);

  const std::string& uri() const override { return uri_; }
  const std::string& digest() const override { return digest_; }
  bool Has(runtime::Split) const override { return true; }
  int64_t size(runtime::Split split) const override;
  std::string ExampleId(runtime::Split split, int64_t example) const override;
  /// Points are drawn by themselves.
  std::string Cluster(runtime::Split split, int64_t example) const override {
    return ExampleId(split, example);
  }
  absl::StatusOr<runtime::TensorMap> RequestInputs(
      runtime::Split split, int64_t example, const std::vector<std::string>& names) const override;

  const Data& data() const { return data_; }
  const Distribution& distribution() const { return distribution_; }
  const Population& population() const { return *population_; }
  /// Of a split other than `population`.
  const std::vector<Example>& examples(runtime::Split split) const {
    return examples_[static_cast<size_t>(split)];
  }

 private:
  PlanarDataset(std::string uri, Data data, Distribution distribution);
  // Integrates the distribution, and draws from it.
  absl::Status Fill(const runtime::DatasetAccess& access);

  const std::string uri_;
  const Data data_;
  const Distribution distribution_;
  std::unique_ptr<const Population> population_;
  std::string digest_;
  std::vector<Example> examples_[3];
};

/// Opens a dataset, and keeps the last one: building a mesh takes a moment. Thread-safe; who opens
/// one waits for nobody who opens another.
class DatasetCache {
 public:
  absl::StatusOr<std::shared_ptr<const PlanarDataset>> Open(const std::string& uri,
                                                            const runtime::DatasetAccess& access);

 private:
  Mutex mutex_;
  std::shared_ptr<const PlanarDataset> last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::planar
