#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "services/base/mutex.h"
#include "services/base/status.h"

namespace backfire::runtime {

/// A small file that is looked at again and again, once a second at most. One thread.
class WatchedFile {
 public:
  /// @param secret  Whether nobody but its owner may read or write it.
  WatchedFile(std::filesystem::path path, bool secret) : path_(std::move(path)), secret_(secret) {}

  /// Errors of ReadFile. FAILED_PRECONDITION: others than its owner may read a secret, or write to
  /// it.
  absl::StatusOr<std::string> Read();
  /// Whether it was written or replaced since it was read. False within a second of the last look.
  bool HasChanged();
  /// The status with the path, as all errors of what it says.
  absl::Status At(const absl::Status& status) const;
  /// Says in the log what became of reading it again.
  void LogReloaded(const absl::Status& status) const;

 private:
  /// Differs whenever the file was written or replaced.
  struct Stamp {
    ino_t inode = 0;
    off_t size = -1;
    int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const Stamp& other) const {
      return inode == other.inode && size == other.size && seconds == other.seconds &&
             nanoseconds == other.nanoseconds;
    }
  };
  Stamp StampNow() const;

  const std::filesystem::path path_;
  const bool secret_;
  Stamp stamp_;
  std::chrono::steady_clock::time_point next_look_;
};

/// What a small file says, read again when the file changes: it is looked at once a second at most.
/// A file that has become faulty, or has gone, leaves what it said before, with an error in the
/// log. Thread-safe.
template <typename T>
class ReloadedFile {
 public:
  using Parse = std::function<absl::StatusOr<T>(const std::string& text)>;

  /// Errors of WatchedFile::Read and of `parse`, with the path.
  static absl::StatusOr<std::unique_ptr<ReloadedFile>> Open(std::filesystem::path path, bool secret,
                                                            Parse parse) {
    std::unique_ptr<ReloadedFile> file(new ReloadedFile(std::move(path), secret, std::move(parse)));
    MutexLock lock(file->mutex_);
    BACKFIRE_RETURN_IF_ERROR(file->Load());
    return file;
  }

  /// As it is now. Never null.
  std::shared_ptr<const T> Get() {
    MutexLock lock(mutex_);
    if (file_.HasChanged()) file_.LogReloaded(Load());
    return content_;
  }

 private:
  ReloadedFile(std::filesystem::path path, bool secret, Parse parse)
      : parse_(std::move(parse)), file_(std::move(path), secret) {}

  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string text, file_.Read());
    absl::StatusOr<T> content = parse_(text);
    if (!content.ok()) return file_.At(content.status());
    content_ = std::make_shared<const T>(*std::move(content));
    return absl::OkStatus();
  }

  const Parse parse_;
  Mutex mutex_;
  WatchedFile file_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const T> content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
