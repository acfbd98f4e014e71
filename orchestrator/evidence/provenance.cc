#include "orchestrator/evidence/provenance.h"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "orchestrator/planning/commit_steps.h"
#include "orchestrator/planning/plan.h"
#include "services/base/status.h"

namespace backfire::evidence {
namespace {

std::set<std::string> Touched(const Comparison& comparison) {
  return planning::TouchedVertices(comparison.system.graph, comparison.update);
}

}  // namespace

absl::StatusOr<std::vector<v1::OutputsCommitment>> CollectCommitments(
    const Comparison& comparison, const records::OpenUpdate& update) {
  std::map<std::tuple<std::string, std::string, std::string>, v1::OutputsCommitment> found;
  const auto collect = [&](const v1::Step& step) {
    for (const v1::OutputsCommitment& commitment : step.evaluation().commitments()) {
      found[{commitment.version(), commitment.split(), commitment.outputs_digest()}] = commitment;
    }
  };
  for (const std::string& vertex : Touched(comparison)) {
    for (int k = 0; k < comparison.update.replicates(); ++k) {
      const std::string id = planning::StepId(v1::Step::EVALUATE, vertex, k);
      BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry before, comparison.base.Find(id));
      BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry after, update.Find(id));
      collect(*before.step);
      collect(*after.step);
      const auto swapped =
          update.plan().by_id.find(planning::StepId(v1::Step::EVALUATE_SWAPPED, vertex, k));
      if (swapped != update.plan().by_id.end()) collect(update.step(swapped->second).step);
    }
  }
  std::vector<v1::OutputsCommitment> commitments;
  for (auto& [key, commitment] : found) commitments.push_back(std::move(commitment));
  return commitments;
}

std::vector<std::string> UnverifiedVertices(const Comparison& comparison) {
  const graph::SystemGraph& graph = comparison.system.graph;
  std::set<std::string> fed_or_feeding;
  for (const std::string& vertex : Touched(comparison)) {
    const std::set<std::string>& parents = graph.node(vertex).parents;
    if (!parents.empty()) fed_or_feeding.insert(vertex);
    fed_or_feeding.insert(parents.begin(), parents.end());
  }
  std::vector<std::string> unverified;
  for (const std::string& vertex : fed_or_feeding) {
    if (!planning::CommitsOutputs(comparison.system.models.at(vertex))) {
      unverified.push_back(vertex);
    }
  }
  return unverified;
}

}  // namespace backfire::evidence
