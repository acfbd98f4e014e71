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

/// Reads what pieces left in a folder, and judges it: a verdict over the primary losses
/// (docs/results/plan.md), the others shown beside it. A piece that is not complete is left out and
/// named in `left_out`.
/// NOT_FOUND: no complete piece. INVALID_ARGUMENT: what is no evidence, or of another plan, with
/// file and line.
absl::StatusOr<StereoStudy> ReadStereoStudy(const std::filesystem::path& evidence);

}  // namespace backfire::study
