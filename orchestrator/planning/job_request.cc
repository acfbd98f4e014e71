#include "orchestrator/planning/job_request.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/planning/commit_steps.h"
#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/reference_steps.h"
#include "orchestrator/planning/seeds.h"
#include "orchestrator/planning/step_plan.h"
#include "services/base/status.h"

namespace backfire::planning {
namespace {

constexpr char kPopulationSplit[] = "population";

// Endpoints of all ancestors of a vertex, whose outputs its service pulls.
v1::Endpoints AncestorEndpoints(const graph::SystemGraph& graph, const std::string& vertex) {
  v1::Endpoints endpoints;
  for (const std::string& name : graph.WithAncestors({vertex})) {
    const auto& node = graph.node(name);
    if (name != vertex) (*endpoints.mutable_by_model())[node.model_name] = node.vertex.endpoint();
  }
  return endpoints;
}

absl::StatusOr<v1::Recipe> RecipeOf(const graph::SystemGraph& graph,
                                    const records::OpenUpdate& update, const v1::Step& step) {
  const v1::Vertex& vertex = graph.node(step.vertex()).vertex;
  if (step.kind() == v1::Step::TRAIN_REFERENCE) {
    for (const auto& [name, recipe] : ReferencesOf(vertex)) {
      if (name == step.reference()) return recipe;
    }
    return v1::Recipe();
  }
  if (update.update().baseline()) return vertex.recipe();
  if (step.vertex() == update.update().vertex()) return update.update().recipe();
  // All replicates are trained alike, and there may be no other yet.
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version before,
                            VersionAsOf(*update.base(), step.vertex(), 0));
  return before.recipe();
}

absl::StatusOr<v1::TrainRequest> BuildTraining(const records::SystemRevision& system,
                                               const records::OpenUpdate& update,
                                               const v1::Step& step,
                                               const std::vector<v1::Parent>& lineage) {
  const graph::SystemGraph& graph = system.graph;
  v1::TrainRequest request;
  request.set_model(graph.node(step.vertex()).model_name);
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_recipe(), RecipeOf(graph, update, step));
  for (const v1::Parent& parent : lineage) *request.add_lineage() = parent;
  request.mutable_dataset()->set_uri(graph.system().dataset());
  request.set_seed(
      TrainingSeed(system.seed_rule, graph.system().seed(), request.model(), step.replicate()));
  // What is solved on a known distribution has no seed: on equal parents it is the same version.
  if (step.kind() == v1::Step::TRAIN_REFERENCE) request.set_seed(graph.system().seed());
  *request.mutable_endpoints() = AncestorEndpoints(graph, step.vertex());
  return request;
}

absl::StatusOr<v1::EvaluateRequest> BuildEvaluation(const records::SystemRevision& system,
                                                    const records::OpenUpdate& update,
                                                    const v1::Step& step,
                                                    const std::vector<v1::Parent>& lineage) {
  const graph::SystemGraph& graph = system.graph;
  v1::EvaluateRequest request;
  std::string trained = StepId(v1::Step::TRAIN, step.vertex(), step.replicate());
  if (step.kind() == v1::Step::EVALUATE_REFERENCE) {
    trained = ReferenceStepId(v1::Step::TRAIN_REFERENCE, step.vertex(), step.replicate(),
                              step.reference());
  }
  const bool is_swapped = step.kind() == v1::Step::EVALUATE_SWAPPED;
  if (is_swapped) {
    for (const v1::Parent& parent : lineage) *request.add_swapped_parents() = parent;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry training,
                            is_swapped ? update.base()->Find(trained) : update.Find(trained));
  if (training.step->state() != v1::Step::SUCCEEDED) {
    return absl::InternalError(absl::StrCat("step ", trained, " has not succeeded"));
  }
  request.set_version(training.step->version().name());
  request.set_digest(training.step->version().digest());
  request.mutable_dataset()->set_uri(graph.system().dataset());
  if (step.kind() == v1::Step::EVALUATE_TRUE || step.kind() == v1::Step::EVALUATE_REFERENCE) {
    request.set_split(kPopulationSplit);  // No sample: nothing to resample.
  } else {
    request.set_split(kTestSplit);
    *request.mutable_bootstrap() = BootstrapOf(system.seed_rule, graph.system());
  }
  *request.mutable_endpoints() = AncestorEndpoints(graph, step.vertex());
  return request;
}

absl::StatusOr<v1::CommitOutputsRequest> BuildCommitment(const records::SystemRevision& system,
                                                         const records::OpenUpdate& update,
                                                         const v1::Step& step) {
  const graph::SystemGraph& graph = system.graph;
  v1::CommitOutputsRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version,
                            VersionAsOf(update, step.vertex(), step.replicate()));
  request.set_version(version.name());
  request.set_digest(version.digest());
  request.mutable_dataset()->set_uri(graph.system().dataset());
  request.set_split(step.split());
  *request.mutable_endpoints() = AncestorEndpoints(graph, step.vertex());
  return request;
}

// Completes what all kinds of requests have.
template <typename Request>
JobRequest Complete(Request request, const std::string& request_id,
                    const std::vector<v1::OutputsCommitment>& commitments) {
  request.set_request_id(request_id);
  request.mutable_commitments()->Assign(commitments.begin(), commitments.end());
  return request;
}

}  // namespace

absl::StatusOr<JobRequest> BuildJobRequest(const std::string& identity,
                                           const records::SystemRevision& system,
                                           const records::OpenUpdate& update, size_t position) {
  const records::StepRecord& record = update.step(position);
  const v1::Step& step = record.step;
  const std::string request_id =
      absl::StrCat(identity, "/updates/", update.number(), "/", step.id(), "/", record.attempt);
  // Of all ancestors: a parent that has lost its outputs pulls its own parents' once more.
  BACKFIRE_ASSIGN_OR_RETURN(
      const std::vector<v1::OutputsCommitment> commitments,
      CommitmentsAsOf(update, system, step.vertex(), step.replicate(), SplitsRead(step)));
  if (step.kind() == v1::Step::COMMIT) {
    BACKFIRE_ASSIGN_OR_RETURN(v1::CommitOutputsRequest request,
                              BuildCommitment(system, update, step));
    return Complete(std::move(request), request_id, commitments);
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Parent> lineage,
                            LineageAsOf(update, system.graph, step.vertex(), step.replicate()));
  if (step.kind() == v1::Step::TRAIN || step.kind() == v1::Step::TRAIN_REFERENCE) {
    BACKFIRE_ASSIGN_OR_RETURN(v1::TrainRequest request,
                              BuildTraining(system, update, step, lineage));
    return Complete(std::move(request), request_id, commitments);
  }
  BACKFIRE_ASSIGN_OR_RETURN(v1::EvaluateRequest request,
                            BuildEvaluation(system, update, step, lineage));
  return Complete(std::move(request), request_id, commitments);
}

}  // namespace backfire::planning
