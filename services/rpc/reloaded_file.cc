#include "services/rpc/reloaded_file.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"

namespace backfire::runtime {

WatchedFile::Stamp WatchedFile::StampNow() const {
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size, found.st_ctim.tv_sec, found.st_ctim.tv_nsec};
}

absl::StatusOr<std::string> WatchedFile::Read() {
  stamp_ = StampNow();  // Before it is read: what is written meanwhile is seen the next time.
  struct stat found {};
  if (secret_ && ::stat(path_.c_str(), &found) == 0 && (found.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_.string(), ": others may read it or write to it: chmod 600"));
  }
  return ReadFile(path_);
}

bool WatchedFile::HasChanged() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_look_) return false;
  next_look_ = now + std::chrono::seconds(1);
  return !(StampNow() == stamp_);
}

absl::Status WatchedFile::At(const absl::Status& status) const {
  return Annotate(status, path_.string());
}

void WatchedFile::LogReloaded(const absl::Status& status) const {
  if (status.ok()) {
    spdlog::info("security state=RELOADED file={}", path_.string());
  } else {
    spdlog::error("security state=NOT_RELOADED file={} error=\"{}\"", path_.string(),
                  std::string(status.message()));
  }
}

}  // namespace backfire::runtime
