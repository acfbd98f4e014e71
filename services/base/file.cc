#include "services/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire {

absl::Status ErrnoToStatus(int error_number, std::string_view what) {
  const std::string message = absl::StrCat(std::string(what), ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoToStatus(errno, absl::StrCat("open ", path.string()));
  std::string content;
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && status.st_size > 0) {
    content.reserve(static_cast<size_t>(status.st_size));
  }
  std::string buffer(1 << 16, '\0');
  while (true) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count == 0) break;
    if (count < 0) {
      if (errno == EINTR) continue;
      const absl::Status failed = ErrnoToStatus(errno, absl::StrCat("read ", path.string()));
      ::close(descriptor);
      return failed;
    }
    content.append(buffer.data(), static_cast<size_t>(count));
  }
  ::close(descriptor);
  return content;
}

absl::Status SyncDirectory(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoToStatus(errno, absl::StrCat("open ", path.string()));
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (result != 0) return ErrnoToStatus(error, absl::StrCat("fsync ", path.string()));
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("create ", path.string()));
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path directory =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory));
  static std::atomic<int64_t> counter{0};
  const std::filesystem::path temporary =
      absl::StrCat(path.string(), ".tmp.", ::getpid(), ".", counter++);
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrnoToStatus(errno, absl::StrCat("create ", temporary.string()));
  const auto fail = [&](std::string_view what) {
    const absl::Status failed =
        ErrnoToStatus(errno, absl::StrCat(std::string(what), " ", path.string()));
    ::close(descriptor);
    ::unlink(temporary.c_str());
    return failed;
  };
  while (!content.empty()) {
    const ssize_t count = ::write(descriptor, content.data(), content.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail("write");
    }
    content.remove_prefix(static_cast<size_t>(count));
  }
  if (::fsync(descriptor) != 0) return fail("fsync");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail("rename");
  ::close(descriptor);
  return SyncDirectory(directory);
}

}  // namespace backfire
