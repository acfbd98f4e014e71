#include "services/base/choose.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace backfire {

std::vector<int64_t> Choose(int64_t count, int64_t kept, Random& random) {
  std::vector<int64_t> chosen(static_cast<size_t>(count));
  std::iota(chosen.begin(), chosen.end(), 0);
  if (kept >= count) return chosen;
  for (int64_t i = 0; i < kept; ++i) {
    std::swap(chosen[static_cast<size_t>(i)],
              chosen[static_cast<size_t>(i + random.Below(count - i))]);
  }
  chosen.resize(static_cast<size_t>(kept));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace backfire
