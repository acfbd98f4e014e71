#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/verdict/statistics.h"

namespace backfire::verdict {

/// Fewer replicates are a first look, which decides nothing.
inline constexpr int kReplicatesToDecide = 5;

/// One loss of one vertex, before and after an update; a member per replicate.
struct LossEvidence {
  std::string vertex;
  std::string loss;
  std::string slice;  ///< Empty: all examples; else a slice that the system requires.
  std::string unit;
  bool candidate = false;        ///< Of the vertex that the update changes.
  bool judged = true;            ///< False for transforms: shown, never decisive.
  std::optional<double> margin;  ///< How much it may grow; default: 1 for percent, else 1 %.
  std::vector<LossSample> before;
  std::vector<LossSample> after;
  std::vector<double> swapped;  ///< Without retraining; empty for the candidate.
  /// Whether the service was another build when it made what came before: the difference may be
  /// the build's.
  bool other_build = false;
};

/// All that a verdict depends on.
struct Evidence {
  double alpha = 0.05;  ///< Of all planned looks together.
  /// Which look this is, of how many that were planned before the first: alpha is split between
  /// them (Bonferroni), so that looking again costs no more false alarms than were accepted.
  int look = 1, planned_looks = 1;
  int64_t examples = 0;       ///< Of the test split.
  int candidates_judged = 1;  ///< Updates that this test split has judged, this one included.
  std::vector<LossEvidence> losses;
};

/// Mean of the replicates' losses; at least one.
double MeanLoss(const std::vector<LossSample>& replicates);

/// How much the loss may grow and still count as no worse: as the system says, else 1 where the
/// unit is percent, else 1 % of the mean before.
double EffectiveMargin(const LossEvidence& loss);

/// Decides, by the rules of ARCHITECTURE.md, section "The verdict".
/// @param evidence  Equally many replicates, at least one, of every loss.
v1::Verdict Decide(const Evidence& evidence);

}  // namespace backfire::verdict
