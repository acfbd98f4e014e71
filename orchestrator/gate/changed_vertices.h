#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// The vertices whose `paths` a change touches, by git: the work tree against `revision`.
/// @param folder  The policy's, which the paths start from.
/// INVALID_ARGUMENT: no vertex has paths, or git refuses, whose own words are on standard error.
/// INTERNAL: git can't be run.
absl::StatusOr<std::vector<std::string>> ChangedVertices(const v1::GatePolicy& policy,
                                                         const std::string& folder,
                                                         const std::string& revision);

/// That of the touched vertices which all the others descend from. INVALID_ARGUMENT: there is none,
/// so that each is a change to judge by itself.
absl::StatusOr<std::string> CommonCandidate(const v1::GatePolicy& policy,
                                            const std::vector<std::string>& touched);

}  // namespace backfire::gate
