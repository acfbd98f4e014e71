#include "services/runtime/jobs/job_runner.h"

#include <google/protobuf/any.pb.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/crash_point.h"
#include "services/base/exceptions.h"
#include "services/base/excerpt.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/base/utf8.h"
#include "services/rpc/request_id.h"
#include "services/runtime/job_file.h"

namespace backfire::runtime {
namespace {

constexpr size_t kMaxErrorBytes = 8 << 10;  // Of a job's error, which is kept and sent on.
constexpr char kScratch[] = "scratch", kKept[] = "kept";
// How often the job's work has begun without an end that this process saw: the number of bytes.
constexpr char kBegunFile[] = "begun";

bool Ended(const v1::Job& job) { return job.state() != v1::Job::RUNNING; }

}  // namespace

struct JobRunner::Entry {
  JobRequest request;
  v1::Job job;          // Guarded by the runner's mutex.
  int64_t changes = 0;  // Guarded by the runner's mutex; counts what watchers may not have seen.
  std::atomic<bool> cancel{false};
};

class JobRunner::Context : public JobContext {
 public:
  Context(JobRunner& runner, Entry& entry) : runner_(runner), entry_(entry) {}
  void Report(const v1::Progress& progress) override {
    CrashPoint("job-progress", entry_.job.name(), " ", progress.stage(), " ", progress.step());
    MutexLock lock(runner_.mutex_);
    *entry_.job.mutable_progress() = progress;
    ++entry_.changes;
    runner_.changed_.NotifyAll();
  }
  bool cancelled() const override {
    if (entry_.cancel) return true;
    MutexLock lock(runner_.mutex_);
    return runner_.stopping_;
  }

 private:
  JobRunner& runner_;
  Entry& entry_;
};

JobRunner::JobRunner(const Options& options, Execute execute)
    : options_(options), execute_(std::move(execute)) {}

JobRunner::~JobRunner() { Stop(); }

std::filesystem::path JobRunner::DirectoryOf(const std::string& request_id) const {
  return options_.directory / JobFolder(request_id);
}

absl::StatusOr<std::unique_ptr<JobRunner>> JobRunner::Open(const Options& options,
                                                           Execute execute) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(options.directory));
  std::unique_ptr<JobRunner> runner(new JobRunner(options, std::move(execute)));
  BACKFIRE_RETURN_IF_ERROR(runner->RecoverAll());
  for (int i = 0; i < options.workers; ++i) {
    runner->workers_.emplace_back([runner = runner.get(), i] { runner->Work(i); });
  }
  return runner;
}

absl::StatusOr<std::shared_ptr<JobRunner::Entry>> JobRunner::Recover(
    const std::filesystem::path& folder, Unsealed unsealed) const {
  BACKFIRE_ASSIGN_OR_RETURN(const google::protobuf::Any any, ReadRequestFile(folder, unsealed));
  auto entry = std::make_shared<Entry>();
  BACKFIRE_ASSIGN_OR_RETURN(entry->request,
                            UnpackJobRequest(any, (folder / kRequestFile).string()));
  entry->job.set_name(JobName(RequestId(entry->request)));
  entry->job.set_state(v1::Job::RUNNING);
  absl::StatusOr<v1::Job> job = ReadJobFile(folder, unsealed);
  const std::string& name = entry->job.name();
  if (JobFolder(RequestId(entry->request)) != folder.filename() ||
      (job.ok() && (job->name() != name || !Ended(*job)))) {
    return absl::DataLossError(
        absl::StrCat(folder.string(), " holds another job's files; remove it to forget the job"));
  }
  if (absl::IsNotFound(job.status())) return entry;
  if (job.ok()) {
    entry->job = *std::move(job);
    return entry;
  }
  // It has ended, nobody knows how. Running it again would be right only if it was not cancelled.
  entry->job.set_state(v1::Job::FAILED);
  entry->job.set_error_code(static_cast<int>(job.status().code()));
  entry->job.set_error_message(std::string(job.status().message()));
  return entry;
}

absl::Status JobRunner::RecoverAll() {
  MutexLock lock(mutex_);
  // Sorted, so that jobs are taken up in the same order on every start.
  std::map<std::string, std::shared_ptr<Entry>> waiting;
  std::set<std::pair<std::filesystem::file_time_type, std::string>> ended;
  std::error_code error, ignored;
  const bool is_sealed = std::filesystem::exists(options_.directory / kSealedMark, ignored);
  const Unsealed unsealed = is_sealed ? Unsealed::kRefuse : Unsealed::kSeal;
  for (const auto& folder : std::filesystem::directory_iterator(options_.directory, error)) {
    if (!folder.is_directory(ignored)) continue;
    absl::StatusOr<std::shared_ptr<Entry>> entry = Recover(folder.path(), unsealed);
    if (absl::IsNotFound(entry.status())) {  // Killed before the job was on disk: nobody knows it.
      std::filesystem::remove_all(folder.path(), ignored);
      continue;
    }
    if (!entry.ok()) {
      // The other jobs go on; whoever asks for this one hears of it.
      spdlog::error("job state=UNREADABLE folder={} error=\"{}\"", folder.path().string(),
                    std::string(entry.status().message()));
      unreadable_[folder.path().filename()] = entry.status();
      continue;
    }
    const std::string name = (*entry)->job.name();
    jobs_[name] = *entry;
    if (Ended((*entry)->job)) {
      ended.emplace(std::filesystem::last_write_time(folder.path() / kJobFile, ignored), name);
    } else {
      waiting[name] = *std::move(entry);
    }
  }
  if (error)
    return ErrnoToStatus(error.value(), absl::StrCat("read ", options_.directory.string()));
  if (!is_sealed) {
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(options_.directory / kSealedMark,
                                                 "Every file of a job here has a checksum.\n"));
  }
  for (const auto& [time, name] : ended) Retire(name);
  for (const auto& [name, entry] : waiting) {
    spdlog::info("job state=RESUMED job={}", name);
    queue_.push_back(entry);
  }
  return absl::OkStatus();
}

absl::Status JobRunner::WhyUnknown(const std::string& name) const {
  const absl::string_view prefix = "jobs/";
  const auto unreadable =
      unreadable_.find(absl::StartsWith(name, prefix) ? JobFolder(name.substr(prefix.size())) : "");
  if (unreadable != unreadable_.end()) return unreadable->second;
  return absl::NotFoundError(absl::StrCat("there is no job ", Excerpt(name)));
}

void JobRunner::Save(const JobRequest& request, const v1::Job& job) const {
  const absl::Status saved = WriteJobFile(DirectoryOf(RequestId(request)), job);
  if (saved.ok()) return;
  // What a job did is kept: after a restart it runs again, and finds its result. One that was
  // cancelled before it began does not run, unless the process dies before its caller asks again.
  spdlog::error("job state=UNSAVED job={} error=\"{}\"", job.name(), std::string(saved.message()));
}

void JobRunner::End(Entry& entry, v1::Job job) {
  entry.job = std::move(job);
  ++counts_[entry.request.index()]
        .ended[{entry.job.state(), static_cast<absl::StatusCode>(entry.job.error_code())}];
  ++entry.changes;
  changed_.NotifyAll();
  Retire(entry.job.name());
}

void JobRunner::Retire(const std::string& name) {
  ended_.push_back(name);
  while (static_cast<int>(ended_.size()) > options_.max_ended) {
    const auto oldest = jobs_.find(ended_.front());
    const std::filesystem::path directory = DirectoryOf(RequestId(oldest->second->request));
    std::error_code error;
    // The request goes first: what is left of a folder without one is no job.
    if (!std::filesystem::remove(directory / kRequestFile, error) && error) {
      spdlog::warn("job state=NOT_FORGOTTEN job={} error=\"{}\"", oldest->first, error.message());
    }
    std::filesystem::remove_all(directory, error);
    jobs_.erase(oldest);
    ended_.pop_front();
  }
}

absl::StatusOr<v1::Job> JobRunner::Start(const JobRequest& request) {
  const std::string& request_id = RequestId(request);
  BACKFIRE_RETURN_IF_ERROR(CheckRequestId(request_id));
  MutexLock accepting(accepting_);
  {
    MutexLock lock(mutex_);
    const auto found = jobs_.find(JobName(request_id));
    if (found != jobs_.end()) {
      if (SameRequest(found->second->request, request)) return found->second->job;
      return absl::AlreadyExistsError(
          absl::StrCat("request_id \"", request_id, "\" names a job with other arguments"));
    }
    const absl::Status unknown = WhyUnknown(JobName(request_id));
    if (!absl::IsNotFound(unknown)) return unknown;
    if (stopping_) return absl::UnavailableError("the service is shutting down");
    if (static_cast<int>(queue_.size()) >= options_.max_waiting) {
      return absl::ResourceExhaustedError(
          absl::StrCat(options_.max_waiting, " jobs wait already; try again later"));
    }
  }
  auto entry = std::make_shared<Entry>();
  entry->request = request;
  entry->job.set_name(JobName(request_id));
  entry->job.set_state(v1::Job::RUNNING);
  entry->job.mutable_progress()->set_stage("waiting");
  google::protobuf::Any any;
  std::visit([&](const auto& r) { any.PackFrom(r); }, request);
  CrashPoint("job-accept", request_id);
  BACKFIRE_RETURN_IF_ERROR(WriteRequestFile(DirectoryOf(request_id), any));
  CrashPoint("job-accepted", request_id);
  MutexLock lock(mutex_);
  jobs_[entry->job.name()] = entry;
  queue_.push_back(entry);
  work_.NotifyOne();
  spdlog::info("job state=ACCEPTED job={}", entry->job.name());
  return entry->job;
}

void JobRunner::Work(int worker) {
  while (true) {
    std::shared_ptr<Entry> entry;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && queue_.empty()) work_.Wait(mutex_);
      if (stopping_) return;
      entry = queue_.front();
      queue_.pop_front();
      entry->job.mutable_progress()->set_stage("starting");
      at_work_[worker] = entry;
    }
    const std::filesystem::path directory = DirectoryOf(RequestId(entry->request));
    v1::Job result;
    const auto start = std::chrono::steady_clock::now();
    const absl::Status status = Run(*entry, result);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

    std::error_code error;
    std::filesystem::remove(directory / kBegunFile, error);
    v1::Job job;
    {
      MutexLock lock(mutex_);
      if (stopping_ && !entry->cancel && absl::IsCancelled(status)) {  // Goes on next time.
        at_work_.erase(worker);
        return;
      }
      job = entry->job;
    }
    job.clear_progress();
    job.set_compute_seconds(elapsed.count());
    if (status.ok()) {
      const bool was_there = result.compute_seconds() < 0;
      job.MergeFrom(result);
      job.set_state(v1::Job::SUCCEEDED);
      job.set_compute_seconds(was_there ? 0 : elapsed.count());
      spdlog::info("job state=SUCCEEDED job={} seconds={:.1f}", job.name(), elapsed.count());
    } else {
      job.set_state(entry->cancel && absl::IsCancelled(status) ? v1::Job::CANCELLED
                                                               : v1::Job::FAILED);
      job.set_error_code(static_cast<int>(status.code()));
      job.set_error_message(
          Excerpt(ValidUtf8({status.message().data(), status.message().size()}), kMaxErrorBytes));
      spdlog::warn("job state={} job={} code={} error=\"{}\"", v1::Job::State_Name(job.state()),
                   job.name(), absl::StatusCodeToString(status.code()),
                   std::string(status.message()));
    }
    CrashPoint("job-end", job.name());
    Save(entry->request, job);
    CrashPoint("job-ended", job.name());
    std::filesystem::remove_all(directory / kScratch, error);
    MutexLock lock(mutex_);
    at_work_.erase(worker);
    End(*entry, std::move(job));
  }
}

absl::Status JobRunner::Run(Entry& entry, v1::Job& result) {
  const std::filesystem::path directory = DirectoryOf(RequestId(entry.request));
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory / kScratch));
  std::string begun;
  if (absl::StatusOr<std::string> read = ReadFile(directory / kBegunFile); read.ok()) {
    begun = *std::move(read);
  }
  if (static_cast<int>(begun.size()) >= options_.max_deaths) {
    return absl::AbortedError(
        absl::StrCat("the service died ", begun.size(),
                     " times while it did this; the system's log may say why (out of memory?)"));
  }
  BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(directory / kBegunFile, begun + '.'));
  Context context(*this, entry);
  return CatchExceptions([&] {
    return execute_(entry.request, {directory / kScratch, directory / kKept}, context, result);
  });
}

absl::StatusOr<v1::Job> JobRunner::Get(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return WhyUnknown(name);
  return found->second->job;
}

absl::Status JobRunner::Watch(const std::string& name,
                              const std::function<bool(const v1::Job&)>& changed) {
  std::shared_ptr<Entry> entry;
  {
    MutexLock lock(mutex_);
    const auto found = jobs_.find(name);
    if (found == jobs_.end()) return WhyUnknown(name);
    entry = found->second;
  }
  int64_t seen = -1;
  while (true) {
    v1::Job job;
    {
      MutexLock lock(mutex_);
      // Bounded, so that a caller that went away is noticed when nothing changes.
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
      while (entry->changes == seen && !stopping_) {
        if (!changed_.WaitUntil(mutex_, deadline)) break;
      }
      if (stopping_ && !Ended(entry->job)) {
        return absl::UnavailableError("the service is shutting down");
      }
      seen = entry->changes;
      job = entry->job;
    }
    if (!changed(job) || Ended(job)) return absl::OkStatus();
  }
}

absl::StatusOr<v1::Job> JobRunner::Cancel(const std::string& name) {
  std::shared_ptr<Entry> entry;
  v1::Job cancelled;
  {
    MutexLock lock(mutex_);
    const auto found = jobs_.find(name);
    if (found == jobs_.end()) return WhyUnknown(name);
    entry = found->second;
    if (Ended(entry->job)) return entry->job;
    entry->cancel = true;
    const auto waiting = std::find(queue_.begin(), queue_.end(), entry);
    if (waiting == queue_.end()) {
      spdlog::info("job state=CANCELLING job={}", name);
      return entry->job;
    }
    queue_.erase(waiting);  // From here on it is this call's to end.
    cancelled = entry->job;
  }
  cancelled.clear_progress();
  cancelled.set_state(v1::Job::CANCELLED);
  cancelled.set_error_code(static_cast<int>(absl::StatusCode::kCancelled));
  cancelled.set_error_message("cancelled before it started");
  Save(entry->request, cancelled);
  MutexLock lock(mutex_);
  End(*entry, cancelled);
  return cancelled;
}

JobRunner::Overview JobRunner::Look() const {
  MutexLock lock(mutex_);
  Overview::Count counts[] = {counts_[0], counts_[1], counts_[2]};
  for (const auto& entry : queue_) ++counts[entry->request.index()].waiting;
  Overview overview;
  for (const auto& [worker, entry] : at_work_) {
    ++counts[entry->request.index()].running;
    overview.running.push_back({worker, entry->request, entry->job.progress()});
  }
  overview.trainings = std::move(counts[0]);
  overview.evaluations = std::move(counts[1]);
  overview.commitments = std::move(counts[2]);
  return overview;
}

void JobRunner::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    work_.NotifyAll();
    changed_.NotifyAll();
  }
  for (std::thread& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
}

}  // namespace backfire::runtime
