#include "orchestrator/planning/advance.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/release_changes.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/planning/timestamp.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "orchestrator/verdict/verdict.h"
#include "services/base/status.h"

namespace backfire::planning {
namespace {

using records::Change;

// What the update's due steps leave to do.
struct Progress {
  bool all_done = false;
  bool only_loads_left = false;
  bool is_prepared = false;      // What can be loaded has a release to be loaded for.
  bool changes_nothing = false;  // There is nothing to write but the step.
  bool takes_look = false;
  bool takes_verdict = false;
  bool needs_judgement() const { return takes_look || takes_verdict; }
};

Progress ProgressOf(const records::OpenUpdate& update) {
  const v1::Update& message = update.update();
  const records::Unfinished& left = update.unfinished();
  Progress progress;
  progress.all_done = left.steps == 0;
  progress.only_loads_left = left.steps == left.loads;
  progress.is_prepared = !update.has_loads() || !message.release().empty();
  progress.changes_nothing = !progress.all_done && update.Phase() == message.state() &&
                             !(progress.only_loads_left && !progress.is_prepared);
  if (progress.changes_nothing) return progress;
  progress.takes_look = progress.only_loads_left && message.look() < message.planned_looks();
  progress.takes_verdict =
      progress.all_done && !message.baseline() && !records::CompletesReplicates(message);
  return progress;
}

// The digest of the dataset that a job read.
std::string DatasetOf(const v1::Job& job, const v1::Step& step) {
  if (job.has_evaluation()) return job.evaluation().dataset_digest();
  if (job.has_commitment()) return job.commitment().dataset_digest();
  return step.kind() == v1::Step::TRAIN ? job.version().dataset().digest() : "";
}

// Trainings that succeeded have read the same dataset, so that one of them speaks for all.
absl::Status CheckDataset(const records::OpenUpdate& update, const v1::Job& job,
                          const v1::Step& step) {
  if (!job.has_evaluation() && !job.has_commitment() && step.kind() != v1::Step::TRAIN) {
    return absl::OkStatus();
  }
  // It has versions of others, whose datasets were compared then.
  if (records::CompletesReplicates(update.update())) return absl::OkStatus();
  const std::string digest = DatasetOf(job, step);
  for (size_t i = 0; i < update.step_count(); ++i) {
    const v1::Step& other = update.step(i).step;
    if (other.kind() != v1::Step::TRAIN || other.state() != v1::Step::SUCCEEDED) continue;
    // A proposed version may have learnt from anything; only what it is judged on must be equal.
    if (records::TakesProposedVersion(update.update(), other)) continue;
    if (other.version().dataset().digest() == digest) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("services read different datasets: digest ", digest, " here, ",
                     other.version().dataset().digest(), " in step ", other.id(),
                     "; give all services the same data"));
  }
  return absl::OkStatus();
}

// A service that has lost its versions counts from 1 again: what it trains then has names of others
// that are live or were compared with, and would be served by them.
absl::Status CheckName(const records::OpenUpdate& update, const v1::Job& job,
                       const v1::Step& step) {
  if (step.kind() != v1::Step::TRAIN || update.base() == nullptr) return absl::OkStatus();
  const records::Standing& base = *update.base();
  for (int k = 0; k < base.update().replicates(); ++k) {
    const absl::StatusOr<v1::Version> known = VersionAsOf(base, step.vertex(), k);
    if (!known.ok() || known->name() != job.version().name() ||
        known->digest() == job.version().digest()) {
      continue;
    }
    return absl::DataLossError(absl::StrCat(
        known->name(), " is another version (digest ", job.version().digest(), ") than ",
        update.update().baseline_release(), " has by that name (", known->digest(),
        "): its service lost its data directory, or got another; restore it from a backup, or "
        "apply the system with another seed for a baseline of new versions"));
  }
  return absl::OkStatus();
}

absl::Status StatusOf(const records::OpenUpdate& update, size_t position, const JobEnd& end) {
  BACKFIRE_RETURN_IF_ERROR(end.job.status());
  const v1::Job& job = *end.job;
  if (job.state() == v1::Job::SUCCEEDED) {
    BACKFIRE_RETURN_IF_ERROR(CheckName(update, job, update.step(position).step));
    return CheckDataset(update, job, update.step(position).step);
  }
  const absl::Status status(static_cast<absl::StatusCode>(job.error_code()), job.error_message());
  return status.ok() ? absl::UnknownError("the service gave no reason") : status;
}

v1::Evaluation WithoutResamples(v1::Evaluation evaluation) {
  for (v1::LossEstimate& loss : *evaluation.mutable_losses()) loss.clear_resampled();
  return evaluation;
}

// Whether a step still waits for the end of this job.
bool IsAwaited(const records::StepRecord& record, const JobEnd& end) {
  return record.step.state() == v1::Step::RUNNING && end.attempt <= record.attempt;
}

std::shared_ptr<const records::OpenUpdate> Ended(const records::OpenUpdate& update, size_t position,
                                                 const records::StepRecord& record) {
  return update.With(nullptr, nullptr, {{position, record}});
}

// What an update's end takes from outside the state.
struct Answers {
  const Judgement* judgement = nullptr;  // Where it was judged.
  const ReadDecided& decided;
};

// Makes the release of an update that has no verdict the live one.
absl::Status FinishUnjudged(const records::State& state, const records::OpenUpdate& update,
                            int64_t number, const records::ReleaseRecord& release,
                            const ReadDecided& decided, absl::Time now, Change& change) {
  v1::Update& changed = change.updates.at(update.number()).update;
  const bool completes = records::CompletesReplicates(changed);
  *changed.mutable_end_time() = ToTimestamp(now);
  if (completes && changed.baseline_release() != records::ReleaseName(state.live)) {
    changed.set_state(v1::Update::CANCELLED);
    changed.set_error_message(absl::StrCat(changed.baseline_release(), " is live no more"));
    changed.set_end_reason(changed.error_message());
    AbandonRelease(state, changed, changed.error_message(), state.epoch, now, change);
    return absl::OkStatus();
  }
  changed.set_state(v1::Update::PROMOTED);
  changed.set_end_reason(completes ? "it needs no verdict" : "a baseline needs no verdict");
  v1::ReleaseEvent event;
  event.set_kind(v1::ReleaseEvent::PROMOTED);
  event.set_reason(completes ? absl::StrCat("all replicates of ", changed.baseline_release())
                             : "baseline");
  MakeLive(state, number, release, std::move(event), now, change);
  change.live_standing =
      update.With(std::make_shared<const v1::Update>(changed), nullptr, {})->MakeStanding();
  if (!completes) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const auto others, decided(state, changed.system_revision()));
  return SettleOthers(state, update, number, others, now, change);
}

// Makes the release of an update, all of whose versions are loaded, the live or a staged one.
absl::Status Finish(const records::State& state, const records::OpenUpdate& update,
                    const Answers& answers, absl::Time now, Change& change) {
  records::UpdateChange& changed = change.updates.at(update.number());
  int64_t number = 0;
  records::ReleaseRecord release;
  if (update.has_loads()) {
    BACKFIRE_ASSIGN_OR_RETURN(number, records::ParseNumber(changed.update.release(), "releases"));
    const records::ReleaseRecord* known = state.FindRelease(number);
    if (known == nullptr && change.releases.count(number) == 0) {
      return absl::InternalError(absl::StrCat(changed.update.release(), " is not known"));
    }
    if (known != nullptr) release = *known;
  }
  if (changed.update.baseline() || records::CompletesReplicates(changed.update)) {
    return FinishUnjudged(state, update, number, release, answers.decided, now, change);
  }
  const Judgement& judgement = *answers.judgement;
  *changed.update.mutable_verdict() = judgement.verdict;
  changed.update.mutable_diagnoses()->Assign(judgement.diagnoses.begin(),
                                             judgement.diagnoses.end());
  changed.test_split = judgement.test_split;
  changed.update.set_state(v1::Update::DECIDED);
  // Of looks that need not be taken.
  for (size_t i = 0; i < update.step_count(); ++i) {
    if (records::IsDue(changed.update, update.step(i).step)) continue;
    records::ChangeStep({update.number(), i}, update.step(i), change)
        .record.step.set_state(v1::Step::CANCELLED);
  }
  if (update.has_loads()) {
    records::ChangeRelease(number, release, change).record.release.set_state(v1::Release::STAGED);
  }
  *changed.update.mutable_decide_time() = ToTimestamp(now);
  *changed.update.mutable_end_time() = ToTimestamp(now);
  return absl::OkStatus();
}

// Sets the state that an update's steps say; makes its release, verdict and end.
// @param update  With the step that ended.
absl::Status Advance(const records::State& state, const records::OpenUpdate& update,
                     const Answers& answers, absl::Time now, Change& change) {
  const Progress progress = ProgressOf(update);
  if (progress.changes_nothing) return absl::OkStatus();
  v1::Update& changed = records::ChangeUpdate(update.number(), update.update(), change).update;
  changed.set_state(update.Phase());
  if (progress.takes_look) {
    // Harm that was found stands: more evidence can't spend again what found it.
    const v1::Verdict& verdict = answers.judgement->verdict;
    if (verdict.outcome() == v1::Verdict::INCONCLUSIVE && !verdict::Blocks(verdict)) {
      *changed.add_earlier_looks() = verdict;
      changed.set_look(changed.look() + 1);
      changed.set_replicates(
          ReplicatesOfLook(changed.planned_replicates(), changed.planned_looks(), changed.look()));
      const auto next = update.With(std::make_shared<const v1::Update>(changed), nullptr, {});
      changed.set_state(next->Phase());
      return absl::OkStatus();
    }
  }
  // What can't be loaded can be judged, and can't be released.
  if (update.has_loads() && progress.only_loads_left && changed.release().empty()) {
    BACKFIRE_RETURN_IF_ERROR(MakeRelease(state, update, change).status());
  }
  if (!progress.all_done) return absl::OkStatus();
  return Finish(state, update, answers, now, change);
}

}  // namespace

records::StepRecord EndStep(const records::OpenUpdate& update, size_t position, const JobEnd& end) {
  records::StepRecord record = update.step(position);
  v1::Step& step = record.step;
  step.clear_progress();
  if (end.job.ok() && end.job->state() == v1::Job::SUCCEEDED) {
    step.set_compute_seconds(end.job->compute_seconds());
    step.set_saved_seconds(end.job->saved_seconds());
    step.set_outputs_reused(end.job->outputs_reused());
    step.set_outputs_produced(end.job->outputs_produced());
    if (end.job->has_version()) *step.mutable_version() = end.job->version();
    if (end.job->has_commitment()) *step.mutable_commitment() = end.job->commitment();
    if (end.job->has_evaluation()) {
      *step.mutable_evaluation() = WithoutResamples(end.job->evaluation());
    }
  }
  const absl::Status status = StatusOf(update, position, end);
  if (status.ok()) {
    step.set_state(v1::Step::SUCCEEDED);
    return record;
  }
  // A job that failed keeps its name for ever; one that could not be reached is taken up again.
  if (end.job.ok()) ++record.attempt;
  step.set_state(end.was_cancelled ? v1::Step::CANCELLED : v1::Step::FAILED);
  step.set_error_code(static_cast<int>(status.code()));
  step.set_error_message(std::string(status.message()));
  return record;
}

bool NeedsJudgement(const records::OpenUpdate& update, size_t position, const JobEnd& end) {
  if (!records::IsOpen(update.update()) || update.update().baseline() ||
      records::CompletesReplicates(update.update())) {
    return false;
  }
  if (!IsAwaited(update.step(position), end)) return false;
  const records::Unfinished& left = update.unfinished();
  if (left.steps - left.loads > 1) return false;  // Something is left to evaluate after this.
  if (!StatusOf(update, position, end).ok()) return false;
  records::StepRecord record = update.step(position);
  record.step.set_state(v1::Step::SUCCEEDED);
  return ProgressOf(*Ended(update, position, record)).needs_judgement();
}

absl::StatusOr<Change> StepEnded(const records::State& state, records::StepRef ref,
                                 const JobEnd& end,
                                 const std::optional<absl::StatusOr<Judgement>>& judgement,
                                 const ReadDecided& decided, absl::Time now) {
  const records::OpenUpdate* update = state.FindUpdate(ref.update);
  if (update == nullptr) {
    return absl::InternalError(
        absl::StrCat(records::UpdateName(ref.update), " has no step that runs"));
  }
  Change change;
  const records::StepRecord& known = update->step(ref.position);
  if (!IsAwaited(known, end)) return change;
  const records::StepRecord record = EndStep(*update, ref.position, end);
  const v1::Step& step = record.step;
  if (step.state() == v1::Step::FAILED && end.attempt < known.attempt &&
      update->update().state() != v1::Update::CANCELLED) {
    records::ChangeStep(ref, known, change).record.step.set_state(v1::Step::WAITING);
    return change;
  }
  const bool is_open = records::IsOpen(update->update());
  absl::Status status;
  if (step.state() != v1::Step::SUCCEEDED) {
    status = absl::Status(static_cast<absl::StatusCode>(step.error_code()), step.error_message());
  } else if (is_open) {
    const auto ended = Ended(*update, ref.position, record);
    const bool needs_judgement = ProgressOf(*ended).needs_judgement();
    if (needs_judgement && !judgement.has_value()) {
      return absl::AbortedError("the update is to be judged");
    }
    if (needs_judgement) status = judgement->status();
    if (status.ok()) {
      const Answers answers{needs_judgement ? &**judgement : nullptr, decided};
      status = Advance(state, *ended, answers, now, change);
    }
  }
  if (!status.ok() && is_open) {
    change = Change();
    v1::Update& failed = records::ChangeUpdate(ref.update, update->update(), change).update;
    failed.set_state(v1::Update::FAILED);
    failed.set_error_message(absl::StrCat("step ", step.id(), ": ", std::string(status.message())));
    *failed.mutable_end_time() = ToTimestamp(now);
  }
  records::StepChange& changed = change.steps[ref];
  changed.from = update->step(ref.position).step.state();
  changed.record = record;
  if (end.job.ok() && end.job->has_evaluation() && step.state() == v1::Step::SUCCEEDED) {
    changed.evaluation = end.job->evaluation();
  }
  return change;
}

}  // namespace backfire::planning
