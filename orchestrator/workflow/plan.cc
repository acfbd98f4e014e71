#include "orchestrator/workflow/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace backfire::workflow {
namespace {

v1::Step MakeStep(v1::Step::Kind kind, const std::string& vertex, int replicate) {
  v1::Step step;
  step.set_id(StepId(kind, vertex, replicate));
  step.set_kind(kind);
  step.set_vertex(vertex);
  step.set_replicate(replicate);
  step.set_state(v1::Step::WAITING);
  return step;
}

}  // namespace

std::string StepId(v1::Step::Kind kind, const std::string& vertex, int replicate) {
  const char* verb = "load";
  if (kind == v1::Step::TRAIN) verb = "train";
  if (kind == v1::Step::EVALUATE) verb = "evaluate";
  if (kind == v1::Step::EVALUATE_SWAPPED) verb = "evaluate-swapped";
  return absl::StrCat(verb, "/", vertex, "/", replicate);
}

std::vector<v1::Step> PlanBaseline(const graph::SystemGraph& graph, int replicates) {
  std::vector<v1::Step> steps;
  for (const v1::Step::Kind kind : {v1::Step::TRAIN, v1::Step::EVALUATE}) {
    for (int k = 0; k < replicates; ++k) {
      for (const std::string& vertex : graph.order()) steps.push_back(MakeStep(kind, vertex, k));
    }
  }
  for (const std::string& vertex : graph.order()) {
    steps.push_back(MakeStep(v1::Step::LOAD, vertex, 0));
  }
  return steps;
}

std::vector<v1::Step> PlanUpdate(const graph::SystemGraph& graph, const std::string& vertex,
                                 const std::set<std::string>& transforms, int replicates,
                                 bool servable) {
  const std::vector<std::string> descendants = graph.Descendants(vertex);
  std::vector<v1::Step> steps;
  for (const v1::Step::Kind kind : {v1::Step::TRAIN, v1::Step::EVALUATE}) {
    for (int k = 0; k < replicates; ++k) steps.push_back(MakeStep(kind, vertex, k));
  }
  for (int k = 0; k < replicates; ++k) {
    for (const std::string& name : descendants) {
      steps.push_back(MakeStep(v1::Step::TRAIN, name, k));
    }
  }
  for (int k = 0; k < replicates; ++k) {
    for (const std::string& name : descendants) {
      if (transforms.count(name) == 0) {
        steps.push_back(MakeStep(v1::Step::EVALUATE_SWAPPED, name, k));
      }
      steps.push_back(MakeStep(v1::Step::EVALUATE, name, k));
    }
  }
  if (!servable) return steps;
  steps.push_back(MakeStep(v1::Step::LOAD, vertex, 0));
  for (const std::string& name : descendants) steps.push_back(MakeStep(v1::Step::LOAD, name, 0));
  return steps;
}

std::set<std::string> StepDependencies(const graph::SystemGraph& graph,
                                       const std::vector<v1::Step>& steps, const v1::Step& step) {
  std::set<std::string> dependencies;
  if (step.kind() == v1::Step::LOAD) {
    // A release is prepared once everything about it is known.
    for (const v1::Step& other : steps) {
      if (other.kind() != v1::Step::LOAD) dependencies.insert(other.id());
    }
    return dependencies;
  }
  std::set<std::string> needed;
  if (step.kind() == v1::Step::EVALUATE) {
    needed.insert(step.vertex());
  } else {
    needed = graph.node(step.vertex()).parents;
  }
  for (const std::string& vertex : needed) {
    const std::string id = StepId(v1::Step::TRAIN, vertex, step.replicate());
    const bool planned = std::any_of(steps.begin(), steps.end(),
                                     [&](const v1::Step& other) { return other.id() == id; });
    if (planned) dependencies.insert(id);
  }
  return dependencies;
}

v1::Update::State PhaseOf(const v1::Update& update, const v1::Step& step) {
  const bool is_candidate = update.baseline() || step.vertex() == update.vertex();
  switch (step.kind()) {
    case v1::Step::TRAIN:
      return is_candidate ? v1::Update::TRAINING_CANDIDATE : v1::Update::RETRAINING;
    case v1::Step::EVALUATE:
    case v1::Step::EVALUATE_SWAPPED:
      return is_candidate ? v1::Update::EVALUATING_CANDIDATE : v1::Update::EVALUATING;
    default:
      return v1::Update::EVALUATING;
  }
}

}  // namespace backfire::workflow
