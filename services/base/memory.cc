#include "services/base/memory.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <limits>

namespace backfire {

void KeepFreedMemory() {
#ifdef M_ARENA_MAX  // glibc's.
  // With an arena per thread, what one request's thread has freed the next one's can't take.
  mallopt(M_ARENA_MAX, 1);
  // Above 32 MiB, glibc maps each block on its own, whatever the threshold; so it may not at all.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}  // namespace backfire
