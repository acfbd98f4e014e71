#include "orchestrator/commands/release_commands.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/commands/request_log.h"
#include "orchestrator/planning/release_changes.h"
#include "orchestrator/planning/timestamp.h"
#include "orchestrator/records/resource_name.h"
#include "services/base/status.h"

namespace backfire::commands {
namespace {

using records::ReleaseName;

// What the same call made live before; is_done is false if it is new.
template <typename Request>
absl::StatusOr<Switching> FindSwitched(const store::Repository& history, const Request& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known,
                            FindDone(history, request.request_id(), request));
  if (known.empty()) return Switching();
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t release, records::ParseNumber(known, "releases"));
  return Switching{release, true};
}

absl::Status CheckDecided(const records::State& state, const v1::Update& update,
                          const v1::PromoteUpdateRequest& request) {
  if (update.state() != v1::Update::DECIDED) {
    return absl::FailedPreconditionError(absl::StrCat(
        request.name(), " is ", v1::Update::State_Name(update.state()),
        ": only a DECIDED update can be promoted",
        update.state() == v1::Update::PROMOTED ? "; its release can be rolled back to" : ""));
  }
  if (update.release().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " has no release: recipe \"", update.recipe().name(), "\" of ",
                     update.vertex(), " can be evaluated, not served"));
  }
  if (update.baseline_release() != ReleaseName(state.live)) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was compared with ", update.baseline_release(), ", and ",
                     ReleaseName(state.live), " is live now: propose it again"));
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
  return absl::OkStatus();
}

v1::ReleaseEvent PromotionOf(const v1::PromoteUpdateRequest& request,
                             v1::Verdict::Outcome outcome) {
  v1::ReleaseEvent event;
  event.set_kind(v1::ReleaseEvent::PROMOTED);
  event.set_actor(request.actor());
  event.set_reason(request.reason().empty() ? absl::StrCat("verdict of ", request.name(), ": ",
                                                           v1::Verdict::Outcome_Name(outcome))
                                            : request.reason());
  event.set_verdict(outcome);
  event.set_override(outcome != v1::Verdict::SAFE);
  return event;
}

}  // namespace

absl::StatusOr<Switching> CheckPromotion(const records::State& state,
                                         const store::Repository& history,
                                         const v1::PromoteUpdateRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const Switching done, FindSwitched(history, request));
  if (done.is_done) return done;
  BACKFIRE_ASSIGN_OR_RETURN(const UpdatePointer found, FindUpdate(state, history, request.name()));
  const v1::Update& update = found->update();
  if (update.state() == v1::Update::PROMOTED && update.release() == ReleaseName(state.live)) {
    return Switching{state.live, true};
  }
  BACKFIRE_RETURN_IF_ERROR(CheckDecided(state, update, request));
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t release,
                            records::ParseNumber(update.release(), "releases"));
  return Switching{release, false};
}

absl::StatusOr<records::Change> PromoteUpdate(const records::State& state,
                                              const store::Repository& history,
                                              const v1::PromoteUpdateRequest& request,
                                              int64_t release, absl::Time now) {
  BACKFIRE_ASSIGN_OR_RETURN(const Switching switching, CheckPromotion(state, history, request));
  records::Change change;
  if (switching.is_done) return change;
  if (switching.release != release) {
    return absl::AbortedError(absl::StrCat(request.name(), " has another release now: try again"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const UpdatePointer found, FindUpdate(state, history, request.name()));
  BACKFIRE_ASSIGN_OR_RETURN(const records::ReleaseRecord record,
                            FindRelease(state, history, ReleaseName(release)));
  v1::Update& promoted = records::ChangeUpdate(found->number(), found->update(), change).update;
  promoted.set_state(v1::Update::PROMOTED);
  const v1::ReleaseEvent promotion = PromotionOf(request, found->update().verdict().outcome());
  promoted.set_end_actor(promotion.actor());
  promoted.set_end_reason(promotion.reason());
  *promoted.mutable_end_time() = planning::ToTimestamp(now);
  change.actor = request.actor();
  change.live_standing =
      found->With(std::make_shared<const v1::Update>(promoted), nullptr, {})->MakeStanding();
  planning::MakeLive(state, release, record, promotion, now, change);
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<UpdatePointer> decided,
                            DecidedUpdates(state, history, record.revision));
  BACKFIRE_RETURN_IF_ERROR(planning::SettleOthers(state, *found, release, decided, now, change));
  NoteDone(request.request_id(), request, ReleaseName(release), change);
  return change;
}

absl::StatusOr<Switching> CheckRollback(const records::State& state,
                                        const store::Repository& history,
                                        const v1::RollbackReleaseRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const Switching done, FindSwitched(history, request));
  if (done.is_done) return done;
  BACKFIRE_ASSIGN_OR_RETURN(const records::ReleaseRecord record,
                            FindRelease(state, history, request.name()));
  if (record.release.epoch() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was never live: promote its update instead"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t release,
                            records::ParseNumber(request.name(), "releases"));
  return Switching{release, release == state.live};
}

absl::StatusOr<records::Change> RollbackRelease(const records::State& state,
                                                const store::Repository& history,
                                                const v1::RollbackReleaseRequest& request,
                                                absl::Time now) {
  BACKFIRE_ASSIGN_OR_RETURN(const Switching switching, CheckRollback(state, history, request));
  records::Change change;
  if (switching.is_done) return change;
  BACKFIRE_ASSIGN_OR_RETURN(const records::ReleaseRecord record,
                            FindRelease(state, history, request.name()));
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t update,
                            records::ParseNumber(record.release.update(), "updates"));
  BACKFIRE_ASSIGN_OR_RETURN(change.live_standing, history.ReadStanding(update));
  v1::ReleaseEvent event;
  event.set_kind(v1::ReleaseEvent::ROLLED_BACK_TO);
  event.set_actor(request.actor());
  event.set_reason(request.reason());
  change.actor = request.actor();
  planning::MakeLive(state, switching.release, record, std::move(event), now, change);
  NoteDone(request.request_id(), request, request.name(), change);
  return change;
}

}  // namespace backfire::commands
