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
  SampleSize size;               ///< What each of its values was measured on.
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
  /// Which look this is, of those that were planned before the first.
  int look = 1;
  /// Replicates that each planned look has, growing; the present look's are as many as the losses
  /// have. Alpha is spent as information comes in, so that looking again costs no more false alarms
  /// than were accepted. Empty: one look.
  std::vector<int> look_replicates;
  int candidates_judged = 1;  ///< Updates that this test split has judged, this one included.
  std::vector<LossEvidence> losses;
  // No outcome depends on the following: it is said.
  /// What parents' outputs were that the losses were computed on.
  std::vector<v1::OutputsCommitment> commitments;
  /// Vertices whose services neither commit to their outputs nor hold their parents to theirs.
  std::vector<std::string> unverified_vertices;
};

/// Mean of the replicates' losses; at least one.
double MeanLoss(const std::vector<LossSample>& replicates);

/// How much the loss may grow and still count as no worse: as the system says, else 1 where the
/// unit is percent, else 1 % of the mean before.
double EffectiveMargin(const LossEvidence& loss);

/// Decides, by the rules of docs/statistics.md.
/// @param evidence  Equally many replicates, at least one, of every loss.
v1::Verdict Decide(const Evidence& evidence);

/// Whether a judged loss of the candidate or of a descendant is worse beyond its margin, and the
/// verdict no first look: what a CI job must not let pass, whatever the outcome is called.
bool Blocks(const v1::Verdict& verdict);

}  // namespace backfire::verdict
