#include "services/rpc/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

constexpr mode_t kOwnerAlone = 0700;

std::filesystem::path RunDirectory(const std::filesystem::path& data_directory) {
  return std::filesystem::absolute(data_directory) / "run";
}

}  // namespace

std::string RunSocket(const std::filesystem::path& data_directory, const std::string& name) {
  return absl::StrCat("unix:", (RunDirectory(data_directory) / name).string());
}

absl::Status MakeRunDirectory(const std::filesystem::path& data_directory) {
  std::error_code error;
  const bool is_new = !std::filesystem::exists(data_directory, error);
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(data_directory));
  if (is_new) {  // Whatever the umask.
    std::filesystem::permissions(data_directory, std::filesystem::perms::others_write,
                                 std::filesystem::perm_options::remove, error);
  }
  const std::string path = RunDirectory(data_directory).string();
  struct stat above {};
  if (::stat(data_directory.c_str(), &above) != 0) {
    return ErrnoToStatus(errno, data_directory.string());
  }
  if ((above.st_mode & S_IWOTH) != 0 && (above.st_mode & S_ISVTX) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(data_directory.string(),
                     ": everybody may write to it, and so stand in for the mesh: chmod o-w"));
  }
  if (::mkdir(path.c_str(), kOwnerAlone) != 0 && errno != EEXIST) return ErrnoToStatus(errno, path);
  // What is looked at is what is changed: a link, or what takes its place meanwhile, is refused.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const absl::Cleanup close = [descriptor] {
    if (descriptor >= 0) ::close(descriptor);
  };
  struct stat found {};
  if (descriptor < 0 && errno != ENOTDIR && errno != ELOOP && errno != EACCES) {
    return ErrnoToStatus(errno, path);
  }
  if (descriptor < 0 || ::fstat(descriptor, &found) != 0 || found.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": must be a folder of this user's own, for the mesh's sockets"));
  }
  if ((found.st_mode & 07777) != kOwnerAlone && ::fchmod(descriptor, kOwnerAlone) != 0) {
    return ErrnoToStatus(errno, path);
  }
  return absl::OkStatus();
}

}  // namespace backfire::runtime
