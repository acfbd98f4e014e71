#include "services/rpc/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::runtime {

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(
    const std::filesystem::path& path) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(path));
  const std::filesystem::path lock = path / "lock";
  const int descriptor = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrnoToStatus(errno, absl::StrCat("open ", lock.string()));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(descriptor);
    if (error != EWOULDBLOCK) return ErrnoToStatus(error, absl::StrCat("lock ", lock.string()));
    return absl::FailedPreconditionError(
        absl::StrCat("another process uses the data directory ", path.string()));
  }
  return std::unique_ptr<DataDirectory>(new DataDirectory(path, descriptor));
}

DataDirectory::DataDirectory(std::filesystem::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

DataDirectory::~DataDirectory() { ::close(descriptor_); }

}  // namespace backfire::runtime
