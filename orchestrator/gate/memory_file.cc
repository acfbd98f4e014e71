#include "orchestrator/gate/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {

absl::StatusOr<MemoryFile> MemoryFile::Make(const std::string& what, absl::string_view text) {
  const int descriptor = ::memfd_create("backfire", 0);
  const std::string where = absl::StrCat("memory for ", what);
  if (descriptor < 0) return ErrnoToStatus(errno, where);
  MemoryFile file(descriptor);
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoToStatus(errno, where);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return file;
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string MemoryFile::path() const { return absl::StrCat("/proc/self/fd/", descriptor_); }

}  // namespace backfire::gate
