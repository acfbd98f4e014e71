#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "orchestrator/execution/job_backend.h"
#include "orchestrator/execution/step_threads.h"
#include "orchestrator/execution/version_loader.h"
#include "orchestrator/ledger/ledger.h"
#include "orchestrator/planning/advance.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::execution {

/// Runs the steps of updates: does what the schedule says, a thread per running step, and commits
/// what follows from their ends. What it runs is on disk as RUNNING before, so that another process
/// goes on with it. Thread-safe.
class StepExecutor {
 public:
  /// Who wants to know. Called from any thread.
  struct Events {
    /// A step has ended, and that is on disk.
    std::function<void(const v1::Step& step, const std::string& update, double seconds)> ended;
    /// A running step of the update said something new.
    std::function<void(int64_t update)> moved;
  };

  /// All references are borrowed.
  /// @param decided  Called while the ledger commits.
  StepExecutor(ledger::Ledger& ledger, JobBackend& backend, VersionLoader& loader,
               const Clock& clock, planning::ReadDecided decided, Events events);
  ~StepExecutor();
  StepExecutor(const StepExecutor&) = delete;
  StepExecutor& operator=(const StepExecutor&) = delete;

  void Start();
  /// Stops waiting for jobs, which go on in their services. The ledger must be stopped before.
  void Stop();
  /// What the running steps of an update said last, by position.
  std::map<size_t, v1::Progress> ProgressOf(int64_t update) const;

 private:
  struct Running {
    std::atomic<bool> cancel{false};
    std::atomic<int64_t> attempt{0};  // Of the step; 0: not known yet.
    Clock::SteadyTime start;
    v1::Progress progress;  // Guarded by the executor's mutex.
  };

  void Loop();
  // Does once what the schedule says. False: something could not be written; try again later.
  bool RunOnce();
  std::set<records::StepRef> RunningSteps() const;
  // Cancels jobs whose steps wait for another attempt.
  void CancelOutdated(const records::State& state);
  absl::Status StartStep(records::StepRef ref);
  absl::Status Rebase(const records::State& state, int64_t number);
  void Cancel(records::StepRef ref);
  // Runs a step that is on disk as RUNNING, on a thread of its own while it lasts.
  void RunStep(records::StepRef ref, bool cancel);
  absl::StatusOr<v1::Job> Execute(records::StepRef ref, Running& running);
  absl::StatusOr<v1::Job> RunJob(const records::State& state, records::StepRef ref,
                                 Running& running);
  // Commits the end of a step, however long the disk refuses.
  void Finish(records::StepRef ref, const Running& running, absl::StatusOr<v1::Job> job);
  absl::StatusOr<planning::Judgement> Judge(const records::State& state,
                                            const records::OpenUpdate& update, size_t position,
                                            const planning::JobEnd& end) const;
  void NoteProgress(records::StepRef ref, Running& running, const v1::Progress& progress);
  // Says an error unless it is the same again.
  void LogUnwritten(const absl::Status& status);

  ledger::Ledger& ledger_;
  JobBackend& backend_;
  VersionLoader& loader_;
  const Clock& clock_;
  const planning::ReadDecided decided_;
  const Events events_;
  std::atomic<bool> stopping_{false};
  mutable Mutex mutex_;
  CondVar ended_changed_;
  std::map<records::StepRef, std::unique_ptr<Running>> running_ ABSL_GUARDED_BY(mutex_);
  std::string unwritten_ ABSL_GUARDED_BY(mutex_);  // The error that was said last.
  std::thread thread_;
  StepThreads threads_;  // The last member: what runs there uses the others.
};

}  // namespace backfire::execution
