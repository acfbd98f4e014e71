#include "orchestrator/planning/completion.h"

#include <utility>

#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/step_plan.h"
#include "services/base/status.h"

namespace backfire::planning {
namespace {

// Looks that were not taken leave steps that were not done.
bool IsDone(const records::Standing& standing, const std::string& id) {
  const auto entry = standing.Find(id);
  return entry.ok() && entry->step->state() == v1::Step::SUCCEEDED;
}

}  // namespace

absl::StatusOr<std::vector<v1::Step>> PlanCompletion(const records::Standing& standing,
                                                     const graph::SystemGraph& graph,
                                                     int replicates,
                                                     const std::set<std::string>& proposed,
                                                     const std::set<std::string>& committing) {
  std::vector<v1::Step> steps;
  for (v1::Step& step : PlanBaseline(graph, replicates, committing)) {
    if (step.kind() != v1::Step::LOAD && IsDone(standing, step.id())) continue;
    if (step.kind() == v1::Step::TRAIN && proposed.count(step.vertex()) > 0) {
      BACKFIRE_ASSIGN_OR_RETURN(*step.mutable_version(), VersionAsOf(standing, step.vertex(), 0));
      step.set_state(v1::Step::SUCCEEDED);
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace backfire::planning
