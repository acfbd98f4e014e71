#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/base/mutex.h"
#include "services/runtime/version_file.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {

/// DATA_LOSS: a version is another content than its caller expects by that name, and what to do.
/// @param expected  The digest that it should have; empty: any.
absl::Status CheckDigest(const v1::Version& version, const std::string& expected);

/// The versions of one model, on disk: `{directory}/{number}/version.json` and `weights.bin`
/// (version_file.h).
/// Immutable: a version is added whole or not at all, verified when read, and never changed; a
/// number is never used twice. Thread-safe; one process per directory.
class VersionStore {
 public:
  /// Opens or makes the directory. Removes what a crash left half-written. A version whose files
  /// are damaged doesn't stop the others: it answers DATA_LOSS when asked for, and one of a newer
  /// program FAILED_PRECONDITION. Versions of an older program, which have no checksums, are
  /// verified by their weights, once, and get them.
  static absl::StatusOr<std::unique_ptr<VersionStore>> Open(const std::filesystem::path& directory,
                                                            const std::string& model_name);

  /// Keeps a version. `version` has recipe, lineage, dataset, seed, build_fingerprint and
  /// input_key; name and digest are given here. Returns the version that exists if one has this
  /// input key. RESOURCE_EXHAUSTED: the disk is full.
  absl::StatusOr<v1::Version> Add(v1::Version version, const std::string& weights);

  /// Keeps another store's version under the number that it has there; one of that number that is
  /// kept already goes. DATA_LOSS: the weights do not match its digest.
  absl::Status AddCopy(const v1::Version& version, const std::string& weights);

  std::optional<v1::Version> FindByInputKey(const std::string& input_key) const;
  /// NOT_FOUND: no such number. DATA_LOSS: damaged.
  absl::StatusOr<v1::Version> Get(int64_t number) const;
  /// All that can be read, lowest number first.
  std::vector<v1::Version> List() const;
  /// Reads and verifies. DATA_LOSS: weights or input key do not match the digest.
  absl::StatusOr<std::string> ReadWeights(int64_t number) const;
  /// Deletes; what does not exist is fine.
  absl::Status Delete(int64_t number);

 private:
  VersionStore(std::filesystem::path directory, std::string model_name);
  absl::Status Scan();
  absl::Status Write(int64_t number, const v1::Version& version, const std::string& weights)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  absl::Status Erase(int64_t number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_)
      ABSL_LOCKS_EXCLUDED(mutex_);

  const std::filesystem::path directory_;
  const std::string model_name_;
  // Held by whoever writes or deletes files, for seconds where weights are large. Nobody who reads
  // waits for it.
  Mutex writing_ ABSL_ACQUIRED_BEFORE(mutex_);
  int64_t last_number_ ABSL_GUARDED_BY(writing_) = 0;
  mutable Mutex mutex_;
  std::map<int64_t, absl::StatusOr<v1::Version>> versions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
