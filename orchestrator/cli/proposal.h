#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/cli/orchestrator_client.h"

namespace backfire::cli {

/// What a person proposes: a recipe or a version for a vertex.
struct Proposal {
  std::string vertex;
  std::string recipe;
  std::string version;  ///< Instead of a recipe: one that exists, as people name it.
  std::vector<std::string> parameters;  ///< Of the recipe: NAME=VALUE.
  int replicates = 0;                   ///< 0: as many as the system has.
  int looks = 1;
  std::string request_id;  ///< Empty: a digest of what is proposed.
  std::string actor;       ///< Who asks.
  std::string reason;      ///< Why; may be empty.
};

/// Reads `VERTEX=RECIPE` or `VERTEX=VERSION`: what is a number or has a slash in it is a version.
/// INVALID_ARGUMENT: neither.
absl::StatusOr<Proposal> ParseProposal(const std::string& text);

/// Proposes, or finds what was proposed before; a proposal whose predecessor came to nothing is
/// new. Errors as the orchestrator's ProposeUpdate.
absl::StatusOr<v1::Update> FindOrPropose(OrchestratorClient& orchestrator,
                                         const Proposal& proposal);

}  // namespace backfire::cli
