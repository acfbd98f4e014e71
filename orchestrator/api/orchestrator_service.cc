#include "orchestrator/api/orchestrator_service.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/api/answer.h"
#include "orchestrator/api/paging.h"
#include "orchestrator/api/shown.h"
#include "orchestrator/commands/apply_system.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/commands/propose.h"
#include "orchestrator/commands/resolve_recipes.h"
#include "orchestrator/commands/system_revision.h"
#include "orchestrator/commands/update_commands.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "services/base/status.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/request_bounds.h"

namespace backfire::api {
namespace {

using google::protobuf::util::MessageDifferencer;
using std::chrono::steady_clock;

// An update of many vertices is large, and changes with every progress of every step: a watcher
// sees it this often at most, and showing it takes a tenth of the time at most.
constexpr std::chrono::milliseconds kWatchPace(20);
constexpr int kWatchRest = 9;

// For releases that a caller has let go to be unloaded everywhere: a lease, and some. What takes
// longer is left to the next call.
constexpr std::chrono::seconds kRetirePatience(30);

}  // namespace

runtime::Caller OrchestratorService::CallerOf(const grpc::ServerContext& context) const {
  if (identities_ == nullptr) return {"", runtime::Roles::All()};
  return identities_->CallerOf(context);
}

absl::Status OrchestratorService::CheckOwner(const grpc::ServerContext& context,
                                             const std::string& update) const {
  const runtime::Caller caller = CallerOf(context);
  if (caller.roles.Has(runtime::Role::kOperator)) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update shown, Show(update));
  if (shown.actor() == caller.name) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(update, " was proposed by \"", shown.actor(),
                                                  "\": an operator may cancel or retry it"));
}

absl::StatusOr<v1::Update> OrchestratorService::Show(const std::string& update) const {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, records::ParseNumber(update, "updates"));
  // What is running is asked first: a step that ends in between is shown as ended.
  const auto progress = plane_.executor().ProgressOf(number);
  return ShowUpdate(*plane_.ledger().state(), plane_.ledger().history(), update, progress);
}

commands::ResolveRecipe OrchestratorService::Resolver() const {
  return [this](const std::string& endpoint, const v1::ResolveRecipeRequest& request) {
    return plane_.versions().ResolveRecipe(endpoint, request);
  };
}

absl::StatusOr<int64_t> OrchestratorService::JudgedNumber(const std::string& update) const {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, records::ParseNumber(update, "updates"));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update shown, Show(update));
  if (shown.has_verdict()) return number;
  return absl::FailedPreconditionError(absl::StrCat(update, " has no verdict: it is ",
                                                    v1::Update::State_Name(shown.state()),
                                                    shown.baseline() ? ", a baseline" : ""));
}

absl::StatusOr<v1::ApplySystemResponse> OrchestratorService::Apply(
    const v1::ApplySystemRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const graph::SystemGraph graph,
                            graph::SystemGraph::Build(commands::WithDefaults(request.system())));
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto models,
      commands::FetchModels(graph, [this](const std::string& endpoint, const std::string& name) {
        return plane_.versions().GetModel(endpoint, name);
      }));
  BACKFIRE_RETURN_IF_ERROR(commands::CheckRecipes(graph, models, Resolver()));
  v1::ApplySystemResponse response;
  if (request.validate_only()) {
    *response.mutable_system() = graph.system();
    return response;
  }
  const auto apply = [&](const records::State& state) -> absl::StatusOr<records::Change> {
    BACKFIRE_ASSIGN_OR_RETURN(commands::AppliedSystem applied,
                              commands::ApplySystem(state, plane_.ledger().history(), request,
                                                    graph, models, plane_.clock().Now()));
    response = std::move(applied.response);
    return std::move(applied.change);
  };
  BACKFIRE_RETURN_IF_ERROR(plane_.ledger().Commit(apply).status());
  return response;
}

absl::StatusOr<v1::Update> OrchestratorService::Propose(const v1::ProposeUpdateRequest& request) {
  BACKFIRE_RETURN_IF_ERROR(commands::CheckProposal(request));
  const store::Repository& history = plane_.ledger().history();
  v1::Version proposed;
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::optional<int64_t> known,
                              commands::FindProposal(history, request));
    if (known.has_value()) return Show(records::UpdateName(*known));
    const auto state = plane_.ledger().state();
    BACKFIRE_RETURN_IF_ERROR(commands::CheckProposedRecipe(*state, request, Resolver()));
    if (!request.version().empty() && proposed.name().empty()) {
      BACKFIRE_ASSIGN_OR_RETURN(const commands::ProposedPlace place,
                                commands::FindProposedPlace(*state, request));
      BACKFIRE_ASSIGN_OR_RETURN(proposed,
                                plane_.versions().GetVersion(place.endpoint, place.version));
      proposed.clear_loaded();  // Of this moment.
    }
    // What it can show takes a while to find, so that is done before the commit, and again if
    // something that it depends on has changed meanwhile.
    BACKFIRE_ASSIGN_OR_RETURN(
        const std::vector<commands::UpdatePointer> updates,
        commands::MakeProposal(*state, history, request, proposed, plane_.clock().Now()));
    const absl::Status added =
        plane_.ledger()
            .Commit([&](const records::State& newest) -> absl::StatusOr<records::Change> {
              if (newest.last_update != state->last_update || newest.live != state->live ||
                  newest.systems != state->systems) {
                return absl::AbortedError("the state has changed");
              }
              records::Change change;
              change.added = updates;
              change.actor = request.actor();
              return change;
            })
            .status();
    if (added.ok()) return Show(updates.back()->update().name());
    if (!absl::IsAborted(added) || plane_.ledger().changes().stopped()) return added;
  }
}

grpc::Status OrchestratorService::ApplySystem(grpc::ServerContext* context,
                                              const v1::ApplySystemRequest* request,
                                              v1::ApplySystemResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(Apply(ByCaller(*context, *request)), response);
}

grpc::Status OrchestratorService::GetSystem(grpc::ServerContext*, const v1::GetSystemRequest*,
                                            v1::GetSystemResponse* response) {
  const auto state = plane_.ledger().state();
  const records::SystemRevision* current = state->current_system();
  if (current == nullptr) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no system was applied yet");
  }
  *response->mutable_system() = current->system();
  response->set_revision(current->revision);
  response->set_baseline_update(records::UpdateName(current->baseline_update));
  for (const auto& [vertex, model] : current->models) (*response->mutable_models())[vertex] = model;
  return grpc::Status::OK;
}

grpc::Status OrchestratorService::ProposeUpdate(grpc::ServerContext* context,
                                                const v1::ProposeUpdateRequest* request,
                                                v1::Update* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(Propose(ByCaller(*context, *request)), response);
}

grpc::Status OrchestratorService::GetUpdate(grpc::ServerContext*,
                                            const v1::GetUpdateRequest* request,
                                            v1::Update* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(Show(request->name()), response);
}

grpc::Status OrchestratorService::ListUpdates(grpc::ServerContext*,
                                              const v1::ListUpdatesRequest* request,
                                              v1::ListUpdatesResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto list = [&]() -> absl::StatusOr<v1::ListUpdatesResponse> {
    BACKFIRE_ASSIGN_OR_RETURN(const store::Page page,
                              PageOf(request->page_size(), request->page_token()));
    store::UpdateFilter filter;
    for (const int is : request->states()) {
      filter.states.push_back(static_cast<v1::Update::State>(is));
    }
    filter.vertex = request->vertex();
    const auto state = plane_.ledger().state();
    BACKFIRE_RETURN_IF_ERROR(commands::CheckVertex(*state, filter.vertex));
    if (!request->judged_with().empty()) {
      BACKFIRE_ASSIGN_OR_RETURN(filter.judged_with, JudgedNumber(request->judged_with()));
    }
    BACKFIRE_ASSIGN_OR_RETURN(std::vector<v1::Update> updates,
                              plane_.ledger().history().ListUpdates(filter, page));
    v1::ListUpdatesResponse listed;
    listed.set_next_page_token(CutPage(page, updates));
    for (v1::Update& update : updates) {
      update.set_waits_for(WaitsFor(*state, update.name()));
      *listed.add_updates() = std::move(update);
    }
    return listed;
  };
  return Answer(list(), response);
}

grpc::Status OrchestratorService::WatchUpdate(grpc::ServerContext* context,
                                              const v1::WatchUpdateRequest* request,
                                              grpc::ServerWriter<v1::Update>* writer) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const runtime::StreamBudget::Place place(streams_, CallerOf(*context).name);
  if (!place.status().ok()) return runtime::ToGrpcStatus(place.status());
  v1::Update last;
  while (!context->IsCancelled()) {
    const int64_t seen = plane_.ledger().changes().count();
    const auto start = steady_clock::now();
    const absl::StatusOr<v1::Update> update = Show(request->name());
    if (!update.ok()) return runtime::ToGrpcStatus(update.status());
    // Other updates change as well.
    if (!MessageDifferencer::Equals(*update, last)) {
      last = *update;
      if (!writer->Write(last)) break;
    }
    if (records::HasEnded(*update)) return grpc::Status::OK;
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start);
    runtime::WaitUnlessCancelled(std::max(kWatchPace, kWatchRest * took),
                                 [&] { return context->IsCancelled(); });
    if (!plane_.ledger().changes().Wait(seen, kStreamCheck)) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the orchestrator is shutting down");
    }
  }
  return grpc::Status::CANCELLED;
}

grpc::Status OrchestratorService::CancelUpdate(grpc::ServerContext* context,
                                               const v1::CancelUpdateRequest* request,
                                               v1::Update* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  if (const absl::Status owns = CheckOwner(*context, request->name()); !owns.ok()) {
    return runtime::ToGrpcStatus(owns);
  }
  const v1::CancelUpdateRequest named = ByCaller(*context, *request);
  const auto changed = plane_.ledger().Commit([&](const records::State& state) {
    return commands::CancelUpdate(state, plane_.ledger().history(), named, plane_.clock().Now());
  });
  if (!changed.ok()) return runtime::ToGrpcStatus(changed.status());
  return Answer(Show(request->name()), response);
}

grpc::Status OrchestratorService::RetryUpdate(grpc::ServerContext* context,
                                              const v1::RetryUpdateRequest* request,
                                              v1::Update* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  if (const absl::Status owns = CheckOwner(*context, request->name()); !owns.ok()) {
    return runtime::ToGrpcStatus(owns);
  }
  const v1::RetryUpdateRequest named = ByCaller(*context, *request);
  const auto changed = plane_.ledger().Commit([&](const records::State& state) {
    return commands::RetryUpdate(state, plane_.ledger().history(), named);
  });
  if (!changed.ok()) return runtime::ToGrpcStatus(changed.status());
  return Answer(Show(request->name()), response);
}

grpc::Status OrchestratorService::PruneUpdates(grpc::ServerContext* context,
                                               const v1::PruneUpdatesRequest* request,
                                               v1::PruneUpdatesResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  return Answer(plane_.pruner().Prune(ByCaller(*context, *request), kRetirePatience), response);
}

}  // namespace backfire::api
