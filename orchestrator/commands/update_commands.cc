#include "orchestrator/commands/update_commands.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/commands/request_log.h"
#include "orchestrator/planning/release_changes.h"
#include "orchestrator/planning/timestamp.h"
#include "services/base/status.h"

namespace backfire::commands {
namespace {

bool IsTraining(const v1::Step& step) {
  return step.kind() == v1::Step::TRAIN || step.kind() == v1::Step::TRAIN_REFERENCE;
}

// Has services commit anew to what their versions give, and what was evaluated on it evaluated
// again: outputs that were computed again elsewhere may differ in their last bits, and are then
// refused by whoever is held to those of before. What still runs is begun anew as well: its attempt
// grows, so that the end of the job of before counts for nothing. What was trained stays, and what
// is being trained goes on: its lineage names the outputs that it was trained on.
void CommitAnew(const records::OpenUpdate& update, records::Change& change) {
  bool commits = false;
  for (size_t i = 0; i < update.step_count(); ++i) {
    const v1::Step& step = update.step(i).step;
    commits = commits || step.kind() == v1::Step::COMMIT;
    const bool has_begun = step.state() == v1::Step::SUCCEEDED || step.state() == v1::Step::RUNNING;
    // Commitments come first, in the order of steps, and loads have nothing to do with outputs.
    if (!commits || IsTraining(step) || step.kind() == v1::Step::LOAD || !has_begun) continue;
    records::StepRecord& record =
        records::ChangeStep({update.number(), i}, update.step(i), change).record;
    ++record.attempt;
    record.step.set_state(v1::Step::WAITING);
    record.step.clear_commitment();
    record.step.clear_evaluation();
  }
}

}  // namespace

absl::StatusOr<records::Change> CancelUpdate(const records::State& state,
                                             const store::Repository& history,
                                             const v1::CancelUpdateRequest& request,
                                             absl::Time now) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known,
                            FindDone(history, request.request_id(), request));
  BACKFIRE_ASSIGN_OR_RETURN(const UpdatePointer found, FindUpdate(state, history, request.name()));
  const v1::Update::State is = found->update().state();
  records::Change change;
  if (!known.empty() || is == v1::Update::CANCELLED || is == v1::Update::REJECTED) return change;
  if (is == v1::Update::PROMOTED) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was promoted; to undo that, roll back to another release"));
  }
  if (is == v1::Update::FAILED && found->update().baseline()) {
    return absl::FailedPreconditionError(absl::StrCat(
        request.name(), " is the system's baseline: retry it, or apply another system"));
  }
  v1::Update& update = records::ChangeUpdate(found->number(), found->update(), change).update;
  update.set_state(is == v1::Update::DECIDED ? v1::Update::REJECTED : v1::Update::CANCELLED);
  update.set_end_actor(request.actor());
  update.set_end_reason(request.reason());
  *update.mutable_end_time() = planning::ToTimestamp(now);
  change.actor = request.actor();
  // Steps that run stay RUNNING until their jobs have stopped, so that a restart goes on with that.
  for (size_t i = 0; i < found->step_count(); ++i) {
    if (found->step(i).step.state() != v1::Step::WAITING) continue;
    records::ChangeStep({found->number(), i}, found->step(i), change)
        .record.step.set_state(v1::Step::CANCELLED);
  }
  planning::AbandonRelease(state, found->update(),
                           absl::StrCat("its update was cancelled",
                                        request.reason().empty() ? "" : ": ", request.reason()),
                           state.epoch, now, change);
  NoteDone(request.request_id(), request, request.name(), change);
  return change;
}

absl::StatusOr<records::Change> RetryUpdate(const records::State& state,
                                            const store::Repository& history,
                                            const v1::RetryUpdateRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known,
                            FindDone(history, request.request_id(), request));
  records::Change change;
  if (!known.empty()) return change;
  BACKFIRE_ASSIGN_OR_RETURN(const UpdatePointer found, FindUpdate(state, history, request.name()));
  if (found->update().state() != v1::Update::FAILED) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " is ", v1::Update::State_Name(found->update().state()),
                     ": only a FAILED update can be retried"));
  }
  if (state.FindUpdate(found->number()) == nullptr) change.reopened.push_back(found);
  v1::Update& update = records::ChangeUpdate(found->number(), found->update(), change).update;
  update.set_state(v1::Update::PROPOSED);
  update.clear_error_message();
  update.clear_end_time();
  update.clear_end_actor();
  update.clear_end_reason();
  change.actor = request.actor();
  const auto again = [&](size_t position) {
    v1::Step& step =
        records::ChangeStep({found->number(), position}, found->step(position), change).record.step;
    step.set_state(v1::Step::WAITING);
    step.clear_error_code();
    step.clear_error_message();
  };
  bool is_data_lost = false;
  for (size_t i = 0; i < found->step_count(); ++i) {
    const v1::Step& step = found->step(i).step;
    if (step.state() != v1::Step::FAILED) continue;
    is_data_lost =
        is_data_lost || step.error_code() == static_cast<int>(absl::StatusCode::kDataLoss);
    again(i);
  }
  if (is_data_lost) CommitAnew(*found, change);
  // What failed then is what follows the last step; it is done again, and so is what follows.
  for (size_t i = found->step_count(); change.steps.empty() && i > 0; --i) {
    if (found->step(i - 1).step.state() == v1::Step::SUCCEEDED) again(i - 1);
  }
  // What still runs goes on; what made the update fail may make it fail as well, which is then of
  // the attempt before. Trainings keep their jobs' names, by which a restart takes up the work of
  // hours.
  for (size_t i = 0; i < found->step_count(); ++i) {
    const records::StepRef ref{found->number(), i};
    const v1::Step& step = found->step(i).step;
    if (step.state() != v1::Step::RUNNING || IsTraining(step) || change.steps.count(ref) > 0) {
      continue;
    }
    ++records::ChangeStep(ref, found->step(i), change).record.attempt;
  }
  NoteDone(request.request_id(), request, request.name(), change);
  return change;
}

}  // namespace backfire::commands
