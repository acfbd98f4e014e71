#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/study/study.pb.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::study {

/// The updates that the study judges, by the paper's letters (section 4): u' replaces u, and y, of
/// the recipe `oracle`, is the ground truth. So are a piece's files called, with `.jsonl`.
inline constexpr char kImproved[] = "improved", kOracle[] = "oracle";

/// Puts the evidence of single replicates together: replicate i is that of part i.
/// INVALID_ARGUMENT: the parts compare different losses, by other margins, on another dataset, or
/// with other resamples.
/// @param parts  At least one, each of one replicate.
absl::StatusOr<verdict::Evidence> MergeReplicates(const std::vector<verdict::Evidence>& parts);

/// How many pieces would find a true harm beyond a loss's margin with a chance of verdict::kPower;
/// -1: more than 1000, as the test examples' own noise hides it. The noise is that of a comparison,
/// so an estimate; the degrees of freedom are Satterthwaite's (1946), for planning alone.
/// @param one     Of `pieces` >= 2 replicates.
/// @param harm    In the loss's unit, more than its margin.
/// @param level   Of its test, after the family's correction.
int PiecesToFind(const v1::LossComparison& one, int pieces, double harm, double level);

/// Reads what pieces left in a folder, and judges it: a verdict over the primary losses
/// (docs/results/plan.md), the others shown beside it; losses of 11 recall points by the pieces
/// that have them, the others by all. A piece that is not complete is left out and named in
/// `left_out`. NOT_FOUND: no complete piece. INVALID_ARGUMENT: what is no evidence, or of another
/// plan, with file and line.
absl::StatusOr<StereoStudy> ReadStereoStudy(const std::filesystem::path& evidence);

}  // namespace backfire::study
