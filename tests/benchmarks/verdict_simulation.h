#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "orchestrator/verdict/verdict.h"

namespace backfire::benchmarks {

/// How losses vary, over test examples and over trainings.
enum class Noise {
  kNormal,
  kSkewed,        ///< Exponential of a standard normal: a few examples get much worse.
  kSkewedBetter,  ///< Its negative: a few examples get much better, most a little worse.
  kHeavy,         ///< Student's t with 3 degrees of freedom.
  /// An average precision: hits and false positives by score, so that before and after are no means
  /// over examples, and no two replicates err on the same objects.
  kAveragePrecision,
};

/// A system of known truth: a candidate that is better for certain, and descendants of which none,
/// or the first one, is worse.
struct SimulatedSystem {
  std::string name;
  Noise noise = Noise::kNormal;
  int replicates = 5;
  int descendants = 1;
  double correlation = 0;  ///< Between descendants: of examples and of trainings.
  /// Standard deviation of what training adds to a difference, over that of the test mean.
  double training_noise = 1;
  /// By how much training varies more after the update than before; 1 where they are exchangeable.
  double noise_growth = 1;
  /// By how much the first descendant is worse: in true standard errors of its difference, or in
  /// points of expected recall for kAveragePrecision.
  double harm = 0;
};

/// Draws the losses of one such system, resampled as the contract says (v1.Bootstrap).
class VerdictSimulation {
 public:
  /// @param examples   Of the test split.
  /// @param resamples  B.
  VerdictSimulation(int examples, int resamples);

  /// @param seed  Different seeds give independent systems.
  verdict::Evidence Draw(const SimulatedSystem& system, uint64_t seed) const;

 private:
  void DrawMeans(const SimulatedSystem& system, uint64_t seed, verdict::Evidence& evidence) const;
  void DrawPrecisions(const SimulatedSystem& system, uint64_t seed,
                      verdict::Evidence& evidence) const;

  const int examples_;
  std::vector<std::vector<float>> weights_;   // [B][examples]: counts / examples.
  std::vector<std::vector<int32_t>> counts_;  // [B][examples].
};

}  // namespace backfire::benchmarks
