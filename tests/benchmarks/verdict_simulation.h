#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "orchestrator/verdict/verdict.h"
#include "services/base/mutex.h"
#include "services/base/random.h"
#include "services/metrics/bootstrap.h"

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
enum class CandidateTruth { kBetter, kNull, kAtMargin, kWorse };

/// A system of known truth: a candidate and descendants.
struct SimulatedSystem {
  std::string name;
  Noise noise = Noise::kNormal;
  int replicates = 5;
  int descendants = 1;
  CandidateTruth candidate = CandidateTruth::kBetter;
  double correlation = 0;  ///< Between descendants: of examples and of trainings.
  /// Standard deviation of what training adds to a difference, over that of the test mean; for
  /// kAveragePrecision in units of its own, of which TrainingPoints makes points.
  double training_noise = 1;
  /// Of what each training does to each example, likewise, of the mean over examples.
  double interaction = 0;
  /// By how much training varies more after the update than before; 1 where they are exchangeable.
  double noise_growth = 1;
  /// Which part of their noise examples of one cluster share.
  double cluster_correlation = 0;
  int bearing = 0;  ///< The loss is a mean over this many examples; 0: over all.
  /// In true standard errors of a difference; for kAveragePrecision in points.
  double margin = 2;
  /// True differences in margins: of the first descendant, and of the others.
  double first = 1, others = 1;
  /// By how much the first descendant is worse beyond that: in true standard errors of its
  /// difference; for kAveragePrecision in points.
  double harm = 0;
};

/// A test split.
struct SimulatedSplit {
  int examples = 200;
  int resamples = 400;  ///< B.
  /// Examples of the first cluster, and by which factor each cluster is larger than the one before;
  /// the last has what is left.
  int cluster = 1;
  double cluster_growth = 1;
  bool clusters_named = false;  ///< Whether resamples and verdicts know of them.
};

/// Draws the losses of such systems, resampled as the contract says (v1.Bootstrap).
class VerdictSimulation {
 public:
  explicit VerdictSimulation(const SimulatedSplit& split);

  /// @param seed  Different seeds give independent systems.
  verdict::Evidence Draw(const SimulatedSystem& system, uint64_t seed) const;
  /// Standard deviation of what training does to one model's average precision, in points: of
  /// kAveragePrecision.
  double TrainingPoints(const SimulatedSystem& system) const;

 private:
  void DrawMeans(const SimulatedSystem& system, uint64_t seed, verdict::Evidence& evidence) const;
  void DrawPrecisions(const SimulatedSystem& system, uint64_t seed,
                      verdict::Evidence& evidence) const;
  // Loss of skill that costs a point of expected average precision.
  double SkillOfPoint(const SimulatedSystem& system) const;
  // Objects of a test split, and how hard each is to find: the same for all models.
  std::vector<std::vector<double>> DrawDifficulties(double cluster_correlation,
                                                    Random& random) const;

  // What a verdict knows of a loss that these examples bear upon.
  verdict::SampleSize SizeOf(const std::vector<bool>& bears) const;

  const int examples_;
  std::vector<int> cluster_of_;  // By example, in order.
  metrics::Resampling resampling_;
  mutable Mutex mutex_;
  mutable std::map<double, double> skill_of_point_ ABSL_GUARDED_BY(mutex_);  // By correlation.
  std::vector<std::vector<float>> weights_;   // [B][examples]: counts / examples.
  std::vector<std::vector<int32_t>> counts_;  // [B][examples].
};

}  // namespace backfire::benchmarks
