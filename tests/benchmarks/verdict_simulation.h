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
  kErrors,        ///< 0 or 1 by example: one in ten flips, either way.
  /// An average precision: hits and false positives by score, so that before and after are no means
  /// over examples, and no two replicates err on the same objects.
  kAveragePrecision,
};

/// What is true of the candidate's own loss.
enum class CandidateTruth { kBetter, kAtMargin, kWorse };

/// A system of known truth: a candidate and descendants.
struct SimulatedSystem {
  std::string name;
  Noise noise = Noise::kNormal;
  int replicates = 5;
  int descendants = 1;
  CandidateTruth candidate = CandidateTruth::kBetter;
  double correlation = 0;  ///< Between descendants: of examples and of trainings.
  /// Standard deviation of what training adds to a difference, over that of the test mean.
  double training_noise = 1;
  /// Of what each training does to each example, likewise, of the mean over examples.
  double interaction = 0;
  /// By how much training varies more after the update than before; 1 where they are exchangeable.
  double noise_growth = 1;
  int cluster = 1;  ///< Examples that belong together, and share part of their noise.
  double cluster_correlation = 0;  ///< Which part.
  int bearing = 0;                 ///< The loss is a mean over this many examples; 0: over all.
  /// True differences: of the first descendant, and of the others; in margins, of two true standard
  /// errors. For kAveragePrecision 0, of a margin of `margin`.
  double first = 1, others = 1;
  /// By how much the first descendant is worse beyond that: in true standard errors of its
  /// difference; for kAveragePrecision by how much the models' skill falls.
  double harm = 0;
  double margin = 0;  ///< For kAveragePrecision, in points.
};

/// Draws the losses of one such system, resampled as the contract says (v1.Bootstrap).
class VerdictSimulation {
 public:
  /// @param examples   Of the test split.
  /// @param resamples  B.
  VerdictSimulation(int examples, int resamples);

  /// @param seed  Different seeds give independent systems.
  verdict::Evidence Draw(const SimulatedSystem& system, uint64_t seed) const;

  /// Loss of skill that costs so many points of expected average precision.
  double SkillForPoints(double points) const;

 private:
  void DrawMeans(const SimulatedSystem& system, uint64_t seed, verdict::Evidence& evidence) const;
  void DrawPrecisions(const SimulatedSystem& system, uint64_t seed,
                      verdict::Evidence& evidence) const;

  const int examples_;
  std::vector<std::vector<float>> weights_;   // [B][examples]: counts / examples.
  std::vector<std::vector<int32_t>> counts_;  // [B][examples].
};

}  // namespace backfire::benchmarks
