#include "services/learning/memory.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <limits>

namespace backfire::learning {

void KeepFreedMemory() {
#ifdef M_MMAP_MAX  // glibc's.
  static const bool done = [] {
    // Above 32 MiB, glibc maps each block on its own, whatever the threshold; so it may not at all.
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
    return true;
  }();
  (void)done;
#endif
}

}  // namespace backfire::learning
