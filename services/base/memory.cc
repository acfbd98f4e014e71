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
  // The most that glibc takes. Larger blocks are mapped each on its own: as parts of the heap they
  // would leave gaps, and a network on whole images would need a third more.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}  // namespace backfire
