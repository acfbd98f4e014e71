// The engine's calls on updates.
#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/engine_state.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/records.h"
#include "orchestrator/workflow/version_use.h"
#include "services/base/status.h"

namespace backfire::workflow {
namespace {

constexpr int kMostLooks = 3;

// An update that stopped at an early look has fewer replicates than its system asks for, and once
// it is live, so has whatever is compared with it. Applying an equal system changes nothing.
std::string HowToGetMoreReplicates(const v1::Update& baseline) {
  if (baseline.replicates() >= baseline.planned_replicates()) {
    return "apply the system with more `replicates`";
  }
  return absl::StrCat(baseline.name(), ", whose release is live, stopped at look ", baseline.look(),
                      " of ", baseline.planned_looks(),
                      ": apply the system with its recipe for vertex ", baseline.vertex(),
                      ", which trains the others");
}

}  // namespace

using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::TimeUtil;

bool Engine::Conflict(const v1::Update& one, const v1::Update& other) const {
  // Of two revisions, the later one's baseline waits for everything of the earlier.
  if (one.system_revision() != other.system_revision()) return true;
  const graph::SystemGraph& graph = GraphOf(one.system_revision());
  const std::set<std::string> touched = TouchedVertices(graph, one);
  const std::set<std::string> others = TouchedVertices(graph, other);
  return std::any_of(touched.begin(), touched.end(),
                     [&](const std::string& vertex) { return others.count(vertex) > 0; });
}

int64_t Engine::WaitsFor(const store::UpdateRecord& update) const {
  if (!IsOpen(update.update)) return 0;
  for (const auto& [number, earlier] : contents_.updates) {
    if (number >= update.number) break;
    if (IsOpen(earlier.update) && Conflict(earlier.update, update.update)) return number;
  }
  return 0;
}

v1::Update Engine::Show(const store::UpdateRecord& update, bool with_steps) const {
  v1::Update shown = update.update;
  if (const int64_t other = WaitsFor(update); other != 0) shown.set_waits_for(UpdateName(other));
  if (with_steps) {
    for (const store::StepRecord& record : update.steps) *shown.add_steps() = record.step;
  }
  return shown;
}

absl::StatusOr<v1::Update> Engine::ProposeUpdate(const v1::ProposeUpdateRequest& request) {
  BACKFIRE_RETURN_IF_ERROR(runtime::CheckRequestId(request.request_id()));
  const int looks = request.looks() == 0 ? 1 : request.looks();
  if (looks < 1 || looks > kMostLooks) {
    return absl::InvalidArgumentError(
        absl::StrCat("looks must be in [0, ", kMostLooks, "]: got ", request.looks()));
  }
  v1::Recipe recipe = request.recipe();
  v1::Version proposed;
  if (!request.version().empty()) {
    {
      MutexLock lock(mutex_);
      BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* known, FindProposal(request, looks));
      if (known != nullptr) return Show(*known, /*with_steps=*/true);
    }
    BACKFIRE_ASSIGN_OR_RETURN(proposed, ProposedVersion(request));
    recipe = proposed.recipe();
  }
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* known_update, FindProposal(request, looks));
  if (known_update != nullptr) return Show(*known_update, /*with_steps=*/true);
  BACKFIRE_ASSIGN_OR_RETURN(store::UpdateRecord update,
                            MakeProposal(request, recipe, proposed, looks));
  const int64_t number = update.number;
  Change change;
  change.added.push_back(std::move(update));
  BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
  return Show(contents_.updates.at(number), /*with_steps=*/true);
}

absl::StatusOr<store::UpdateRecord> Engine::MakeProposal(const v1::ProposeUpdateRequest& request,
                                                         const v1::Recipe& recipe,
                                                         const v1::Version& proposed, int looks) {
  const int64_t live = LiveRelease();
  if (contents_.systems.empty() || live == 0) {
    return absl::FailedPreconditionError("there is no live release to compare with yet");
  }
  const store::SystemRecord& system = contents_.systems.rbegin()->second;
  const v1::Release& release = contents_.releases.at(live);
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* baseline, FindUpdate(release.update()));
  if (baseline->update.system_revision() != system.revision) {
    return absl::FailedPreconditionError(
        absl::StrCat("the live release belongs to revision ", baseline->update.system_revision(),
                     " of the system; wait for the baseline of revision ", system.revision));
  }
  const graph::SystemGraph& graph = GraphOf(system.revision);
  if (!graph.Has(request.vertex())) {
    std::string known;
    for (const std::string& vertex : graph.order()) absl::StrAppend(&known, " ", vertex);
    return absl::NotFoundError(
        absl::StrCat("there is no vertex \"", request.vertex(), "\"; there are", known));
  }
  if (request.version().empty()) {
    BACKFIRE_RETURN_IF_ERROR(graph::CheckRecipe(system.models.at(request.vertex()), recipe));
  } else {
    BACKFIRE_RETURN_IF_ERROR(
        CheckProposedLineage(proposed, graph, request.vertex(), baseline->number));
  }
  const int replicates =
      request.replicates() == 0 ? baseline->update.replicates() : request.replicates();
  if (replicates < 1 || replicates > baseline->update.replicates()) {
    return absl::InvalidArgumentError(
        absl::StrCat("replicates must be in [1, ", baseline->update.replicates(),
                     "], or 0 for as many as the baseline has: got ", request.replicates(),
                     "; for more, ", HowToGetMoreReplicates(baseline->update)));
  }
  const int first_look = ReplicatesOfLook(replicates, looks, 1);
  if (looks > 1 && first_look < verdict::kReplicatesToDecide) {
    return absl::InvalidArgumentError(absl::StrCat(
        "looks: each must add at least ", verdict::kReplicatesToDecide, " replicates, so ", looks,
        " need ", looks * verdict::kReplicatesToDecide, ": got ", replicates, "; the baseline has ",
        baseline->update.replicates(), ", for more ", HowToGetMoreReplicates(baseline->update)));
  }
  std::set<std::string> transforms;
  for (const auto& [vertex, model] : system.models) {
    if (model.kind() == v1::Model::TRANSFORM) transforms.insert(vertex);
  }
  const bool servable = !graph::IsUnservable(system.models.at(request.vertex()), recipe);
  store::UpdateRecord update =
      NewUpdate(PlanUpdate(graph, request.vertex(), transforms, replicates, servable));
  if (!request.version().empty()) TakeProposedVersion(request.vertex(), proposed, update);
  update.request_id = request.request_id();
  update.update.set_vertex(request.vertex());
  *update.update.mutable_recipe() = recipe;
  update.update.set_version(request.version());
  update.update.set_system_revision(system.revision);
  update.update.set_baseline_release(release.name());
  update.update.set_replicates(first_look);
  update.update.set_look(1);
  update.update.set_planned_looks(looks);
  update.update.set_planned_replicates(replicates);
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Sensitivity> sensitivities,
                            BuildSensitivities(contents_, graph, update));
  for (const v1::Sensitivity& sensitivity : sensitivities) {
    *update.update.add_sensitivities() = sensitivity;
  }
  BACKFIRE_ASSIGN_OR_RETURN(*update.update.mutable_reuse(),
                            BuildReuse(contents_, graph, update.update));
  return update;
}

absl::StatusOr<const store::UpdateRecord*> Engine::FindProposal(
    const v1::ProposeUpdateRequest& request, int looks) const {
  for (const auto& [number, known] : contents_.updates) {
    if (known.request_id != request.request_id()) continue;
    const v1::Update& update = known.update;
    // A version brings its own recipe.
    const bool same_recipe =
        !request.version().empty() || MessageDifferencer::Equals(update.recipe(), request.recipe());
    if (update.vertex() == request.vertex() && update.version() == request.version() &&
        update.planned_looks() == looks && same_recipe &&
        (request.replicates() == 0 || request.replicates() == update.planned_replicates())) {
      return &known;
    }
    return absl::AlreadyExistsError(absl::StrCat("request_id \"", request.request_id(), "\" names ",
                                                 update.name(), ", which has other arguments"));
  }
  return nullptr;
}

absl::StatusOr<v1::Update> Engine::GetUpdate(const std::string& name) const {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* found, FindUpdate(name));
  return Show(*found, /*with_steps=*/true);
}

absl::StatusOr<verdict::Evidence> Engine::GetEvidence(const std::string& name) const {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* found, FindUpdate(name));
  if (!found->update.has_verdict()) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has no verdict: it is ", v1::Update::State_Name(found->update.state()),
                     found->update.baseline() ? ", a baseline" : ""));
  }
  return BuildEvidence(contents_, GraphOf(found->update.system_revision()), *found);
}

std::vector<v1::Update> Engine::ListUpdates(const v1::ListUpdatesRequest& request) const {
  MutexLock lock(mutex_);
  std::vector<v1::Update> updates;
  for (auto record = contents_.updates.rbegin(); record != contents_.updates.rend(); ++record) {
    const v1::Update& update = record->second.update;
    const auto& states = request.states();
    if (!states.empty() &&
        std::find(states.begin(), states.end(), static_cast<int>(update.state())) == states.end()) {
      continue;
    }
    if (!request.vertex().empty() && request.vertex() != update.vertex()) continue;
    updates.push_back(Show(record->second, /*with_steps=*/false));
  }
  return updates;
}

absl::StatusOr<v1::Update> Engine::CancelUpdate(const v1::CancelUpdateRequest& request) {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* found, FindUpdate(request.name()));
  const v1::Update::State state = found->update.state();
  if (!known.empty() || state == v1::Update::CANCELLED || state == v1::Update::REJECTED) {
    return Show(*found, /*with_steps=*/true);
  }
  if (state == v1::Update::PROMOTED) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was promoted; to undo that, roll back to another release"));
  }
  if (state == v1::Update::FAILED && found->update.baseline()) {
    return absl::FailedPreconditionError(absl::StrCat(
        request.name(), " is the system's baseline: retry it, or apply another system"));
  }
  const int64_t number = found->number;
  Change change;
  v1::Update& update = change.updates[number] = found->update;
  update.set_state(state == v1::Update::DECIDED ? v1::Update::REJECTED : v1::Update::CANCELLED);
  *update.mutable_end_time() = TimeUtil::GetCurrentTime();
  // Steps that run stay RUNNING until their jobs have stopped, so that a restart goes on with that.
  for (size_t i = 0; i < found->steps.size(); ++i) {
    if (found->steps[i].step.state() != v1::Step::WAITING) continue;
    store::StepRecord& record = change.steps[{number, i}] = found->steps[i];
    record.step.set_state(v1::Step::CANCELLED);
  }
  AbandonRelease(update, "its update was cancelled", Epoch(), change);
  NoteRequest(request, request.name(), change);
  BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
  for (auto& [key, running] : running_) {
    if (key.first == number) running->cancel = true;
  }
  return Show(contents_.updates.at(number), /*with_steps=*/true);
}

absl::StatusOr<v1::Update> Engine::RetryUpdate(const v1::RetryUpdateRequest& request) {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* found, FindUpdate(request.name()));
  if (!known.empty()) return Show(*found, /*with_steps=*/true);
  if (found->update.state() != v1::Update::FAILED) {
    return absl::FailedPreconditionError(absl::StrCat(request.name(), " is ",
                                                      v1::Update::State_Name(found->update.state()),
                                                      ": only a FAILED update can be retried"));
  }
  const int64_t number = found->number;
  Change change;
  v1::Update& update = change.updates[number] = found->update;
  update.set_state(v1::Update::PROPOSED);
  update.clear_error_message();
  update.clear_end_time();
  const auto again = [&](size_t position) {
    store::StepRecord& record = change.steps[{number, position}] = found->steps[position];
    record.step.set_state(v1::Step::WAITING);
    record.step.clear_error_code();
    record.step.clear_error_message();
  };
  for (size_t i = 0; i < found->steps.size(); ++i) {
    if (found->steps[i].step.state() == v1::Step::FAILED) again(i);
  }
  // What failed then is what follows the last step; it is done again, and so is what follows.
  for (size_t i = found->steps.size(); change.steps.empty() && i > 0; --i) {
    if (found->steps[i - 1].step.state() == v1::Step::SUCCEEDED) again(i - 1);
  }
  NoteRequest(request, request.name(), change);
  BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
  return Show(contents_.updates.at(number), /*with_steps=*/true);
}

}  // namespace backfire::workflow
