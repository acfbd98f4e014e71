#include "services/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"

namespace backfire {
namespace {

absl::Status TooLarge(const std::filesystem::path& path, int64_t most) {
  return absl::InvalidArgumentError(absl::StrCat(path.string(), " has more than ", most, " bytes"));
}

// What a path that somebody else named is at fault for is no fault of this program's.
absl::Status Failed(int error, const char* what, const std::filesystem::path& path) {
  const absl::Status status = ErrnoToStatus(error, absl::StrCat(what, " ", path.string()));
  switch (error) {
    case ENOTDIR:
      return absl::NotFoundError(status.message());
    case ENAMETOOLONG:
    case ELOOP:
    case ENXIO:   // A socket.
    case EAGAIN:  // A file of the system's that has no end.
      return absl::InvalidArgumentError(status.message());
    default:
      return status;
  }
}

absl::StatusOr<std::string> ReadOpened(int descriptor, const std::filesystem::path& path,
                                       int64_t most) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("stat ", path.string()));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " is not a regular file"));
  }
  if (status.st_size > most) return TooLarge(path, most);
  std::string content, buffer(1 << 16, '\0');
  content.reserve(static_cast<size_t>(status.st_size));
  while (true) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count == 0) return content;
    if (count < 0) {
      if (errno == EINTR) continue;
      return Failed(errno, "read", path);
    }
    content.append(buffer.data(), static_cast<size_t>(count));
    // It may have grown, and some of the system's files tell no size.
    if (static_cast<int64_t>(content.size()) > most) return TooLarge(path, most);
  }
}

}  // namespace

absl::StatusOr<std::string> ReadRegularFile(const std::filesystem::path& path, int64_t most) {
  // Opening a pipe would wait for its writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return Failed(errno, "open", path);
  absl::StatusOr<std::string> content = ReadOpened(descriptor, path, most);
  ::close(descriptor);
  return content;
}

}  // namespace backfire
