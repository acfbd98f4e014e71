#pragma once

#include <cstdint>
#include <functional>

namespace backfire {

/// Calls work(i) for every i in [0, count), on up to `threads` threads of which the caller's is
/// one. Which thread takes which i is open: `work` must not let its result depend on it, must be
/// safe to call at the same time for different i, and must not throw. Returns when all are done.
void ParallelFor(int64_t count, int threads, const std::function<void(int64_t)>& work);

}  // namespace backfire
