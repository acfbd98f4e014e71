#pragma once

#include <string>

namespace backfire::runtime {

/// Digest of the sources, flags and headers that a service's model is computed with, comments left
/// out. Made when the service is built: cmake/Fingerprint.cmake.
extern const char kComputationDigest[];

/// What of this program decides its numbers: kComputationDigest, and the build ids of the shared
/// libraries in this process that compute (LibTorch, BLAS, oneDNN, OpenCV, the mathematical
/// library ...). Programs of equal fingerprints give equal numbers on one processor; neither RPC
/// code, nor comments, nor an update of a library that computes nothing changes it.
std::string BuildFingerprint();

}  // namespace backfire::runtime
