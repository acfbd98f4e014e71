#include "services/rpc/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace backfire::runtime {
namespace {

// Some programs loop over all descriptors that there may be.
constexpr rlim_t kMostUseful = 65'536;

}  // namespace

int64_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t wanted = std::max(limit.rlim_cur, std::min(limit.rlim_max, kMostUseful));
  if (wanted > limit.rlim_cur) {
    const rlimit raised{wanted, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT32_MAX));
}

int64_t HighestConnection(int64_t limit) { return limit - std::max<int64_t>(limit / 4, 32) - 1; }

}  // namespace backfire::runtime
