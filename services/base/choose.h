#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"

namespace backfire {

/// Draws `kept` of the numbers 0 to count - 1, each as likely as any other, without replacement;
/// ascending. All of them where there are no more, which draws nothing.
std::vector<int64_t> Choose(int64_t count, int64_t kept, Random& random);

}  // namespace backfire
