#include "orchestrator/commands/propose.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/evidence/evidence.h"
#include "orchestrator/evidence/forecast.h"
#include "orchestrator/planning/commit_steps.h"
#include "orchestrator/planning/completion.h"
#include "orchestrator/planning/new_update.h"
#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/schedule.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "orchestrator/verdict/verdict.h"
#include "services/base/status.h"
#include "services/rpc/request_id.h"
#include "services/runtime/version_name.h"

namespace backfire::commands {
namespace {

constexpr int kMostLooks = 3;

int LooksOf(const v1::ProposeUpdateRequest& request) {
  return request.looks() == 0 ? 1 : request.looks();
}

// How many replicates an update is to have.
absl::StatusOr<int> ReplicatesOf(const v1::ProposeUpdateRequest& request, int most) {
  const int replicates = request.replicates() == 0 ? most : request.replicates();
  if (replicates < 1 || replicates > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replicates must be in [1, ", most, "], or 0 for as many as the system has: got ",
        request.replicates(), "; for more, apply the system with more `replicates`"));
  }
  const int looks = LooksOf(request);
  if (looks > 1 &&
      planning::ReplicatesOfLook(replicates, looks, 1) < verdict::kReplicatesToDecide) {
    return absl::InvalidArgumentError(
        absl::StrCat("looks: each must add at least ", verdict::kReplicatesToDecide,
                     " replicates, so ", looks, " need ", looks * verdict::kReplicatesToDecide,
                     ": got ", replicates, "; for more, apply the system with more `replicates`"));
  }
  return replicates;
}

absl::Status NoSuchVertex(const std::string& vertex, const graph::SystemGraph& graph,
                          const char* separator) {
  return absl::NotFoundError(absl::StrCat("there is no vertex \"", vertex, "\"; there are ",
                                          absl::StrJoin(graph.order(), separator)));
}

// The system, whose live release a proposal can be compared with.
absl::StatusOr<const records::SystemRevision*> ComparableSystem(const records::State& state) {
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr || state.live_standing == nullptr) {
    return absl::FailedPreconditionError("there is no live release to compare with yet");
  }
  const int64_t revision = state.live_standing->update().system_revision();
  if (revision == system->revision) return system;
  return absl::FailedPreconditionError(
      absl::StrCat("the live release belongs to revision ", revision,
                   " of the system; wait for the baseline of revision ", system->revision));
}

// Vertices whose version in the live release was proposed, and not trained by their update.
absl::StatusOr<std::set<std::string>> ProposedVertices(const records::Standing& live,
                                                       const graph::SystemGraph& graph,
                                                       const store::Repository& history) {
  std::map<int64_t, v1::Update> updates;  // By number, without steps.
  std::set<std::string> vertices;
  for (const std::string& vertex : graph.order()) {
    // Whoever trained replicate 0 gave the vertex its versions; others complete them.
    BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry first,
                              live.Find(planning::StepId(v1::Step::TRAIN, vertex, 0)));
    const auto [known, is_new] = updates.try_emplace(first.ref.update);
    if (is_new) {
      BACKFIRE_ASSIGN_OR_RETURN(records::UpdateRecord record, history.ReadUpdate(first.ref.update));
      known->second = std::move(record.update);
    }
    if (records::TakesProposedVersion(known->second, *first.step)) vertices.insert(vertex);
  }
  return vertices;
}

// The update that trains what the live release lacks of the system's replicates; unset if one that
// needs `replicates` lacks none, or another update does so already.
absl::StatusOr<std::optional<records::UpdateRecord>> MakeCompletion(
    const records::State& state, const store::Repository& history,
    const records::SystemRevision& system, int replicates, absl::Time now) {
  const records::Standing& live = *state.live_standing;
  if (replicates <= live.update().replicates()) return std::nullopt;
  for (const auto& [number, update] : state.updates) {
    if (records::IsOpen(update->update()) && records::CompletesReplicates(update->update())) {
      return std::nullopt;
    }
  }
  const int all = system.graph.system().replicates();
  BACKFIRE_ASSIGN_OR_RETURN(const std::set<std::string> proposed,
                            ProposedVertices(live, system.graph, history));
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Step> steps,
                            planning::PlanCompletion(live, system.graph, all, proposed,
                                                     planning::CommittingVertices(system.models)));
  records::UpdateRecord record = planning::NewUpdate(state, steps, now);
  record.base = live.number();
  record.update.set_system_revision(system.revision);
  record.update.set_baseline_release(records::ReleaseName(state.live));
  record.update.set_replicates(all);
  return record;
}

}  // namespace

absl::Status CheckProposal(const v1::ProposeUpdateRequest& request) {
  BACKFIRE_RETURN_IF_ERROR(runtime::CheckRequestId(request.request_id()));
  if (LooksOf(request) >= 1 && LooksOf(request) <= kMostLooks) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("looks must be in [0, ", kMostLooks, "]: got ", request.looks()));
}

absl::StatusOr<std::optional<int64_t>> FindProposal(const store::Repository& history,
                                                    const v1::ProposeUpdateRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::optional<int64_t> number,
                            history.FindProposal(request.request_id()));
  if (!number.has_value()) return number;
  BACKFIRE_ASSIGN_OR_RETURN(const records::UpdateRecord known, history.ReadUpdate(*number));
  const v1::Update& update = known.update;
  // A version brings its own recipe.
  const bool same_recipe =
      !request.version().empty() ||
      google::protobuf::util::MessageDifferencer::Equals(update.recipe(), request.recipe());
  if (update.vertex() == request.vertex() && update.version() == request.version() &&
      update.planned_looks() == LooksOf(request) && same_recipe &&
      (request.replicates() == 0 || request.replicates() == update.planned_replicates())) {
    return number;
  }
  return absl::AlreadyExistsError(absl::StrCat("request_id \"", request.request_id(), "\" names ",
                                               update.name(), ", which has other arguments"));
}

absl::StatusOr<ProposedPlace> FindProposedPlace(const records::State& state,
                                                const v1::ProposeUpdateRequest& request) {
  if (request.has_recipe()) {
    return absl::InvalidArgumentError(
        "recipe must be unset where a version is proposed: it was trained already");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id,
                            runtime::ParseVersionName(request.version()));
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) {
    return absl::FailedPreconditionError("there is no live release to compare with yet");
  }
  const graph::SystemGraph& graph = system->graph;
  if (!graph.Has(request.vertex())) return NoSuchVertex(request.vertex(), graph, ", ");
  const graph::SystemGraph::Node& node = graph.node(request.vertex());
  if (node.model_name != id.model_name) {
    return absl::InvalidArgumentError(absl::StrCat("version must be one of ", node.model_name,
                                                   ", the model of ", request.vertex(), ": got ",
                                                   request.version()));
  }
  const auto& capabilities = system->models.at(request.vertex()).capabilities();
  if (std::count(capabilities.begin(), capabilities.end(), v1::LIST_VERSIONS) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the service of ", id.model_name, " lacks the capability LIST_VERSIONS"));
  }
  return ProposedPlace{node.vertex.endpoint(), runtime::VersionName(id.model_name, id.number)};
}

absl::StatusOr<std::vector<UpdatePointer>> MakeProposal(const records::State& state,
                                                        const store::Repository& history,
                                                        const v1::ProposeUpdateRequest& request,
                                                        const v1::Version& proposed,
                                                        absl::Time now) {
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system, ComparableSystem(state));
  const graph::SystemGraph& graph = system->graph;
  const std::shared_ptr<const records::Standing>& base = state.live_standing;
  if (!graph.Has(request.vertex())) return NoSuchVertex(request.vertex(), graph, " ");
  const v1::Model& model = system->models.at(request.vertex());
  const bool trains = request.version().empty();
  const v1::Recipe& recipe = trains ? request.recipe() : proposed.recipe();
  BACKFIRE_RETURN_IF_ERROR(
      trains ? graph::CheckRecipe(model, recipe)
             : planning::CheckProposedLineage(proposed, graph, request.vertex(), *base));
  BACKFIRE_ASSIGN_OR_RETURN(const int replicates,
                            ReplicatesOf(request, graph.system().replicates()));
  std::set<std::string> transforms;
  for (const auto& [vertex, other] : system->models) {
    if (other.kind() == v1::Model::TRANSFORM) transforms.insert(vertex);
  }
  const std::set<std::string> committing = planning::CommittingVertices(system->models);
  const std::vector<std::string> descendants = graph.Descendants(request.vertex());
  std::set<std::string> touched(descendants.begin(), descendants.end());
  touched.insert(request.vertex());
  const auto uncommitted = planning::AncestorsFedUncommitted(graph, *base, touched, committing);
  records::UpdateRecord record = planning::NewUpdate(
      state,
      planning::PlanUpdate(graph, request.vertex(), transforms, replicates,
                           !graph::IsUnservable(model, recipe), committing, uncommitted),
      now);
  if (!trains) planning::TakeProposedVersion(request.vertex(), proposed, record);
  std::vector<UpdatePointer> added;
  BACKFIRE_ASSIGN_OR_RETURN(std::optional<records::UpdateRecord> completion,
                            MakeCompletion(state, history, *system, replicates, now));
  if (completion.has_value()) {
    record.number = completion->number + 1;
    record.update.set_name(records::UpdateName(record.number));
    completion->update.set_actor(request.actor());
    completion->update.set_reason(absl::StrCat(record.update.name(), " needs them"));
    added.push_back(planning::OpenUpdate(*std::move(completion), graph, base));
  }
  record.request_id = request.request_id();
  record.base = base->number();
  v1::Update& update = record.update;
  update.set_vertex(request.vertex());
  *update.mutable_recipe() = recipe;
  update.set_version(request.version());
  update.set_actor(request.actor());
  update.set_reason(request.reason());
  update.set_system_revision(system->revision);
  update.set_baseline_release(records::ReleaseName(state.live));
  update.set_replicates(planning::ReplicatesOfLook(replicates, LooksOf(request), 1));
  update.set_look(1);
  update.set_planned_looks(LooksOf(request));
  update.set_planned_replicates(replicates);
  const evidence::ReadEvaluation read = [&](records::StepRef ref) {
    return history.ReadEvaluation(ref);
  };
  const evidence::Comparison comparison{*system, update, *base, read};
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Sensitivity> sensitivities,
                            evidence::BuildSensitivities(comparison));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Reuse reuse, evidence::BuildReuse(comparison));
  update.mutable_sensitivities()->Assign(sensitivities.begin(), sensitivities.end());
  *update.mutable_reuse() = reuse;
  added.push_back(planning::OpenUpdate(std::move(record), graph, base));
  return added;
}

}  // namespace backfire::commands
