#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/base/mutex.h"
#include "services/runtime/versions/described_model.h"
#include "services/runtime/versions/version_store.h"

namespace backfire::runtime {

/// Lets the weights of one model's versions in and out as files. Thread-safe.
class VersionExchange {
 public:
  /// Both are borrowed.
  VersionExchange(const DescribedModel& model, VersionStore& versions)
      : model_(model), versions_(versions) {}

  /// Finds faults of an import's description. INVALID_ARGUMENT.
  absl::Status Check(const v1::ImportVersionRequest& description) const;
  /// Makes a version of a file, or finds the one that has these weights. `description` is the first
  /// message of an import, its `data` aside. INVALID_ARGUMENT: the file does not fit the recipe.
  absl::StatusOr<v1::Version> Import(const v1::ImportVersionRequest& description,
                                     const std::string& file);
  /// A version's weights as a file for others. FAILED_PRECONDITION: it has none.
  absl::StatusOr<std::string> Export(int64_t number) const;
  /// The bytes that are kept, for a replica.
  absl::StatusOr<std::string> ExportAsStored(int64_t number) const;

 private:
  const DescribedModel& model_;
  VersionStore& versions_;
  Mutex importing_;  ///< Held while a file is converted: it takes memory.
};

}  // namespace backfire::runtime
