#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/mutex.h"
#include "services/runtime/dataset.h"
#include "services/runtime/outputs/example_file.h"

namespace backfire::runtime {

/// What a version gives for a split: whose outputs, on what.
struct OutputKey {
  /// Who keeps them. A process may host a child and its parent: the child's copy waits for the
  /// parent's production, so they are two files.
  enum class Keeper { kProducer, kChild };
  Keeper keeper = Keeper::kProducer;
  std::string version_digest;
  std::string dataset_digest;
  Split split = Split::kTest;
};

/// How often outputs were there already, and how often not.
struct OutputTally {
  int reused = 0;
  int produced = 0;
  double saved_seconds = 0;  ///< What producing the reused ones had taken.
};

/// Keeps outputs of versions on disk, each produced once: a producer's own, and a child's copies of
/// its parents'. Bounded: past `max_bytes` the files unused for longest go; one that is read then
/// stays readable, and one that was just produced is never the victim. A kill leaves whole files
/// only. Thread-safe; one process per directory.
class OutputStore {
 public:
  using Produce = std::function<absl::Status(ExampleFileWriter&)>;

  static absl::StatusOr<std::unique_ptr<OutputStore>> Open(const std::filesystem::path& directory,
                                                           int64_t max_bytes);

  /// Returns the outputs of `key`, calling `produce` if no file has them. Of several callers one
  /// produces and the others wait. A file that does not match its digest is produced anew.
  /// CANCELLED: `cancelled` said so while waiting. Errors of `produce` as they are.
  /// @param tally  Counts it, if not null.
  absl::StatusOr<std::shared_ptr<const Examples>> Get(const OutputKey& key, const Produce& produce,
                                                      const std::function<bool()>& cancelled,
                                                      OutputTally* tally = nullptr);

  /// How often Get found outputs or had them produced, since the start; and what all take on disk.
  struct Usage {
    int64_t reused = 0;
    int64_t produced = 0;
    int64_t bytes = 0;
  };
  Usage usage() const;

 private:
  OutputStore(std::filesystem::path directory, int64_t max_bytes);
  // Deletes what has been unused for longest, but for what is in production. Looks at every file.
  void EvictUnused();

  const std::filesystem::path directory_;
  const int64_t max_bytes_;
  mutable Mutex mutex_;
  CondVar changed_;
  // Of all files, or more: what replaced a file counts twice until they are looked at.
  int64_t total_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t reused_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t produced_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::string> in_production_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::weak_ptr<const Examples>> open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
