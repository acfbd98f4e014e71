// The half of the engine that runs: which steps are due, running them, and what their ends mean.
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/verdict/verdict.h"
#include "orchestrator/workflow/engine.h"
#include "orchestrator/workflow/engine_state.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/records.h"
#include "services/base/status.h"

namespace backfire::workflow {
namespace {

using google::protobuf::util::TimeUtil;

std::vector<v1::Step> StepsOf(const store::UpdateRecord& update) {
  std::vector<v1::Step> steps;
  for (const store::StepRecord& record : update.steps) steps.push_back(record.step);
  return steps;
}

v1::Evaluation WithoutResamples(v1::Evaluation evaluation) {
  for (v1::LossEstimate& loss : *evaluation.mutable_losses()) loss.clear_resampled();
  return evaluation;
}

}  // namespace

void Engine::Schedule() {
  std::map<std::pair<int64_t, size_t>, std::unique_ptr<RunningStep>> last;
  {
    MutexLock lock(mutex_);
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

void Engine::StartReadySteps() {
  for (auto& [number, update] : contents_.updates) {
    if (!IsOpen(update.update)) continue;
    const graph::SystemGraph& graph = GraphOf(update.update.system_revision());
    const size_t places = static_cast<size_t>(std::max(1, graph.system().parallel_jobs()));
    const std::vector<v1::Step> steps = StepsOf(update);
    std::set<std::string> done;
    for (const v1::Step& step : steps) {
      if (step.state() == v1::Step::SUCCEEDED) done.insert(step.id());
    }
    for (size_t i = 0; i < steps.size() && running_.size() < places; ++i) {
      if (steps[i].state() != v1::Step::WAITING) continue;
      const std::set<std::string> needed = StepDependencies(graph, steps, steps[i]);
      if (std::includes(done.begin(), done.end(), needed.begin(), needed.end())) {
        StartStep(update, i);
      }
    }
    return;  // One update after another.
  }
}

void Engine::StartStep(store::UpdateRecord& update, size_t position) {
  store::UpdateRecord changed = update;
  changed.steps[position].step.set_state(v1::Step::RUNNING);
  changed.update.set_state(PhaseOf(changed.update, changed.steps[position].step));
  for (const store::StepRecord& record : changed.steps) {
    if (record.step.state() == v1::Step::SUCCEEDED) continue;
    changed.update.set_state(
        std::min(changed.update.state(), PhaseOf(changed.update, record.step)));
  }
  if (const absl::Status status = Commit({changed}, {}, nullptr); !status.ok()) {
    spdlog::error("step state=NOT_STARTED update={} step={} error=\"{}\"", changed.update.name(),
                  changed.steps[position].step.id(), std::string(status.message()));
    update.update.set_state(v1::Update::FAILED);
    update.update.set_error_message(std::string(status.message()));
    return;
  }
  const int64_t number = update.number;
  auto& running = running_[{number, position}];
  running = std::make_unique<RunningStep>();
  spdlog::info("step state=RUNNING update={} step={}", update.update.name(),
               changed.steps[position].step.id());
  running->thread = std::thread([this, number, position, step = running.get()] {
    const absl::StatusOr<v1::Job> result = ExecuteStep(number, position, *step);
    MutexLock lock(mutex_);
    FinishStep(number, position, result);
    finished_.push_back(std::move(step->thread));
    running_.erase({number, position});
    Changed();
  });
}

absl::StatusOr<v1::Job> Engine::ExecuteStep(int64_t number, size_t position, RunningStep& running) {
  std::string endpoint;
  std::string loaded;
  bool can_watch = false;
  JobRequest request;
  {
    MutexLock lock(mutex_);
    const store::UpdateRecord& update = contents_.updates.at(number);
    const store::StepRecord& record = update.steps[position];
    const int64_t revision = update.update.system_revision();
    const graph::SystemGraph& graph = GraphOf(revision);
    const v1::Model& model = contents_.systems.at(revision).models.at(record.step.vertex());
    endpoint = graph.node(record.step.vertex()).vertex.endpoint();
    can_watch =
        std::count(model.capabilities().begin(), model.capabilities().end(), v1::WATCH_JOB) > 0;
    if (record.step.kind() == v1::Step::LOAD) {
      BACKFIRE_ASSIGN_OR_RETURN(
          const v1::Version version,
          VersionAsOf(contents_, number, record.step.vertex(), record.step.replicate()));
      loaded = version.name();
    } else {
      BACKFIRE_ASSIGN_OR_RETURN(request, BuildJobRequest(contents_, graph, update, record));
    }
  }
  const auto interrupt = [&] {
    if (running.cancel) return Interrupt::kCancel;
    return stopping_ ? Interrupt::kStop : Interrupt::kNone;
  };
  if (!loaded.empty()) {
    BACKFIRE_RETURN_IF_ERROR(client_.LoadVersion(endpoint, loaded, interrupt));
    v1::Job job;
    job.set_state(v1::Job::SUCCEEDED);
    job.mutable_version()->set_name(loaded);
    return job;
  }
  return client_.Run(endpoint, request, can_watch, interrupt, [&](const v1::Progress& progress) {
    MutexLock lock(mutex_);
    *contents_.updates.at(number).steps[position].step.mutable_progress() = progress;
    ++changes_;
    changed_.NotifyAll();
  });
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

void Engine::FinishStep(int64_t number, size_t position, const absl::StatusOr<v1::Job>& result) {
  const bool cancelled = running_.at({number, position})->cancel;
  if (!result.ok() && absl::IsCancelled(result.status()) && stopping_ && !cancelled) return;
  store::UpdateRecord update = contents_.updates.at(number);
  store::StepRecord& record = update.steps[position];
  v1::Step& step = record.step;
  step.clear_progress();

  absl::Status status = result.status();
  if (status.ok() && result->state() != v1::Job::SUCCEEDED) {
    status = absl::Status(static_cast<absl::StatusCode>(result->error_code()),
                          absl::StrCat(result->error_message()));
    if (status.ok()) status = absl::UnknownError("the service gave no reason");
  }
  if (status.ok()) {
    step.set_compute_seconds(result->compute_seconds());
    if (result->has_version()) *step.mutable_version() = result->version();
    if (result->has_evaluation()) {
      record.evaluation = result->evaluation();
      *step.mutable_evaluation() = WithoutResamples(result->evaluation());
      status = CheckDataset(update, result->evaluation().dataset_digest());
    } else if (step.kind() == v1::Step::TRAIN) {
      status = CheckDataset(update, result->version().dataset().digest());
    }
  }
  std::map<int64_t, v1::Release> releases;
  if (status.ok()) {
    step.set_state(v1::Step::SUCCEEDED);
    if (IsOpen(update.update)) status = Advance(update, releases);
  } else {
    step.set_state(cancelled ? v1::Step::CANCELLED : v1::Step::FAILED);
    step.set_error_code(static_cast<int>(status.code()));
    step.set_error_message(std::string(status.message()));
  }
  if (!status.ok() && IsOpen(update.update)) {
    update.update.set_state(v1::Update::FAILED);
    update.update.set_error_message(absl::StrCat("step ", step.id(), ": ", status.message()));
    *update.update.mutable_end_time() = TimeUtil::GetCurrentTime();
  }
  CountMetrics(step, update.update.name(), running_.at({number, position})->start);
  if (const absl::Status written = Commit({update}, releases, nullptr); !written.ok()) {
    // Nothing is lost: the step's job is done in its service, and is found again.
    spdlog::error("step state=UNSAVED update={} step={} error=\"{}\"", update.update.name(),
                  step.id(), std::string(written.message()));
    store::UpdateRecord& kept = contents_.updates.at(number);
    kept.steps[position].step.set_state(v1::Step::FAILED);
    kept.update.set_state(v1::Update::FAILED);
    kept.update.set_error_message(std::string(written.message()));
    Changed();
  }
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

absl::Status Engine::Advance(store::UpdateRecord& update,
                             std::map<int64_t, v1::Release>& releases) {
  const graph::SystemGraph& graph = GraphOf(update.update.system_revision());
  bool all_done = true;
  bool only_loads_left = true;
  bool has_loads = false;
  v1::Update::State state = v1::Update::EVALUATING;
  for (const store::StepRecord& record : update.steps) {
    has_loads = has_loads || record.step.kind() == v1::Step::LOAD;
    if (record.step.state() == v1::Step::SUCCEEDED) continue;
    all_done = false;
    only_loads_left = only_loads_left && record.step.kind() == v1::Step::LOAD;
    state = std::min(state, PhaseOf(update.update, record.step));
  }
  update.update.set_state(state);
  // What is asked of records below must see this step's result.
  contents_.updates.at(update.number).steps = update.steps;

  // What can't be loaded can be judged, and can't be released.
  if (has_loads && only_loads_left && update.update.release().empty()) {
    const int64_t number = contents_.releases.empty() ? 1 : contents_.releases.rbegin()->first + 1;
    v1::Release& release = releases[number];
    release.set_name(ReleaseName(number));
    release.set_state(v1::Release::PREPARING);
    release.set_update(update.update.name());
    for (const std::string& vertex : graph.order()) {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version,
                                VersionAsOf(contents_, update.number, vertex, 0));
      (*release.mutable_versions())[vertex] = version.name();
    }
    update.update.set_release(release.name());
  }
  if (!all_done) return absl::OkStatus();

  int64_t number = 0;
  if (has_loads) {
    BACKFIRE_ASSIGN_OR_RETURN(number, ParseNumber(update.update.release(), "releases"));
    if (releases.count(number) == 0) releases[number] = contents_.releases.at(number);
  }
  if (update.update.baseline()) {
    update.update.set_state(v1::Update::PROMOTED);
    releases = WithLive(number, "baseline", std::move(releases));
  } else {
    BACKFIRE_ASSIGN_OR_RETURN(const verdict::Evidence evidence,
                              BuildEvidence(contents_, graph, update));
    *update.update.mutable_verdict() = verdict::Decide(evidence);
    update.update.set_state(v1::Update::DECIDED);
    if (has_loads) releases[number].set_state(v1::Release::STAGED);
    metrics_->updates
        .Add({{"verdict", v1::Verdict::Outcome_Name(update.update.verdict().outcome())}})
        .Increment();
  }
  *update.update.mutable_end_time() = TimeUtil::GetCurrentTime();
  return absl::OkStatus();
}

}  // namespace backfire::workflow
