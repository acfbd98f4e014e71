#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/records/change.h"
#include "orchestrator/store/repository.h"

namespace backfire::commands {

/// Checks what of a proposal depends on nothing but itself. INVALID_ARGUMENT: request_id or looks.
absl::Status CheckProposal(const v1::ProposeUpdateRequest& request);

/// Number of the update that this proposal made before; unset: it is new. ALREADY_EXISTS: the
/// request_id names another proposal.
absl::StatusOr<std::optional<int64_t>> FindProposal(const store::Repository& history,
                                                    const v1::ProposeUpdateRequest& request);

/// Where the version that a proposal names is, and by what name there.
struct ProposedPlace {
  std::string endpoint;
  std::string version;
};
/// INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION: it can't be one of the vertex's versions.
absl::StatusOr<ProposedPlace> FindProposedPlace(const records::State& state,
                                                const v1::ProposeUpdateRequest& request);

/// Makes the update of a proposal, planned against the live release, with what it can show. Before
/// it, the update that trains the replicates that it needs and the live release lacks, if there are
/// any and none does so already.
/// @param proposed  The version that the request names, if it does; trained by `proposed.recipe`.
/// Returns the updates to add, the proposal's last.
absl::StatusOr<std::vector<UpdatePointer>> MakeProposal(const records::State& state,
                                                        const store::Repository& history,
                                                        const v1::ProposeUpdateRequest& request,
                                                        const v1::Version& proposed,
                                                        absl::Time now);

}  // namespace backfire::commands
