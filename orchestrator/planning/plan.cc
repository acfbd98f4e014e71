#include "orchestrator/planning/plan.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/planning/commit_steps.h"
#include "orchestrator/planning/reference_steps.h"
#include "orchestrator/records/update_state.h"

namespace backfire::planning {
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

std::vector<v1::Step> PlanBaseline(const graph::SystemGraph& graph, int replicates,
                                   const std::set<std::string>& committing) {
  const CommitPlan commits(graph, {graph.order().begin(), graph.order().end()}, committing);
  std::vector<v1::Step> steps;
  for (const v1::Step::Kind kind : {v1::Step::TRAIN, v1::Step::EVALUATE}) {
    for (int k = 0; k < replicates; ++k) {
      for (const std::string& vertex : graph.order()) {
        steps.push_back(MakeStep(kind, vertex, k));
        if (kind == v1::Step::TRAIN) commits.Append(vertex, k, steps);
      }
    }
  }
  for (int k = 0; k < replicates; ++k) {
    for (const std::string& vertex : graph.order()) {
      AppendReferenceSteps(graph.node(vertex).vertex, k, steps);
    }
  }
  for (const std::string& vertex : graph.order()) {
    steps.push_back(MakeStep(v1::Step::LOAD, vertex, 0));
  }
  return steps;
}

std::vector<v1::Step> PlanUpdate(const graph::SystemGraph& graph, const std::string& vertex,
                                 const std::set<std::string>& transforms, int replicates,
                                 bool servable, const std::set<std::string>& committing,
                                 const std::set<std::string>& uncommitted) {
  const std::vector<std::string> descendants = graph.Descendants(vertex);
  std::set<std::string> touched(descendants.begin(), descendants.end());
  touched.insert(vertex);
  std::set<std::string> children = touched;
  children.insert(uncommitted.begin(), uncommitted.end());
  const CommitPlan commits(graph, children, committing);
  std::vector<v1::Step> steps;
  for (int k = 0; k < replicates; ++k) {
    for (const std::string& name : commits.vertices()) {
      if (touched.count(name) == 0) commits.Append(name, k, steps);
    }
  }
  for (const v1::Step::Kind kind : {v1::Step::TRAIN, v1::Step::EVALUATE}) {
    for (int k = 0; k < replicates; ++k) {
      steps.push_back(MakeStep(kind, vertex, k));
      if (kind == v1::Step::TRAIN) commits.Append(vertex, k, steps);
    }
  }
  for (int k = 0; k < replicates; ++k) {
    for (const std::string& name : descendants) {
      steps.push_back(MakeStep(v1::Step::TRAIN, name, k));
      commits.Append(name, k, steps);
    }
  }
  for (int k = 0; k < replicates; ++k) {
    for (const std::string& name : descendants) {
      if (transforms.count(name) == 0) {
        steps.push_back(MakeStep(v1::Step::EVALUATE_SWAPPED, name, k));
      }
      steps.push_back(MakeStep(v1::Step::EVALUATE, name, k));
      AppendReferenceSteps(graph.node(name).vertex, k, steps);
    }
  }
  if (!servable) return steps;
  steps.push_back(MakeStep(v1::Step::LOAD, vertex, 0));
  for (const std::string& name : descendants) steps.push_back(MakeStep(v1::Step::LOAD, name, 0));
  return steps;
}

std::vector<std::vector<size_t>> Dependencies(const graph::SystemGraph& graph,
                                              const std::vector<v1::Step>& steps) {
  std::map<std::pair<std::string, int>, size_t> trainings;  // By vertex and replicate.
  std::map<std::tuple<std::string, int, std::string>, size_t> references;   // Their trainings.
  std::map<std::tuple<std::string, int, std::string>, size_t> commitments;  // And split.
  std::vector<size_t> evaluations;
  size_t first_load = steps.size();
  for (size_t i = 0; i < steps.size(); ++i) {
    const v1::Step& step = steps[i];
    if (step.kind() == v1::Step::TRAIN) {
      trainings[{step.vertex(), step.replicate()}] = i;
    } else if (step.kind() == v1::Step::TRAIN_REFERENCE) {
      references[{step.vertex(), step.replicate(), step.reference()}] = i;
    } else if (step.kind() == v1::Step::COMMIT) {
      commitments[{step.vertex(), step.replicate(), step.split()}] = i;
      evaluations.push_back(i);
    } else if (step.kind() != v1::Step::LOAD) {
      evaluations.push_back(i);
    } else {
      first_load = std::min(first_load, i);
    }
  }
  std::vector<std::vector<size_t>> dependencies(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const v1::Step& step = steps[i];
    if (step.kind() == v1::Step::LOAD) {
      // A release is prepared once everything about it is known; what is evaluated was trained.
      // Only the first one waits for all of that, or a thousand loads would wait for thousands
      // each.
      dependencies[i] = i == first_load ? evaluations : std::vector<size_t>{first_load};
      continue;
    }
    const std::set<std::string>& parents = graph.node(step.vertex()).parents;
    // What its job is held to when it pulls its parents' outputs.
    for (const std::string& split : SplitsRead(step)) {
      for (const std::string& parent : parents) {
        const auto commitment = commitments.find({parent, step.replicate(), split});
        if (commitment != commitments.end()) dependencies[i].push_back(commitment->second);
      }
    }
    if (step.kind() == v1::Step::EVALUATE_REFERENCE) {
      dependencies[i].push_back(references.at({step.vertex(), step.replicate(), step.reference()}));
      continue;
    }
    const bool is_of_own_version = step.kind() == v1::Step::EVALUATE ||
                                   step.kind() == v1::Step::EVALUATE_TRUE ||
                                   step.kind() == v1::Step::COMMIT;
    for (const std::string& vertex :
         is_of_own_version ? std::set<std::string>{step.vertex()} : parents) {
      const auto training = trainings.find({vertex, step.replicate()});
      if (training != trainings.end()) dependencies[i].push_back(training->second);
    }
  }
  return dependencies;
}

std::set<std::string> TouchedVertices(const graph::SystemGraph& graph, const v1::Update& update) {
  if (update.baseline()) return {graph.order().begin(), graph.order().end()};
  if (records::CompletesReplicates(update)) return {};
  const std::vector<std::string> descendants = graph.Descendants(update.vertex());
  std::set<std::string> touched(descendants.begin(), descendants.end());
  touched.insert(update.vertex());
  return touched;
}

int ReplicatesOfLook(int replicates, int looks, int look) {
  return (replicates * look + looks - 1) / looks;
}

}  // namespace backfire::planning
