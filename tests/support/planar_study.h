#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/diagnosis/diagnosis.h"
#include "orchestrator/verdict/verdict.h"
#include "services/planar/rehearsal.h"

namespace backfire::testing {

/// What a proposal of a planar system comes to.
struct StudyOutcome {
  v1::Verdict verdict;
  std::vector<v1::VertexDiagnosis> diagnoses;
};

/// A system file of the source tree, by its name: `figure2`. Its text, with one occurrence of
/// `from` replaced by `to` where `from` is not empty. Dies if it can't be read.
v1::System PlanarSystem(const std::string& name, const std::string& from = "",
                        const std::string& to = "");

/// Does for a proposal what a mesh does, in this process and without a server: trains, evaluates,
/// decides and diagnoses.
/// @param seed  Added to the system's training seed, and to the seed of its dataset's samples.
absl::StatusOr<StudyOutcome> RunProposal(v1::System system, int proposal, int64_t seed,
                                         bool diagnose = true);

/// True losses of a vertex and of its references, on these versions of its parents.
absl::StatusOr<diagnosis::TrueLosses> TrueLossesOf(planar::Rehearsal& rehearsal,
                                                   const std::string& vertex,
                                                   const planar::Rehearsal::Versions& versions);

}  // namespace backfire::testing
