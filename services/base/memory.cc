#include "services/base/memory.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <unistd.h>

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "services/base/file.h"

namespace backfire {

int64_t MemoryLimit() {
  int64_t limit = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  // Of version 2, then 1; `max`, or a number beyond any machine's, where there is no limit.
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const absl::StatusOr<std::string> text = ReadFile(path);
    int64_t bytes = 0;
    if (text.ok() && absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &bytes) && bytes > 0) {
      limit = std::min(limit, bytes);
    }
  }
  return limit;
}

void KeepFreedMemory() {
#ifdef M_ARENA_MAX  // glibc's.
  // With an arena per thread, what one request's thread has freed the next one's can't take.
  mallopt(M_ARENA_MAX, 1);
  // The most that glibc takes. Larger blocks are mapped each on its own: as parts of the heap they
  // would leave gaps, and a network on whole images would need a third more.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}  // namespace backfire
