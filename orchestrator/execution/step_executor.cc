#include "orchestrator/execution/step_executor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/evidence/forecast.h"
#include "orchestrator/evidence/judgement.h"
#include "orchestrator/execution/job_result.h"
#include "orchestrator/execution/patience.h"
#include "orchestrator/planning/commit_steps.h"
#include "orchestrator/planning/schedule.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "services/base/crash_point.h"
#include "services/base/status.h"

namespace backfire::execution {
namespace {

using records::StepRef;

// How long the disk is left alone after it refused a write.
constexpr absl::Duration kWritePause = absl::Seconds(1);
// A thread that waits for news looks this often anyway.
constexpr absl::Duration kIdle = absl::Hours(1);

}  // namespace

StepExecutor::StepExecutor(ledger::Ledger& ledger, JobBackend& backend, VersionLoader& loader,
                           const Clock& clock, planning::ReadDecided decided, Events events)
    : ledger_(ledger),
      backend_(backend),
      loader_(loader),
      clock_(clock),
      decided_(std::move(decided)),
      events_(std::move(events)) {}

StepExecutor::~StepExecutor() { Stop(); }

void StepExecutor::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void StepExecutor::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void StepExecutor::Loop() {
  bool goes_on = true;
  while (goes_on && !stopping_) {
    const int64_t seen = ledger_.changes().count();
    const bool is_written = RunOnce();
    goes_on = ledger_.changes().Wait(seen, is_written ? kIdle : kWritePause);
  }
  stopping_ = true;
  // Running steps notice that, and end without a trace.
  MutexLock lock(mutex_);
  while (!running_.empty()) ended_changed_.Wait(mutex_);
}

std::set<StepRef> StepExecutor::RunningSteps() const {
  MutexLock lock(mutex_);
  std::set<StepRef> steps;
  for (const auto& [ref, running] : running_) steps.insert(ref);
  return steps;
}

void StepExecutor::CancelOutdated(const records::State& state) {
  MutexLock lock(mutex_);
  for (const auto& [ref, running] : running_) {
    const records::OpenUpdate* update = state.FindUpdate(ref.update);
    const int64_t attempt = running->attempt;
    if (update == nullptr || attempt == 0) continue;
    const records::StepRecord& record = update->step(ref.position);
    if (record.attempt != attempt && record.step.state() != v1::Step::RUNNING) {
      running->cancel = true;
    }
  }
}

bool StepExecutor::RunOnce() {
  const std::set<StepRef> running = RunningSteps();
  const ledger::Ledger::StatePointer state = ledger_.state();
  CancelOutdated(*state);
  const planning::Schedule schedule = planning::MakeSchedule(*state, running);
  for (const StepRef& ref : schedule.cancel) Cancel(ref);
  for (const StepRef& ref : schedule.resume) {
    const records::OpenUpdate& update = *state->FindUpdate(ref.update);
    const std::string& id = update.step(ref.position).step.id();
    CrashPoint("step-start", update.update().name(), "/", id);
    CrashPoint("step-started", update.update().name(), "/", id);
    RunStep(ref, /*cancel=*/false);
  }
  absl::Status status;
  for (const int64_t number : schedule.rebase) {
    if (status.ok()) status = Rebase(*state, number);
  }
  for (const StepRef& ref : schedule.start) {
    // Of a step that was retried, the thread before may not be gone yet; its end is news.
    if (status.ok() && running.count(ref) == 0) status = StartStep(ref);
  }
  LogUnwritten(status);
  return status.ok();
}

void StepExecutor::Cancel(StepRef ref) {
  {
    MutexLock lock(mutex_);
    const auto found = running_.find(ref);
    if (found != running_.end()) {
      found->second->cancel = true;
      return;
    }
  }
  // It may have ended since the state was looked at.
  const auto state = ledger_.state();
  const records::OpenUpdate* update = state->FindUpdate(ref.update);
  if (update == nullptr || update->step(ref.position).step.state() != v1::Step::RUNNING) return;
  RunStep(ref, /*cancel=*/true);
}

absl::Status StepExecutor::StartStep(StepRef ref) {
  const auto state = ledger_.state();
  const records::OpenUpdate* update = state->FindUpdate(ref.update);
  if (update == nullptr) return absl::OkStatus();
  const std::string name =
      absl::StrCat(update->update().name(), "/", update->step(ref.position).step.id());
  const auto started = ledger_.Commit(
      [&](const records::State& newest) {
        absl::StatusOr<records::Change> change = planning::StartStep(newest, ref);
        if (change.ok()) CrashPoint("step-start", name);
        return change;
      },
      [&] { CrashPoint("step-started", name); });
  if (absl::IsAborted(started.status())) return absl::OkStatus();
  BACKFIRE_RETURN_IF_ERROR(started.status());
  RunStep(ref, /*cancel=*/false);
  return absl::OkStatus();
}

absl::Status StepExecutor::Rebase(const records::State& state, int64_t number) {
  planning::Forecast forecast;
  forecast.release = state.live;
  const records::OpenUpdate& update = *state.FindUpdate(number);
  const auto system = state.FindSystem(update.update().system_revision());
  // What completes replicates shows nothing.
  if (system.ok() && state.live_standing != nullptr &&
      !records::CompletesReplicates(update.update())) {
    const evidence::ReadEvaluation read = [this](StepRef ref) {
      return ledger_.history().ReadEvaluation(ref);
    };
    const evidence::Comparison comparison{**system, update.update(), *state.live_standing, read};
    // Without them it can be judged all the same.
    auto sensitivities = evidence::BuildSensitivities(comparison);
    if (sensitivities.ok()) forecast.sensitivities = *std::move(sensitivities);
    auto reuse = evidence::BuildReuse(comparison);
    if (reuse.ok()) forecast.reuse = *std::move(reuse);
  }
  const absl::Status status = ledger_
                                  .Commit([&](const records::State& newest) {
                                    return planning::Rebase(newest, number, forecast, clock_.Now());
                                  })
                                  .status();
  return absl::IsAborted(status) ? absl::OkStatus() : status;
}

void StepExecutor::RunStep(StepRef ref, bool cancel) {
  auto owned = std::make_unique<Running>();
  Running* const running = owned.get();
  running->cancel = cancel;
  running->start = clock_.Steady();
  {
    MutexLock lock(mutex_);
    running_[ref] = std::move(owned);
  }
  threads_.Run([this, ref, running] {
    Finish(ref, *running, Execute(ref, *running));
    {
      MutexLock ending(mutex_);
      running_.erase(ref);
      ended_changed_.NotifyAll();
    }
    ledger_.changes().Notify();
  });
}

absl::StatusOr<v1::Job> StepExecutor::Execute(StepRef ref, Running& running) {
  const auto state = ledger_.state();
  const records::OpenUpdate* update = state->FindUpdate(ref.update);
  if (update == nullptr) return absl::InternalError("the step's update is not known");
  const v1::Step& step = update->step(ref.position).step;
  running.attempt = update->step(ref.position).attempt;
  spdlog::info("step state={} update={} step={}", running.cancel ? "CANCELLING" : "RUNNING",
               update->update().name(), step.id());
  if (step.kind() != v1::Step::LOAD) return RunJob(*state, ref, running);

  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state->FindSystem(update->update().system_revision()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version,
                            planning::VersionAsOf(*update, step.vertex(), step.replicate()));
  BACKFIRE_RETURN_IF_ERROR(
      loader_.Load({{system->graph.node(step.vertex()).vertex, version.name(), version.digest()}},
                   PatienceOf(system->system(), absl::StrCat(update->update().name(), step.id())),
                   [&] { return stopping_ || running.cancel; }));
  v1::Job job;
  job.set_state(v1::Job::SUCCEEDED);
  job.mutable_version()->set_name(version.name());
  return job;
}

absl::StatusOr<v1::Job> StepExecutor::RunJob(const records::State& state, StepRef ref,
                                             Running& running) {
  const records::OpenUpdate& update = *state.FindUpdate(ref.update);
  const v1::Step& step = update.step(ref.position).step;
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state.FindSystem(update.update().system_revision()));
  BACKFIRE_ASSIGN_OR_RETURN(
      const planning::JobRequest request,
      planning::BuildJobRequest(state.identity, *system, update, ref.position));
  const std::string& endpoint = system->graph.node(step.vertex()).vertex.endpoint();
  const auto& capabilities = system->models.at(step.vertex()).capabilities();
  const bool can_watch = std::count(capabilities.begin(), capabilities.end(), v1::WATCH_JOB) > 0;
  const auto interrupt = [&] {
    if (stopping_) return Interrupt::kStop;
    return running.cancel ? Interrupt::kCancel : Interrupt::kNone;
  };
  BACKFIRE_ASSIGN_OR_RETURN(
      v1::Job job,
      backend_.Run(endpoint, request, can_watch,
                   PatienceOf(system->system(), absl::StrCat(update.update().name(), step.id())),
                   interrupt,
                   [&](const v1::Progress& progress) { NoteProgress(ref, running, progress); }));
  if (job.state() != v1::Job::SUCCEEDED) return job;
  const bool verifies = planning::CommitsOutputs(system->models.at(step.vertex()));
  if (const absl::Status status = CheckJobResult(request, job, verifies); !status.ok()) {
    job.set_state(v1::Job::FAILED);
    job.set_error_code(static_cast<int>(status.code()));
    job.set_error_message(absl::StrCat(endpoint, ": ", std::string(status.message())));
  }
  return job;
}

void StepExecutor::NoteProgress(StepRef ref, Running& running, const v1::Progress& progress) {
  bool moved = false;
  {
    MutexLock lock(mutex_);
    // Services say again what they said before.
    moved =
        running.progress.step() != progress.step() || running.progress.stage() != progress.stage();
    running.progress = progress;
  }
  if (moved && events_.moved) events_.moved(ref.update);
  ledger_.changes().Notify();
}

std::map<size_t, v1::Progress> StepExecutor::ProgressOf(int64_t update) const {
  MutexLock lock(mutex_);
  std::map<size_t, v1::Progress> progress;
  for (auto entry = running_.lower_bound({update, 0});
       entry != running_.end() && entry->first.update == update; ++entry) {
    progress[entry->first.position] = entry->second->progress;
  }
  return progress;
}

absl::StatusOr<planning::Judgement> StepExecutor::Judge(const records::State& state,
                                                        const records::OpenUpdate& update,
                                                        size_t position,
                                                        const planning::JobEnd& end) const {
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state.FindSystem(update.update().system_revision()));
  const auto ended =
      update.With(nullptr, nullptr, {{position, planning::EndStep(update, position, end)}});
  const StepRef last{update.number(), position};
  const evidence::ReadEvaluation read = [&](StepRef ref) -> absl::StatusOr<v1::Evaluation> {
    // The last one is not written yet.
    if (ref == last && end.job->has_evaluation()) return end.job->evaluation();
    return ledger_.history().ReadEvaluation(ref);
  };
  return evidence::Judge(*system, *ended, read, [&](const std::string& test_split) {
    return ledger_.history().CountJudged(test_split, update.number());
  });
}

void StepExecutor::Finish(StepRef ref, const Running& running, absl::StatusOr<v1::Job> job) {
  // It goes on after the restart.
  if (absl::IsCancelled(job.status()) && stopping_) return;
  planning::JobEnd end{std::move(job), false, running.attempt};
  std::string name;
  while (true) {
    end.was_cancelled = running.cancel;
    const auto state = ledger_.state();
    const records::OpenUpdate* update = state->FindUpdate(ref.update);
    if (update == nullptr) return;  // Nothing of it runs, by what is on disk.
    if (name.empty()) {
      name = absl::StrCat(update->update().name(), "/", update->step(ref.position).step.id());
      CrashPoint("step-end", name);
    }
    std::optional<absl::StatusOr<planning::Judgement>> judgement;
    if (planning::NeedsJudgement(*update, ref.position, end)) {
      judgement = Judge(*state, *update, ref.position, end);
    }
    std::optional<v1::Step> step;
    const auto decide = [&](const records::State& newest) {
      auto change = planning::StepEnded(newest, ref, end, judgement, decided_, clock_.Now());
      step.reset();
      if (change.ok() && !change->empty()) step = change->steps.at(ref).record.step;
      return change;
    };
    const absl::Status status =
        ledger_.Commit(decide, [&] { CrashPoint("step-ended", name); }).status();
    if (status.ok() && (!step.has_value() || step->state() == v1::Step::WAITING)) {
      spdlog::info("step state=BEGUN_ANEW step={} attempt={}", name, end.attempt);
      return;
    }
    if (status.ok()) {
      const std::chrono::duration<double> took = clock_.Steady() - running.start;
      if (events_.ended) events_.ended(*step, records::UpdateName(ref.update), took.count());
      return;
    }
    // Another step has ended meanwhile, so that this one's end is the last now.
    if (absl::IsAborted(status) && !judgement.has_value()) continue;
    LogUnwritten(status);
    if (absl::IsInternal(status) && end.job.ok()) {
      end.job = status;  // A fault of ours: the step says so, and can be retried.
      continue;
    }
    // Nothing is lost: it is tried again, and after a restart the job is found by its name.
    const int64_t seen = ledger_.changes().count();
    if (stopping_ || !ledger_.changes().Wait(seen, kWritePause)) return;
  }
}

void StepExecutor::LogUnwritten(const absl::Status& status) {
  MutexLock lock(mutex_);
  const std::string error(status.message());
  if (!status.ok() && error != unwritten_)
    spdlog::error("store state=UNWRITTEN error=\"{}\"", error);
  unwritten_ = error;
}

}  // namespace backfire::execution
