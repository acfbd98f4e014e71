#pragma once

#include <cmath>
#include <cstdint>

#include "absl/numeric/int128.h"

namespace backfire {

/// SplitMix64's output function (Steele, Lea, Flood, OOPSLA 2014): a bijection of 64-bit integers
/// whose values at consecutive arguments pass statistical tests.
inline uint64_t SplitMix64(uint64_t x) {
  uint64_t z = x + 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// floor(a * b / 2^64), exactly: maps random bits `a` to [0, b).
inline uint64_t MultiplyHigh(uint64_t a, uint64_t b) {
  return absl::Uint128High64(absl::uint128(a) * b);
}

/// A random sequence that depends on its key and nothing else: not on the standard library, the
/// machine or the thread. One thread.
class Random {
 public:
  /// Sequences of different (seed, stream) are independent for every practical purpose.
  explicit Random(uint64_t seed, uint64_t stream = 0)
      : key_(SplitMix64(SplitMix64(seed) + stream)) {}

  uint64_t Bits() { return SplitMix64(key_ + counter_++); }
  /// Uniform in [0, 1).
  double Uniform() { return static_cast<double>(Bits() >> 11) * 0x1p-53; }
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  /// Uniform in [0, bound); bound > 0.
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(MultiplyHigh(Bits(), static_cast<uint64_t>(bound)));
  }
  /// Standard normal, by the Box-Muller transform.
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
    return radius * std::cos(6.283185307179586476925 * Uniform());
  }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace backfire
