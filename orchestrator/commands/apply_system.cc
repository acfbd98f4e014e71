#include "orchestrator/commands/apply_system.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/commands/request_log.h"
#include "orchestrator/commands/system_revision.h"
#include "orchestrator/planning/commit_steps.h"
#include "orchestrator/planning/new_update.h"
#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "services/base/status.h"

namespace backfire::commands {
namespace {

absl::Status CheckNoOpenUpdate(const records::State& state, const std::string& before) {
  for (const auto& [number, update] : state.updates) {
    if (!records::IsOpen(update->update())) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(records::UpdateName(number), " of the current system is still ",
                     v1::Update::State_Name(update->update().state()),
                     "; wait for its end, or cancel it, before ", before));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AppliedSystem> ApplySystem(const records::State& state,
                                          const store::Repository& history,
                                          const v1::ApplySystemRequest& request,
                                          const graph::SystemGraph& graph,
                                          const std::map<std::string, v1::Model>& models,
                                          absl::Time now) {
  AppliedSystem applied;
  v1::ApplySystemResponse& response = applied.response;
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known,
                            FindDone(history, request.request_id(), request));
  if (!known.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t revision, records::ParseNumber(known, "revisions"));
    BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* made, state.FindSystem(revision));
    *response.mutable_system() = made->system();
    response.set_revision(revision);
    response.set_update(records::UpdateName(made->baseline_update));
    return applied;
  }
  *response.mutable_system() = graph.system();
  const auto system = std::make_shared<records::SystemRevision>();
  system->revision = 1;
  system->graph = graph;
  system->models = models;
  const records::SystemRevision* current = state.current_system();
  const bool is_same = current != nullptr &&
                       SameExperiment(current->system(), current->models, graph.system(), models);
  if (is_same) {
    if (!SameRules(current->system(), graph.system())) {
      BACKFIRE_RETURN_IF_ERROR(
          CheckNoOpenUpdate(state, "alpha, margins or required_slices change"));
    }
    system->revision = current->revision;
    system->baseline_update = current->baseline_update;
    system->seed_rule = current->seed_rule;
  } else {
    if (current != nullptr) {
      BACKFIRE_RETURN_IF_ERROR(CheckNoOpenUpdate(state, "another system is applied"));
      system->revision = current->revision + 1;
      // What this revision has in common with the one before need not be trained again.
      if (graph.system().seed() == current->system().seed()) system->seed_rule = current->seed_rule;
    }
    records::UpdateRecord baseline =
        planning::NewUpdate(state,
                            planning::PlanBaseline(graph, graph.system().replicates(),
                                                   planning::CommittingVertices(models)),
                            now);
    baseline.update.set_baseline(true);
    baseline.update.set_actor(request.actor());
    baseline.update.set_system_revision(system->revision);
    baseline.update.set_replicates(graph.system().replicates());
    system->baseline_update = baseline.number;
    applied.change.added.push_back(
        planning::OpenUpdate(std::move(baseline), graph, /*base=*/nullptr));
  }
  response.set_revision(system->revision);
  response.set_update(records::UpdateName(system->baseline_update));
  NoteDone(request.request_id(), request, absl::StrCat("revisions/", system->revision),
           applied.change);
  applied.change.system = system;
  applied.change.actor = request.actor();
  return applied;
}

}  // namespace backfire::commands
