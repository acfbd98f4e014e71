#include "orchestrator/cli/proposal.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/cli/recipe_argument.h"
#include "services/base/status.h"

namespace backfire::cli {

absl::StatusOr<Proposal> ParseProposal(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--propose must be VERTEX=RECIPE or VERTEX=VERSION: got \"", text, "\""));
  }
  Proposal proposal;
  proposal.vertex = text.substr(0, equals);
  const std::string what = text.substr(equals + 1);
  const bool number =
      std::all_of(what.begin(), what.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  (number || absl::StrContains(what, '/') ? proposal.version : proposal.recipe) = what;
  return proposal;
}

absl::StatusOr<v1::Update> FindOrPropose(OrchestratorClient& orchestrator,
                                         const Proposal& proposal) {
  v1::ProposeUpdateRequest request;
  request.set_vertex(proposal.vertex);
  request.set_replicates(proposal.replicates);
  request.set_looks(proposal.looks);
  request.set_actor(proposal.actor);
  request.set_reason(proposal.reason);
  if (!proposal.version.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_version(),
                              orchestrator.ResolveVersion(proposal.vertex, proposal.version));
  } else {
    BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_recipe(),
                              MakeRecipe(proposal.recipe, proposal.parameters));
  }
  if (!proposal.request_id.empty()) {
    request.set_request_id(proposal.request_id);
    return orchestrator.Call(&v1::Orchestrator::Stub::ProposeUpdate, request, absl::Seconds(120));
  }
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto releases,
      orchestrator.Call(&v1::Orchestrator::Stub::ListReleases, v1::ListReleasesRequest()));
  std::string live;
  for (const v1::Release& release : releases.releases()) {
    if (release.state() == v1::Release::LIVE) live = release.name();
  }
  constexpr int kMostAttempts = 1000;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    request.set_request_id(ProposalId(
        proposal.vertex, request.recipe(), proposal.replicates, proposal.looks,
        request.version().empty() ? live : absl::StrCat(live, " ", request.version()), attempt));
    BACKFIRE_ASSIGN_OR_RETURN(
        v1::Update update,
        orchestrator.Call(&v1::Orchestrator::Stub::ProposeUpdate, request, absl::Seconds(120)));
    if (update.state() != v1::Update::CANCELLED && update.state() != v1::Update::REJECTED) {
      return update;
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("this was proposed and cancelled ", kMostAttempts, " times; see --request-id"));
}

}  // namespace backfire::cli
