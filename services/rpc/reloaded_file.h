#pragma once

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/status.h"

namespace backfire::runtime {

/// What a small file says, read again when the file changes: it is looked at once a second at most.
/// A file that has become faulty, or has gone, leaves what it said before, with an error in the
/// log. Thread-safe.
template <typename T>
class ReloadedFile {
 public:
  using Parse = std::function<absl::StatusOr<T>(const std::string& text)>;

  /// Errors of ReadFile and of `parse`, with the path. FAILED_PRECONDITION: others than its owner
  /// may read a `secret`, or write to it.
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
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return content_;
    next_look_ = now + std::chrono::seconds(1);
    if (Stamp() == stamp_) return content_;
    if (const absl::Status status = Load(); !status.ok()) {
      spdlog::error("security state=NOT_RELOADED file={} error=\"{}\"", path_.string(),
                    std::string(status.message()));
    } else {
      spdlog::info("security state=RELOADED file={}", path_.string());
    }
    return content_;
  }

 private:
  /// Differs whenever the file was written or replaced.
  struct FileStamp {
    ino_t inode = 0;
    off_t size = -1;
    int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const FileStamp& other) const {
      return inode == other.inode && size == other.size && seconds == other.seconds &&
             nanoseconds == other.nanoseconds;
    }
  };

  ReloadedFile(std::filesystem::path path, bool secret, Parse parse)
      : path_(std::move(path)), secret_(secret), parse_(std::move(parse)) {}

  FileStamp Stamp() const {
    struct stat found {};
    if (::stat(path_.c_str(), &found) != 0) return {};
    return {found.st_ino, found.st_size, found.st_ctim.tv_sec, found.st_ctim.tv_nsec};
  }

  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    stamp_ = Stamp();  // Before it is read: what is written meanwhile is seen the next time.
    struct stat found {};
    if (secret_ && ::stat(path_.c_str(), &found) == 0 &&
        (found.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_.string(), ": others may read it or write to it: chmod 600"));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path_));
    absl::StatusOr<T> content = parse_(text);
    if (!content.ok()) return Annotate(content.status(), path_.string());
    content_ = std::make_shared<const T>(*std::move(content));
    return absl::OkStatus();
  }

  const std::filesystem::path path_;
  const bool secret_;
  const Parse parse_;
  Mutex mutex_;
  FileStamp stamp_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point next_look_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const T> content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::runtime
