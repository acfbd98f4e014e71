// The engine's releases: which versions are served together, and which release is the live one.
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/engine_state.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/records.h"
#include "services/base/crash_point.h"
#include "services/base/status.h"

namespace backfire::workflow {

using google::protobuf::util::TimeUtil;

int64_t Engine::LiveRelease() const {
  for (const auto& [number, release] : contents_.releases) {
    if (release.state() == v1::Release::LIVE) return number;
  }
  return 0;
}

v1::Release& Engine::ChangedRelease(int64_t number, Change& change) const {
  const auto known = contents_.releases.find(number);
  const auto [changed, added] = change.releases.emplace(
      number, known == contents_.releases.end() ? v1::Release() : known->second);
  return changed->second;
}

absl::StatusOr<int64_t> Engine::MakeRelease(const store::UpdateRecord& update,
                                            v1::Release::State state, Change& change) const {
  int64_t number = contents_.releases.empty() ? 1 : contents_.releases.rbegin()->first + 1;
  if (!change.releases.empty()) number = std::max(number, change.releases.rbegin()->first + 1);
  v1::Release release;
  release.set_name(ReleaseName(number));
  release.set_state(state);
  release.set_update(update.update.name());
  for (const std::string& vertex : GraphOf(update.update.system_revision()).order()) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version* version,
                              VersionAsOf(contents_, update.number, vertex, 0));
    (*release.mutable_versions())[vertex] = version->name();
  }
  change.updates.emplace(update.number, update.update).first->second.set_release(release.name());
  change.releases[number] = std::move(release);
  return number;
}

int64_t Engine::Epoch() const {
  int64_t epoch = 0;
  for (const auto& [number, release] : contents_.releases) epoch = std::max(epoch, release.epoch());
  return epoch;
}

int64_t Engine::RevisionOf(const v1::Release& release) const {
  const auto update = FindUpdate(release.update());
  return update.ok() ? (*update)->update.system_revision() : 0;
}

void Engine::AbandonRelease(const v1::Update& update, const std::string& reason, int64_t epoch,
                            Change& change) const {
  const auto number = ParseNumber(update.release(), "releases");
  if (!number.ok()) return;
  v1::Release& release = ChangedRelease(*number, change);
  if (release.state() != v1::Release::PREPARING && release.state() != v1::Release::STAGED) return;
  release.set_state(v1::Release::DRAINING);
  release.set_drain_epoch(epoch);
  v1::ReleaseEvent& event = *release.add_history();
  event.set_kind(v1::ReleaseEvent::ABANDONED);
  event.set_reason(reason);
  event.set_epoch(epoch);
  *event.mutable_time() = TimeUtil::GetCurrentTime();
}

void Engine::MakeLive(int64_t number, v1::ReleaseEvent event, Change& change) const {
  const int64_t epoch = Epoch() + 1;
  *event.mutable_time() = TimeUtil::GetCurrentTime();
  event.set_epoch(epoch);
  if (const int64_t live = LiveRelease(); live != 0 && live != number) {
    v1::Release& replaced = ChangedRelease(live, change);
    replaced.set_state(v1::Release::DRAINING);
    replaced.set_drain_epoch(epoch);
    v1::ReleaseEvent& end = *replaced.add_history();
    end = event;
    end.set_kind(v1::ReleaseEvent::REPLACED);
    end.set_reason(absl::StrCat("by ", ReleaseName(number)));
    end.clear_verdict();
    end.clear_override();
  }
  v1::Release& release = ChangedRelease(number, change);
  release.set_state(v1::Release::LIVE);
  release.set_reason(event.reason());
  release.set_epoch(epoch);
  release.clear_drain_epoch();
  *release.add_history() = std::move(event);
}

absl::Status Engine::SettleOthers(const store::UpdateRecord& promoted, int64_t number,
                                  Change& change) const {
  const int64_t epoch = change.releases.at(number).epoch();
  for (const auto& [other, update] : contents_.updates) {
    const bool decided = update.update.state() == v1::Update::DECIDED;
    if (other == promoted.number || !(decided || IsOpen(update.update))) continue;
    if (update.update.baseline() ||
        update.update.baseline_release() != promoted.update.baseline_release()) {
      continue;
    }
    if (Conflict(update.update, promoted.update)) {
      // One that waits is compared with the new release once it begins; one that runs goes on.
      if (!decided) continue;
      v1::Update& rejected = change.updates[other] = update.update;
      rejected.set_state(v1::Update::REJECTED);
      AbandonRelease(rejected, absl::StrCat(promoted.update.name(), " was promoted"), epoch,
                     change);
      continue;
    }
    // Nothing that it touches has changed, so that its comparison holds; its release is another.
    v1::Update& rebased = change.updates[other] = update.update;
    rebased.set_baseline_release(ReleaseName(number));
    if (rebased.release().empty()) continue;
    AbandonRelease(rebased, absl::StrCat(promoted.update.name(), " was promoted beside it"), epoch,
                   change);
    v1::Release combined = change.releases.at(number);
    for (const std::string& vertex :
         TouchedVertices(GraphOf(update.update.system_revision()), update.update)) {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Version* version,
                                VersionAsOf(contents_, other, vertex, 0));
      (*combined.mutable_versions())[vertex] = version->name();
    }
    const int64_t combined_number =
        std::max(contents_.releases.rbegin()->first, change.releases.rbegin()->first) + 1;
    combined.set_name(ReleaseName(combined_number));
    combined.set_state(decided ? v1::Release::STAGED : v1::Release::PREPARING);
    combined.set_update(rebased.name());
    combined.clear_reason();
    combined.clear_epoch();
    combined.clear_history();
    rebased.set_release(combined.name());
    change.releases[combined_number] = std::move(combined);
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Engine::CheckPromotion(const v1::PromoteUpdateRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* found, FindUpdate(request.name()));
  const v1::Update& update = found->update;
  const std::string state = v1::Update::State_Name(update.state());
  if (update.state() == v1::Update::PROMOTED && update.release() == ReleaseName(LiveRelease())) {
    return LiveRelease();
  }
  if (update.state() != v1::Update::DECIDED) {
    return absl::FailedPreconditionError(absl::StrCat(
        request.name(), " is ", state, ": only a DECIDED update can be promoted",
        update.state() == v1::Update::PROMOTED ? "; its release can be rolled back to" : ""));
  }
  if (update.release().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " has no release: recipe \"", update.recipe().name(), "\" of ",
                     update.vertex(), " can be evaluated, not served"));
  }
  if (update.baseline_release() != ReleaseName(LiveRelease())) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was compared with ", update.baseline_release(), ", and ",
                     ReleaseName(LiveRelease()), " is live now: propose it again"));
  }
  const v1::Verdict::Outcome outcome = update.verdict().outcome();
  if (outcome != v1::Verdict::SAFE && !request.override()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the verdict of ", request.name(), " is ", v1::Verdict::Outcome_Name(outcome),
                     ": promoting it needs an override, with a reason"));
  }
  if (request.override() && request.reason().empty()) {
    return absl::InvalidArgumentError("reason must not be empty with override");
  }
  return ParseNumber(update.release(), "releases");
}

absl::StatusOr<v1::Release> Engine::PromoteUpdate(const v1::PromoteUpdateRequest& request) {
  int64_t number = 0;
  {
    MutexLock lock(mutex_);
    BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
    if (!known.empty()) return FindRelease(known);
    BACKFIRE_ASSIGN_OR_RETURN(number, CheckPromotion(request));
    if (number == LiveRelease()) return contents_.releases.at(number);
    wanted_.insert(number);
  }
  const absl::Status loaded = LoadRelease(number);
  MutexLock lock(mutex_);
  const auto promote = [&]() -> absl::StatusOr<v1::Release> {
    BACKFIRE_RETURN_IF_ERROR(loaded);
    // Time has passed: all of it holds still, or it is not done.
    BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
    if (!known.empty()) return FindRelease(known);
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t now, CheckPromotion(request));
    if (now == LiveRelease()) return contents_.releases.at(now);
    if (now != number) {
      return absl::AbortedError(
          absl::StrCat(request.name(), " has another release now: try again"));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* found, FindUpdate(request.name()));
    Change change;
    (change.updates[found->number] = found->update).set_state(v1::Update::PROMOTED);
    const v1::Verdict::Outcome outcome = found->update.verdict().outcome();
    v1::ReleaseEvent event;
    event.set_kind(v1::ReleaseEvent::PROMOTED);
    event.set_actor(request.actor());
    event.set_reason(request.reason().empty() ? absl::StrCat("verdict of ", request.name(), ": ",
                                                             v1::Verdict::Outcome_Name(outcome))
                                              : request.reason());
    event.set_verdict(outcome);
    event.set_override(outcome != v1::Verdict::SAFE);
    MakeLive(number, std::move(event), change);
    BACKFIRE_RETURN_IF_ERROR(SettleOthers(*found, number, change));
    NoteRequest(request, ReleaseName(number), change);
    CrashPoint("promote", request.name());
    BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
    CrashPoint("promoted", request.name());
    return contents_.releases.at(number);
  };
  absl::StatusOr<v1::Release> promoted = promote();
  Unwant(number);
  return promoted;
}

absl::StatusOr<int64_t> Engine::CheckRollback(const v1::RollbackReleaseRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Release release, FindRelease(request.name()));
  if (release.epoch() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was never live: promote its update instead"));
  }
  return ParseNumber(request.name(), "releases");
}

absl::StatusOr<v1::Release> Engine::RollbackRelease(const v1::RollbackReleaseRequest& request) {
  int64_t number = 0;
  {
    MutexLock lock(mutex_);
    BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
    if (!known.empty()) return FindRelease(known);
    BACKFIRE_ASSIGN_OR_RETURN(number, CheckRollback(request));
    if (number == LiveRelease()) return contents_.releases.at(number);
    // What is half unloaded is unloaded first.
    while (retiring_ == number && !stopping_) {
      changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + std::chrono::seconds(1));
    }
    if (stopping_) return absl::UnavailableError("the orchestrator is shutting down");
    if (contents_.releases.at(number).state() == v1::Release::RETIRED) {
      Change change;
      ChangedRelease(number, change).set_state(v1::Release::PREPARING);
      CrashPoint("prepare", request.name());
      BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
      CrashPoint("prepared", request.name());
    }
    wanted_.insert(number);
  }
  const absl::Status loaded = LoadRelease(number);
  MutexLock lock(mutex_);
  const auto roll_back = [&]() -> absl::StatusOr<v1::Release> {
    BACKFIRE_RETURN_IF_ERROR(loaded);
    BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
    if (!known.empty()) return FindRelease(known);
    if (number == LiveRelease()) return contents_.releases.at(number);
    Change change;
    v1::ReleaseEvent event;
    event.set_kind(v1::ReleaseEvent::ROLLED_BACK_TO);
    event.set_actor(request.actor());
    event.set_reason(request.reason());
    MakeLive(number, std::move(event), change);
    NoteRequest(request, request.name(), change);
    CrashPoint("promote", request.name());
    BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
    CrashPoint("promoted", request.name());
    return contents_.releases.at(number);
  };
  absl::StatusOr<v1::Release> live = roll_back();
  Unwant(number);
  return live;
}

absl::StatusOr<v1::Release> Engine::FindRelease(const std::string& name) const {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, ParseNumber(name, "releases"));
  const auto found = contents_.releases.find(number);
  if (found != contents_.releases.end()) return found->second;
  return absl::NotFoundError(absl::StrCat("there is no ", name));
}

absl::StatusOr<v1::Release> Engine::GetRelease(const std::string& name) const {
  MutexLock lock(mutex_);
  return FindRelease(name);
}

std::vector<v1::Release> Engine::ListReleases() const {
  MutexLock lock(mutex_);
  std::vector<v1::Release> releases;
  for (auto release = contents_.releases.rbegin(); release != contents_.releases.rend();
       ++release) {
    releases.push_back(release->second);
  }
  return releases;
}

v1::ReleaseSnapshot Engine::Snapshot(bool observes) const {
  MutexLock lock(mutex_);
  v1::ReleaseSnapshot snapshot;
  *snapshot.mutable_lease() = TimeUtil::MillisecondsToDuration(gateways_.lease().count());
  if (observes) {
    for (v1::Gateway& gateway : gateways_.List(std::chrono::steady_clock::now())) {
      *snapshot.add_gateways() = std::move(gateway);
    }
  }
  if (contents_.systems.empty()) return snapshot;
  // Until another revision has a release, the old one's is served, on the old one's graph.
  const int64_t live = LiveRelease();
  const int64_t revision =
      live == 0 ? contents_.systems.rbegin()->first : RevisionOf(contents_.releases.at(live));
  const store::SystemRecord& system = contents_.systems.at(revision);
  *snapshot.mutable_system() = system.system;
  for (const auto& [vertex, model] : system.models) (*snapshot.mutable_models())[vertex] = model;
  for (const auto& [number, release] : contents_.releases) {
    const bool served =
        (release.state() == v1::Release::STAGED || release.state() == v1::Release::LIVE) &&
        RevisionOf(release) == revision;
    if (!served && !observes) continue;
    v1::Release& shown = served ? *snapshot.add_releases() : *snapshot.add_others();
    shown = release;
    // A gateway has no use for it, and it grows.
    if (!observes) shown.clear_history();
  }
  snapshot.set_live(live);
  if (live != 0) snapshot.set_epoch(contents_.releases.at(live).epoch());
  return snapshot;
}

}  // namespace backfire::workflow
