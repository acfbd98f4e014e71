#pragma once

#include <string>

namespace backfire::learning {

/// LibTorch's version and what its CPU kernels are chosen by: equal fingerprints on a CPU give
/// equal numbers.
std::string NumericFingerprint();

}  // namespace backfire::learning
