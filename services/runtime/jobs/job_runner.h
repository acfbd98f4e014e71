#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/base/mutex.h"
#include "services/runtime/job_file.h"
#include "services/runtime/jobs/job_request.h"
#include "services/runtime/model.h"

namespace backfire::runtime {

/// Runs trainings, evaluations and commitments in the background, each named by its caller's
/// request_id. A job is on disk before Start returns; one that was running when the process died
/// runs again, to the same result, when the runner is opened; one that was running each time that
/// it died fails, as it may be why. An exception in a job fails that job. One whose files a disk
/// has damaged is DATA_LOSS, and the others go on. Thread-safe.
class JobRunner {
 public:
  struct Options {
    std::filesystem::path directory;
    int workers = 2;         ///< Jobs that run at once.
    int max_waiting = 1000;  ///< Jobs that may wait for a worker.
    /// Jobs that have ended and are remembered, at most: the oldest go. One that is asked for again
    /// runs again, to the same result, as versions and outputs are kept elsewhere.
    int max_ended = 10'000;
    /// Deaths of the process during a job after which it fails (ABORTED).
    int max_deaths = 10;
  };
  /// Where a job may put files. Both are its own.
  struct Directories {
    std::filesystem::path scratch;  ///< For checkpoints: removed when the job has ended.
    std::filesystem::path kept;     ///< For people: stays until the job is forgotten.
  };
  /// Does the work of one job, and sets `version`, `evaluation` or `commitment` of
  /// `result`.
  using Execute =
      std::function<absl::Status(const JobRequest& request, const Directories& directories,
                                 JobContext& context, v1::Job& result)>;

  static absl::StatusOr<std::unique_ptr<JobRunner>> Open(const Options& options, Execute execute);
  /// As Stop.
  ~JobRunner();
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  /// Starts a job, or returns the one that has this request_id. INVALID_ARGUMENT: malformed
  /// request_id. ALREADY_EXISTS: it names a job with other arguments. RESOURCE_EXHAUSTED: too many
  /// jobs wait, or the disk is full.
  absl::StatusOr<v1::Job> Start(const JobRequest& request);
  /// NOT_FOUND: no such job.
  absl::StatusOr<v1::Job> Get(const std::string& name) const;
  /// Calls `changed` with the job at once and whenever it changed, until it has ended, `changed`
  /// returns false, or the runner stops (UNAVAILABLE).
  absl::Status Watch(const std::string& name, const std::function<bool(const v1::Job&)>& changed);
  /// Asks a job to stop; one that waits ends at once.
  absl::StatusOr<v1::Job> Cancel(const std::string& name);

  /// How many jobs there are, and what the running ones do.
  struct Overview {
    struct Count {
      int64_t waiting = 0;
      int64_t running = 0;
      /// Since the start of the process, by state and by the code of the error (OK: none).
      std::map<std::pair<v1::Job::State, absl::StatusCode>, int64_t> ended;
    };
    struct Running {
      int worker = 0;  ///< From 0: which of those that work side by side.
      JobRequest request;
      v1::Progress progress;
    };
    Count trainings, evaluations, commitments;
    std::vector<Running> running;  ///< By worker.
  };
  Overview Look() const;

  /// Interrupts running jobs; they go on when the runner is opened again.
  void Stop();

 private:
  class Context;
  struct Entry;

  JobRunner(const Options& options, Execute execute);
  /// Takes up what the last process left.
  absl::Status RecoverAll();
  /// A job as its folder has it. NOT_FOUND: the folder holds none. DATA_LOSS, FAILED_PRECONDITION:
  /// as the files of jobs have it; nobody can say what was asked for.
  absl::StatusOr<std::shared_ptr<Entry>> Recover(const std::filesystem::path& folder,
                                                 Unsealed unsealed) const;
  /// Of a job that is not in jobs_: NOT_FOUND, or why its files can't be read.
  absl::Status WhyUnknown(const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Work(int worker);
  /// Does a job's work, unless the process has died too often during it.
  absl::Status Run(Entry& entry, v1::Job& result);
  /// Writes how a job ended to disk. Without mutex_: a disk may be slow.
  void Save(const JobRequest& request, const v1::Job& job) const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Makes known that a job has ended as `job`, which is saved.
  void End(Entry& entry, v1::Job job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Notes that a job has ended, and forgets the oldest of those that have.
  void Retire(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::filesystem::path DirectoryOf(const std::string& request_id) const;

  const Options options_;
  const Execute execute_;
  // Held while a new job is written to disk, so that one of the same name waits for it. Nobody who
  // asks for jobs does.
  Mutex accepting_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable Mutex mutex_;
  CondVar work_;
  CondVar changed_;
  std::map<std::string, std::shared_ptr<Entry>> jobs_ ABSL_GUARDED_BY(mutex_);  // By job name.
  std::map<std::string, absl::Status> unreadable_ ABSL_GUARDED_BY(mutex_);      // By folder.
  std::deque<std::shared_ptr<Entry>> queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> ended_ ABSL_GUARDED_BY(mutex_);                  // Names, oldest first.
  std::map<int, std::shared_ptr<Entry>> at_work_ ABSL_GUARDED_BY(mutex_);  // By worker.
  // Of jobs that ended since the start: trainings, evaluations, commitments.
  Overview::Count counts_[3] ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

}  // namespace backfire::runtime
