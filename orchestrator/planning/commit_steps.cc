#include "orchestrator/planning/commit_steps.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/planning/reference_steps.h"

namespace backfire::planning {
namespace {

constexpr char kTrain[] = "train", kTest[] = "test", kPopulation[] = "population";

}  // namespace

bool CommitsOutputs(const v1::Model& model) {
  const auto& capabilities = model.capabilities();
  return std::count(capabilities.begin(), capabilities.end(), v1::COMMIT_OUTPUTS) > 0;
}

std::set<std::string> CommittingVertices(const std::map<std::string, v1::Model>& models) {
  std::set<std::string> committing;
  for (const auto& [vertex, model] : models) {
    if (CommitsOutputs(model)) committing.insert(vertex);
  }
  return committing;
}

std::string CommitStepId(const std::string& vertex, int replicate, const std::string& split) {
  return absl::StrCat("commit/", vertex, "/", replicate, "/", split);
}

std::set<std::string> AncestorsFedUncommitted(const graph::SystemGraph& graph,
                                              const records::Standing& base,
                                              const std::set<std::string>& vertices,
                                              const std::set<std::string>& committing) {
  std::set<std::string> found;
  for (const std::string& vertex : graph.WithAncestors(vertices)) {
    for (const std::string& parent : graph.node(vertex).parents) {
      if (committing.count(parent) > 0 && !base.Has(CommitStepId(parent, 0, kTest))) {
        found.insert(vertex);
      }
    }
  }
  return found;
}

CommitPlan::CommitPlan(const graph::SystemGraph& graph, const std::set<std::string>& children,
                       const std::set<std::string>& committing)
    : splits_({kTrain, kTest}) {
  if (committing.empty()) return;
  for (const std::string& child : children) {
    for (const std::string& parent : graph.node(child).parents) {
      if (committing.count(parent) > 0) known_.insert(parent);
    }
  }
  for (const std::string& vertex : graph.order()) {
    if (known_.count(vertex) > 0) vertices_.push_back(vertex);
    if (splits_.size() == 2 && !ReferencesOf(graph.node(vertex).vertex).empty()) {
      splits_.emplace_back(kPopulation);
    }
  }
}

void CommitPlan::Append(const std::string& vertex, int replicate,
                        std::vector<v1::Step>& steps) const {
  if (known_.count(vertex) == 0) return;
  for (const std::string& split : splits_) {
    v1::Step& step = steps.emplace_back();
    step.set_id(CommitStepId(vertex, replicate, split));
    step.set_kind(v1::Step::COMMIT);
    step.set_vertex(vertex);
    step.set_replicate(replicate);
    step.set_split(split);
    step.set_state(v1::Step::WAITING);
  }
}

std::vector<std::string> SplitsRead(const v1::Step& step) {
  switch (step.kind()) {
    case v1::Step::TRAIN:
    case v1::Step::TRAIN_REFERENCE:
      return {kTrain, kPopulation};
    case v1::Step::EVALUATE:
    case v1::Step::EVALUATE_SWAPPED:
      return {kTest};
    case v1::Step::EVALUATE_TRUE:
    case v1::Step::EVALUATE_REFERENCE:
      return {kPopulation};
    case v1::Step::COMMIT:
      return {step.split()};
    default:
      return {};
  }
}

absl::StatusOr<std::vector<v1::OutputsCommitment>> CommitmentsAsOf(
    const records::OpenUpdate& update, const records::SystemRevision& system,
    const std::string& vertex, int replicate, const std::vector<std::string>& splits) {
  std::vector<v1::OutputsCommitment> commitments;
  for (const std::string& name : system.graph.WithAncestors({vertex})) {
    if (name == vertex || !CommitsOutputs(system.models.at(name))) continue;
    for (const std::string& split : splits) {
      const auto entry = update.Find(CommitStepId(name, replicate, split));
      if (!entry.ok()) continue;  // Nobody planned it.
      if (entry->step->state() != v1::Step::SUCCEEDED) {
        return absl::FailedPreconditionError(
            absl::StrCat("its parent ", name, " commits anew to its outputs on ", split,
                         ", as the update was retried meanwhile: retry it once more"));
      }
      commitments.push_back(entry->step->commitment());
    }
  }
  return commitments;
}

}  // namespace backfire::planning
