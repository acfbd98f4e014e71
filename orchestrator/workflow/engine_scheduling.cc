// The half of the engine that runs: which steps are due, running them, and what their ends mean.
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/verdict/verdict.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/engine_state.h"
#include "orchestrator/workflow/job_result.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/records.h"
#include "orchestrator/workflow/references.h"
#include "services/base/crash_point.h"
#include "services/base/status.h"

namespace backfire::workflow {
namespace {

using google::protobuf::util::TimeUtil;

v1::Evaluation WithoutResamples(v1::Evaluation evaluation) {
  for (v1::LossEstimate& loss : *evaluation.mutable_losses()) loss.clear_resampled();
  return evaluation;
}

}  // namespace

void Engine::Schedule() {
  {
    MutexLock lock(mutex_);
    CancelInterrupted();
    while (!stopping_) {
      for (std::thread& thread : finished_) thread.join();
      finished_.clear();
      work_waits_ = false;
      StartReadySteps();
      while (!work_waits_ && !stopping_) work_.Wait(mutex_);
    }
  }
  // Running steps notice that the engine stops, and end without a trace.
  while (true) {
    std::vector<std::thread> threads;
    {
      MutexLock lock(mutex_);
      threads = std::move(finished_);
      finished_.clear();
      if (threads.empty() && running_.empty()) return;
      if (threads.empty()) {
        work_waits_ = false;
        while (!work_waits_) work_.Wait(mutex_);
      }
    }
    for (std::thread& thread : threads) thread.join();
  }
}

void Engine::CancelInterrupted() {
  for (const auto& [number, update] : contents_.updates) {
    if (update.update.state() != v1::Update::CANCELLED) continue;
    for (size_t i = 0; i < update.steps.size(); ++i) {
      if (update.steps[i].step.state() == v1::Step::RUNNING) RunStep({number, i}, /*cancel=*/true);
    }
  }
}

void Engine::StartReadySteps() {
  for (auto& entry : contents_.updates) {
    const int64_t number = entry.first;
    store::UpdateRecord& update = entry.second;
    if (!IsOpen(update.update) || WaitsFor(update) != 0) continue;
    if (HasNotBegun(update) && !Rebase(update)) continue;
    const graph::SystemGraph& graph = GraphOf(update.update.system_revision());
    const size_t places = static_cast<size_t>(std::max(1, graph.system().parallel_jobs()));
    std::vector<std::vector<size_t>>& dependencies = dependencies_[number];
    if (dependencies.empty()) {
      std::vector<v1::Step> steps;
      for (const store::StepRecord& record : update.steps) steps.push_back(record.step);
      dependencies = Dependencies(graph, steps);
    }
    for (size_t i = 0; i < update.steps.size() && running_.size() < places; ++i) {
      const v1::Step& step = update.steps[i].step;
      if (step.state() != v1::Step::WAITING || !IsDue(update.update, step)) continue;
      const bool ready =
          std::all_of(dependencies[i].begin(), dependencies[i].end(), [&](size_t needed) {
            const v1::Step& other = update.steps[needed].step;
            return other.state() == v1::Step::SUCCEEDED || !IsDue(update.update, other);
          });
      if (ready) StartStep(update, i);
      if (!IsOpen(update.update)) break;  // It could not be written.
    }
  }
}

bool Engine::Rebase(store::UpdateRecord& update) {
  const int64_t live = LiveRelease();
  if (update.update.baseline() || update.update.baseline_release() == ReleaseName(live))
    return true;
  Change change;
  v1::Update& changed = change.updates[update.number] = update.update;
  const auto base = FindUpdate(contents_.releases.at(live).update());
  absl::Status fit = base.status();
  if (fit.ok() && ((*base)->update.system_revision() != changed.system_revision() ||
                   (*base)->update.replicates() < changed.planned_replicates())) {
    fit = absl::FailedPreconditionError("it has another system, or too few replicates");
  }
  if (fit.ok() && !changed.version().empty()) {
    for (const store::StepRecord& record : update.steps) {
      if (record.step.kind() != v1::Step::TRAIN || record.step.vertex() != changed.vertex()) {
        continue;
      }
      fit = CheckProposedLineage(record.step.version(), GraphOf(changed.system_revision()),
                                 changed.vertex(), (*base)->number);
      break;
    }
  }
  if (!fit.ok()) {
    changed.set_state(v1::Update::REJECTED);
    changed.set_error_message(
        absl::StrCat(ReleaseName(live),
                     " became the live one while this update waited, and can't be what it is ",
                     "compared with: ", std::string(fit.message()), "; propose it again"));
    *changed.mutable_end_time() = TimeUtil::GetCurrentTime();
  } else {
    changed.set_baseline_release(ReleaseName(live));
    store::UpdateRecord rebased;
    rebased.update = changed;
    const auto sensitivities =
        BuildSensitivities(contents_, GraphOf(changed.system_revision()), rebased);
    changed.clear_sensitivities();
    changed.clear_reuse();
    const auto reuse = BuildReuse(contents_, GraphOf(changed.system_revision()), changed);
    if (reuse.ok()) *changed.mutable_reuse() = *reuse;
    // Without them it can be judged all the same.
    for (const v1::Sensitivity& sensitivity :
         sensitivities.value_or(std::vector<v1::Sensitivity>())) {
      *changed.add_sensitivities() = sensitivity;
    }
  }
  const bool begins = changed.state() != v1::Update::REJECTED;
  const absl::Status status = Commit(std::move(change));
  if (!status.ok()) FailUnwritten(update.number, status);
  return status.ok() && begins;
}

void Engine::FailUnwritten(int64_t number, const absl::Status& status) {
  // What is on disk is older, and right; a retry, or a restart, goes on from there.
  spdlog::error("update state=UNSAVED update={} error=\"{}\"", UpdateName(number),
                std::string(status.message()));
  v1::Update& update = contents_.updates.at(number).update;
  if (!IsOpen(update)) return;
  update.set_state(v1::Update::FAILED);
  update.set_error_message(absl::StrCat("the orchestrator: ", std::string(status.message())));
  Changed();
}

void Engine::StartStep(const store::UpdateRecord& update, size_t position) {
  const StepKey key(update.number, position);
  Change change;
  store::StepRecord& record = change.steps[key] = update.steps[position];
  record.step.set_state(v1::Step::RUNNING);
  v1::Update changed = update.update;
  const v1::Update::State state = PhaseOf(update);
  if (state != changed.state()) {
    changed.set_state(state);
    change.updates[update.number] = std::move(changed);
  }
  CrashPoint("step-start", update.update.name(), "/", record.step.id());
  if (const absl::Status status = Commit(std::move(change)); !status.ok()) {
    FailUnwritten(key.first, status);
    return;
  }
  CrashPoint("step-started", update.update.name(), "/", update.steps[position].step.id());
  RunStep(key, /*cancel=*/false);
}

void Engine::RunStep(StepKey key, bool cancel) {
  auto& running = running_[key];
  running = std::make_unique<RunningStep>();
  running->cancel = cancel;
  spdlog::info("step state={} update={} step={}", cancel ? "CANCELLING" : "RUNNING",
               UpdateName(key.first), contents_.updates.at(key.first).steps[key.second].step.id());
  running->thread = std::thread([this, key, step = running.get()] {
    const absl::StatusOr<v1::Job> result = ExecuteStep(key, *step);
    MutexLock lock(mutex_);
    FinishStep(key, result);
    finished_.push_back(std::move(step->thread));
    running_.erase(key);
    Changed();
  });
}

absl::StatusOr<v1::Job> Engine::ExecuteStep(StepKey key, RunningStep& running) {
  v1::Vertex vertex;
  std::string loaded;
  bool can_watch = false;
  JobRequest request;
  runtime::Patience patience;
  {
    MutexLock lock(mutex_);
    const store::UpdateRecord& update = contents_.updates.at(key.first);
    const store::StepRecord& record = update.steps[key.second];
    const int64_t revision = update.update.system_revision();
    const graph::SystemGraph& graph = GraphOf(revision);
    const v1::Model& model = contents_.systems.at(revision).models.at(record.step.vertex());
    vertex = graph.node(record.step.vertex()).vertex;
    patience = PatienceOf(graph.system(), absl::StrCat(update.update.name(), record.step.id()));
    can_watch =
        std::count(model.capabilities().begin(), model.capabilities().end(), v1::WATCH_JOB) > 0;
    if (record.step.kind() == v1::Step::LOAD) {
      BACKFIRE_ASSIGN_OR_RETURN(
          const v1::Version* version,
          VersionAsOf(contents_, key.first, record.step.vertex(), record.step.replicate()));
      loaded = version->name();
    } else {
      BACKFIRE_ASSIGN_OR_RETURN(request, BuildJobRequest(contents_, graph, update, record));
    }
  }
  const auto interrupt = [&] {
    if (stopping_) return Interrupt::kStop;
    return running.cancel ? Interrupt::kCancel : Interrupt::kNone;
  };
  if (!loaded.empty()) {
    BACKFIRE_RETURN_IF_ERROR(
        LoadEverywhere(vertex, loaded, patience, [&] { return interrupt() != Interrupt::kNone; }));
    v1::Job job;
    job.set_state(v1::Job::SUCCEEDED);
    job.mutable_version()->set_name(loaded);
    return job;
  }
  BACKFIRE_ASSIGN_OR_RETURN(
      v1::Job job, client_.Run(vertex.endpoint(), request, can_watch, patience, interrupt,
                               [&](const v1::Progress& progress) {
                                 MutexLock lock(mutex_);
                                 v1::Step& step =
                                     contents_.updates.at(key.first).steps[key.second].step;
                                 // Services say again what they said before.
                                 if (step.progress().step() != progress.step() ||
                                     step.progress().stage() != progress.stage()) {
                                   moved_[key.first] = std::chrono::steady_clock::now();
                                 }
                                 *step.mutable_progress() = progress;
                                 ++changes_;
                                 changed_.NotifyAll();
                               }));
  if (job.state() != v1::Job::SUCCEEDED) return job;
  if (const absl::Status status = CheckJobResult(request, job); !status.ok()) {
    job.set_state(v1::Job::FAILED);
    job.set_error_code(static_cast<int>(status.code()));
    job.set_error_message(absl::StrCat(vertex.endpoint(), ": ", std::string(status.message())));
  }
  return job;
}

absl::Status Engine::CheckDataset(const store::UpdateRecord& update,
                                  const std::string& digest) const {
  for (const store::StepRecord& record : update.steps) {
    if (record.step.kind() != v1::Step::TRAIN || record.step.state() != v1::Step::SUCCEEDED) {
      continue;
    }
    // A proposed version may have learnt from anything; only what it is judged on must be equal.
    if (!update.update.version().empty() && record.step.vertex() == update.update.vertex()) {
      continue;
    }
    const std::string& other = record.step.version().dataset().digest();
    if (other == digest) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("services read different datasets: digest ", digest, " here, ", other,
                     " in step ", record.step.id(), "; give all services the same data"));
  }
  return absl::OkStatus();
}

void Engine::FinishStep(StepKey key, const absl::StatusOr<v1::Job>& result) {
  const RunningStep& running = *running_.at(key);
  // It goes on after the restart.
  if (!result.ok() && absl::IsCancelled(result.status()) && stopping_) return;
  store::UpdateRecord& update = contents_.updates.at(key.first);
  store::StepRecord& kept = update.steps[key.second];
  store::StepRecord record = kept;
  v1::Step& step = record.step;
  step.clear_progress();
  CrashPoint("step-end", update.update.name(), "/", step.id());

  absl::Status status = result.status();
  if (status.ok() && result->state() != v1::Job::SUCCEEDED) {
    status = absl::Status(static_cast<absl::StatusCode>(result->error_code()),
                          absl::StrCat(result->error_message()));
    if (status.ok()) status = absl::UnknownError("the service gave no reason");
  }
  if (status.ok()) {
    step.set_compute_seconds(result->compute_seconds());
    step.set_saved_seconds(result->saved_seconds());
    step.set_outputs_reused(result->outputs_reused());
    step.set_outputs_produced(result->outputs_produced());
    if (result->has_version()) *step.mutable_version() = result->version();
    if (result->has_evaluation()) {
      record.evaluation = result->evaluation();
      *step.mutable_evaluation() = WithoutResamples(result->evaluation());
      status = CheckDataset(update, result->evaluation().dataset_digest());
    } else if (step.kind() == v1::Step::TRAIN) {
      status = CheckDataset(update, result->version().dataset().digest());
    }
  }
  // A job that failed keeps its name for ever; one that could not be reached is taken up again.
  if (!status.ok() && result.ok()) ++record.attempt;

  Change change;
  if (status.ok()) {
    step.set_state(v1::Step::SUCCEEDED);
    if (IsOpen(update.update)) {
      // What asks the records for this step's result must find it.
      std::swap(kept, record);
      status = Advance(update, change);
      std::swap(kept, record);
    }
  } else {
    step.set_state(running.cancel ? v1::Step::CANCELLED : v1::Step::FAILED);
    step.set_error_code(static_cast<int>(status.code()));
    step.set_error_message(std::string(status.message()));
  }
  if (!status.ok() && IsOpen(update.update)) {
    change = Change();
    v1::Update& failed = change.updates[key.first] = update.update;
    failed.set_state(v1::Update::FAILED);
    failed.set_error_message(absl::StrCat("step ", step.id(), ": ", std::string(status.message())));
    *failed.mutable_end_time() = TimeUtil::GetCurrentTime();
  }
  CountMetrics(step, update.update.name(), running.start);
  const std::string id = step.id();
  change.steps[key] = std::move(record);
  if (const absl::Status written = Commit(std::move(change)); !written.ok()) {
    // Nothing is lost: the step's job is done in its service, and is found again.
    kept.step.set_state(v1::Step::FAILED);
    kept.step.set_error_code(static_cast<int>(written.code()));
    kept.step.set_error_message(std::string(written.message()));
    FailUnwritten(key.first, written);
    return;
  }
  CrashPoint("step-ended", update.update.name(), "/", id);
}

void Engine::CountMetrics(const v1::Step& step, const std::string& update,
                          std::chrono::steady_clock::time_point start) {
  const std::string kind = v1::Step::Kind_Name(step.kind());
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  metrics_->steps.Add({{"kind", kind}, {"state", v1::Step::State_Name(step.state())}}).Increment();
  metrics_->step_seconds
      .Add({{"kind", kind}},
           prometheus::Histogram::BucketBoundaries{0.1, 1, 10, 60, 300, 1800, 7200, 28800})
      .Observe(elapsed.count());
  spdlog::info("step state={} update={} step={} seconds={:.1f}", v1::Step::State_Name(step.state()),
               update, step.id(), elapsed.count());
}

absl::Status Engine::Advance(const store::UpdateRecord& update, Change& change) {
  const graph::SystemGraph& graph = GraphOf(update.update.system_revision());
  bool all_done = true;
  bool only_loads_left = true;
  bool has_loads = false;
  for (const store::StepRecord& record : update.steps) {
    has_loads = has_loads || record.step.kind() == v1::Step::LOAD;
    if (record.step.state() == v1::Step::SUCCEEDED || !IsDue(update.update, record.step)) continue;
    all_done = false;
    only_loads_left = only_loads_left && record.step.kind() == v1::Step::LOAD;
  }
  const v1::Update::State phase = PhaseOf(update);
  const bool is_prepared = !has_loads || !update.update.release().empty();
  if (!all_done && phase == update.update.state() && !(only_loads_left && !is_prepared)) {
    return absl::OkStatus();  // Nothing to write but the step.
  }
  v1::Update& changed = change.updates[update.number] = update.update;
  changed.set_state(phase);
  if (only_loads_left && changed.look() < changed.planned_looks()) {
    BACKFIRE_ASSIGN_OR_RETURN(const verdict::Evidence evidence,
                              BuildEvidence(contents_, graph, update));
    v1::Verdict verdict = verdict::Decide(evidence);
    // Harm that was found stands: more evidence can't spend again what found it.
    if (verdict.outcome() == v1::Verdict::INCONCLUSIVE && !verdict::Blocks(verdict)) {
      *changed.add_earlier_looks() = std::move(verdict);
      changed.set_look(changed.look() + 1);
      changed.set_replicates(
          ReplicatesOfLook(changed.planned_replicates(), changed.planned_looks(), changed.look()));
      store::UpdateRecord next = update;
      next.update = changed;
      changed.set_state(PhaseOf(next));
      return absl::OkStatus();
    }
  }
  // What can't be loaded can be judged, and can't be released.
  if (has_loads && only_loads_left && changed.release().empty()) {
    BACKFIRE_RETURN_IF_ERROR(MakeRelease(update, v1::Release::PREPARING, change).status());
  }
  if (!all_done) return absl::OkStatus();

  int64_t number = 0;
  if (has_loads) {
    BACKFIRE_ASSIGN_OR_RETURN(number, ParseNumber(changed.release(), "releases"));
  }
  if (changed.baseline()) {
    changed.set_state(v1::Update::PROMOTED);
    v1::ReleaseEvent event;
    event.set_kind(v1::ReleaseEvent::PROMOTED);
    event.set_reason("baseline");
    MakeLive(number, std::move(event), change);
  } else {
    BACKFIRE_ASSIGN_OR_RETURN(const verdict::Evidence evidence,
                              BuildEvidence(contents_, graph, update));
    *changed.mutable_verdict() = verdict::Decide(evidence);
    BACKFIRE_ASSIGN_OR_RETURN(const auto diagnoses, BuildDiagnoses(contents_, graph, update));
    changed.mutable_diagnoses()->Assign(diagnoses.begin(), diagnoses.end());
    changed.set_state(v1::Update::DECIDED);
    // Of looks that need not be taken.
    for (size_t i = 0; i < update.steps.size(); ++i) {
      if (IsDue(changed, update.steps[i].step)) continue;
      store::StepRecord& record = change.steps[{update.number, i}] = update.steps[i];
      record.step.set_state(v1::Step::CANCELLED);
    }
    if (has_loads) ChangedRelease(number, change).set_state(v1::Release::STAGED);
    metrics_->verdicts.Add({{"verdict", v1::Verdict::Outcome_Name(changed.verdict().outcome())}})
        .Increment();
  }
  *changed.mutable_end_time() = TimeUtil::GetCurrentTime();
  return absl::OkStatus();
}

}  // namespace backfire::workflow
