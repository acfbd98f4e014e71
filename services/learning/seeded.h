#pragma once

#include <torch/utils.h>

#include <cstdint>

#include "services/base/mutex.h"

namespace backfire::learning {

/// The lock of LibTorch's one generator, which modules are initialised from.
Mutex& GeneratorMutex();

/// Makes a network whose initial weights `make` draws from LibTorch's generator: a function of the
/// seed alone, whatever else this process makes meanwhile.
template <typename Make>
auto MakeSeeded(int64_t seed, Make&& make) {
  const MutexLock lock(GeneratorMutex());
  torch::manual_seed(static_cast<uint64_t>(seed));
  return make();
}

}  // namespace backfire::learning
