#include "services/runtime/jobs/job_runner.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <new>
#include <stdexcept>

#include "services/base/file.h"
#include "services/base/seal.h"
#include "services/runtime/job_file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

v1::TrainRequest Request(const std::string& id, int64_t seed = 1) {
  v1::TrainRequest request;
  request.set_request_id(id);
  request.set_seed(seed);
  return request;
}

// Works until it is told to stop or to finish.
class Work {
 public:
  JobRunner::Execute execute() {
    return [this](const JobRequest&, const JobRunner::Directories&, JobContext& context,
                  v1::Job& result) -> absl::Status {
      ++started_;
      while (!finish_) {
        if (context.cancelled()) return absl::CancelledError("told to stop");
        std::this_thread::yield();
      }
      result.mutable_version()->set_digest("done");
      return absl::OkStatus();
    };
  }
  void Finish() { finish_ = true; }
  int started() const { return started_; }

 private:
  std::atomic<bool> finish_{false};
  std::atomic<int> started_{0};
};

class JobRunnerTest : public ::testing::Test {
 protected:
  std::unique_ptr<JobRunner> Open(const JobRunner::Execute& execute, int max_waiting = 100,
                                  int max_ended = 100) {
    auto runner = JobRunner::Open({directory_.path(), 1, max_waiting, max_ended}, execute);
    EXPECT_TRUE(runner.ok()) << runner.status();
    return *std::move(runner);
  }
  static v1::Job WaitForEnd(JobRunner& runner, const std::string& name) {
    v1::Job last;
    EXPECT_TRUE(runner
                    .Watch(name,
                           [&](const v1::Job& job) {
                             last = job;
                             return true;
                           })
                    .ok());
    return last;
  }
  backfire::testing::TemporaryDirectory directory_;
};

TEST_F(JobRunnerTest, TheSameRequestIsTheSameJob) {
  Work work;
  const auto runner = Open(work.execute());
  ASSERT_TRUE(runner->Start(Request("a/b")).ok());
  v1::TrainRequest moved = Request("a/b");
  (*moved.mutable_endpoints()->mutable_by_model())["models/p"] = "elsewhere:1";
  EXPECT_TRUE(runner->Start(moved).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(runner->Start(Request("a/b", 2)).status()));
  work.Finish();
  EXPECT_EQ(WaitForEnd(*runner, "jobs/a/b").state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(runner->Start(Request("a/b"))->version().digest(), "done");
  EXPECT_EQ(work.started(), 1);
}

TEST_F(JobRunnerTest, RefusesMalformedRequestIds) {
  Work work;
  const auto runner = Open(work.execute());
  for (const std::string& id : {std::string(), std::string("a b"), std::string(129, 'a')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(runner->Start(Request(id)).status())) << id;
  }
}

TEST_F(JobRunnerTest, AJobThatRanWhenTheProcessEndedRunsAgain) {
  Work first;
  {
    const auto runner = Open(first.execute());
    ASSERT_TRUE(runner->Start(Request("a")).ok());
    while (first.started() == 0) std::this_thread::yield();
  }
  Work second;
  second.Finish();
  const auto runner = Open(second.execute());
  EXPECT_EQ(WaitForEnd(*runner, "jobs/a").version().digest(), "done");
}

TEST_F(JobRunnerTest, OfEndedJobsTheLastAreRemembered) {
  Work work;
  work.Finish();
  const auto folders = [&] {
    const std::filesystem::directory_iterator entries(directory_.path());
    return std::count_if(begin(entries), end(entries),
                         [](const auto& entry) { return entry.is_directory(); });
  };
  {
    const auto runner = Open(work.execute(), 100, 2);
    for (const char* id : {"a", "b", "c", "d"}) {
      ASSERT_TRUE(runner->Start(Request(id)).ok());
      EXPECT_EQ(WaitForEnd(*runner, std::string("jobs/") + id).state(), v1::Job::SUCCEEDED);
    }
    EXPECT_TRUE(absl::IsNotFound(runner->Get("jobs/a").status()));
    EXPECT_TRUE(runner->Get("jobs/c").ok());
    // What is forgotten is a new job.
    ASSERT_TRUE(runner->Start(Request("a", 7)).ok());
    EXPECT_EQ(WaitForEnd(*runner, "jobs/a").version().digest(), "done");
    EXPECT_EQ(work.started(), 5);
  }
  EXPECT_EQ(folders(), 2);
  const auto runner = Open(work.execute(), 100, 1);
  EXPECT_EQ(folders(), 1);
  EXPECT_TRUE(runner->Get("jobs/a").ok());
  EXPECT_TRUE(absl::IsNotFound(runner->Get("jobs/d").status()));
}

TEST_F(JobRunnerTest, AnEndedJobIsRememberedAndNotRunAgain) {
  Work work;
  work.Finish();
  {
    const auto runner = Open(work.execute());
    ASSERT_TRUE(runner->Start(Request("a")).ok());
    WaitForEnd(*runner, "jobs/a");
  }
  const auto runner = Open(work.execute());
  EXPECT_EQ(runner->Get("jobs/a")->state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(work.started(), 1);
}

TEST_F(JobRunnerTest, CancelReachesTheWorkerAndThoseThatWait) {
  Work work;
  const auto runner = Open(work.execute());
  ASSERT_TRUE(runner->Start(Request("running")).ok());
  ASSERT_TRUE(runner->Start(Request("waiting")).ok());
  while (work.started() == 0) std::this_thread::yield();
  EXPECT_EQ(runner->Cancel("jobs/waiting")->state(), v1::Job::CANCELLED);
  ASSERT_TRUE(runner->Cancel("jobs/running").ok());
  EXPECT_EQ(WaitForEnd(*runner, "jobs/running").state(), v1::Job::CANCELLED);
  EXPECT_EQ(work.started(), 1);
  EXPECT_TRUE(absl::IsNotFound(runner->Cancel("jobs/none").status()));
}

TEST_F(JobRunnerTest, AFailureKeepsItsCodeAndReason) {
  const auto runner = Open([](const JobRequest&, const JobRunner::Directories&, JobContext&,
                              v1::Job&) { return absl::DataLossError("the file is gone"); });
  ASSERT_TRUE(runner->Start(Request("a")).ok());
  const v1::Job job = WaitForEnd(*runner, "jobs/a");
  EXPECT_EQ(job.state(), v1::Job::FAILED);
  EXPECT_EQ(job.error_code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(job.error_message(), "the file is gone");
}

TEST_F(JobRunnerTest, AnExceptionFailsTheJobAndNotTheProcess) {
  const auto runner = Open([](const JobRequest& request, const JobRunner::Directories&, JobContext&,
                              v1::Job&) -> absl::Status {
    if (std::get<v1::TrainRequest>(request).request_id() == "a") throw std::bad_alloc();
    throw std::runtime_error("CUDA out of memory. Tried to allocate 2 GiB\nat a lengthy place");
  });
  for (const char* id : {"a", "b"}) {
    ASSERT_TRUE(runner->Start(Request(id)).ok());
    const v1::Job job = WaitForEnd(*runner, std::string("jobs/") + id);
    EXPECT_EQ(job.state(), v1::Job::FAILED);
    EXPECT_EQ(job.error_code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(runner->Get("jobs/b")->error_message(),
            "out of memory: CUDA out of memory. Tried to allocate 2 GiB");
}

TEST_F(JobRunnerTest, WhatAJobKeepsOutlastsItAndItsScratchDoesNot) {
  JobRunner::Directories used;
  const auto runner = Open([&](const JobRequest&, const JobRunner::Directories& directories,
                               JobContext&, v1::Job&) -> absl::Status {
    used = directories;
    EXPECT_TRUE(WriteFileAtomically(used.scratch / "checkpoint", "c").ok());
    EXPECT_TRUE(WriteFileAtomically(used.kept / "weights", "w").ok());
    return absl::FailedPreconditionError("NaN");
  });
  ASSERT_TRUE(runner->Start(Request("a")).ok());
  WaitForEnd(*runner, "jobs/a");
  EXPECT_FALSE(std::filesystem::exists(used.scratch));
  EXPECT_EQ(ReadFile(used.kept / "weights").value_or(""), "w");
}

TEST_F(JobRunnerTest, AJobDuringWhichTheProcessKeepsDyingFails) {
  // Each child dies by SIGKILL in the middle of the job, as by the kernel when memory is short.
  for (int death = 0; death < 10; ++death) {
    const pid_t child = fork();
    if (child == 0) {
      const auto runner = Open([](const JobRequest&, const JobRunner::Directories&, JobContext&,
                                  v1::Job&) -> absl::Status {
        kill(getpid(), SIGKILL);
        return absl::OkStatus();
      });
      if (death == 0) runner->Start(Request("a")).IgnoreError();
      while (true) pause();
    }
    ASSERT_GT(child, 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  Work work;
  work.Finish();
  const auto runner = Open(work.execute());
  const v1::Job job = WaitForEnd(*runner, "jobs/a");
  EXPECT_EQ(job.state(), v1::Job::FAILED);
  EXPECT_EQ(job.error_code(), static_cast<int>(absl::StatusCode::kAborted));
  EXPECT_EQ(work.started(), 0);
}

// Both files, bit by bit: the job is as it was, or it is said that something is lost, and the other
// job goes on.
TEST_F(JobRunnerTest, AFlippedBitCostsItsJobAndIsSaid) {
  Work work;
  work.Finish();
  std::string expected;
  {
    const auto runner = Open(work.execute());
    for (const char* id : {"a", "b"}) {
      ASSERT_TRUE(runner->Start(Request(id)).ok());
      WaitForEnd(*runner, std::string("jobs/") + id);
    }
    expected = runner->Get("jobs/a")->ShortDebugString();
  }
  const int started = work.started();
  for (const char* name : {kRequestFile, kJobFile}) {
    const std::filesystem::path path = directory_.path() / JobFolder("a") / name;
    const std::string sound = *ReadFile(path);
    for (size_t bit = 0; bit < sound.size() * 8; bit += 7) {
      std::string flipped = sound;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      std::ofstream(path, std::ios::binary | std::ios::trunc) << flipped;
      const auto runner = Open(work.execute());
      const auto job = runner->Get("jobs/a");
      const bool is_lost = absl::IsDataLoss(job.status());
      ASSERT_TRUE(is_lost ||
                  (job.ok() && job->error_code() == static_cast<int>(absl::StatusCode::kDataLoss)))
          << name << " bit " << bit;
      EXPECT_EQ(absl::IsDataLoss(runner->Start(Request("a")).status()), is_lost);
      EXPECT_EQ(runner->Get("jobs/b")->state(), v1::Job::SUCCEEDED);
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << sound;
  }
  EXPECT_EQ(Open(work.execute())->Get("jobs/a")->ShortDebugString(), expected);
  EXPECT_EQ(work.started(), started) << "nothing ran again";
}

// Jobs of the program before there were checksums, a folder that is none, and a loop of links.
TEST_F(JobRunnerTest, OldJobsGetChecksumsAndWhatIsNoneIsInNobodysWay) {
  google::protobuf::Any any;
  any.PackFrom(Request("old"));
  const std::filesystem::path folder = directory_.path() / JobFolder("old");
  ASSERT_TRUE(WriteFileAtomically(folder / kRequestFile, any.SerializeAsString()).ok());
  v1::Job job;
  job.set_name("jobs/old");
  job.set_state(v1::Job::SUCCEEDED);
  ASSERT_TRUE(WriteFileAtomically(folder / kJobFile, job.SerializeAsString()).ok());
  std::ofstream(directory_.path() / "stray") << "";
  std::filesystem::create_symlink(directory_.path() / "loop", directory_.path() / "loop");
  std::filesystem::create_directory(directory_.path() / "empty");
  any.set_type_url("type.googleapis.com/backfire.v1.InventedLater");
  ASSERT_TRUE(WriteRequestFile(directory_.path() / JobFolder("newer"), any).ok());
  Work work;
  {
    const auto runner = Open(work.execute());
    EXPECT_EQ(runner->Get("jobs/old")->state(), v1::Job::SUCCEEDED);
    EXPECT_TRUE(absl::IsFailedPrecondition(runner->Get("jobs/newer").status()));
    EXPECT_TRUE(absl::IsFailedPrecondition(runner->Start(Request("newer")).status()));
  }
  ASSERT_TRUE(HasSeal(*ReadFile(folder / kJobFile), SealForm::kLastLine));
  // From now on a file without a checksum has lost it.
  ASSERT_TRUE(WriteFileAtomically(folder / kJobFile, job.SerializeAsString()).ok());
  EXPECT_EQ(Open(work.execute())->Get("jobs/old")->error_code(),
            static_cast<int>(absl::StatusCode::kDataLoss));
}

TEST_F(JobRunnerTest, TheQueueIsBounded) {
  Work work;
  const auto runner = Open(work.execute(), 1);
  ASSERT_TRUE(runner->Start(Request("a")).ok());
  while (work.started() == 0) std::this_thread::yield();
  ASSERT_TRUE(runner->Start(Request("b")).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(runner->Start(Request("c")).status()));
}

TEST_F(JobRunnerTest, AnOverviewTellsWaitingRunningAndEndedJobsApart) {
  std::promise<void> running, finish;
  std::shared_future<void> finished = finish.get_future().share();
  const auto runner = Open([&](const JobRequest& request, const JobRunner::Directories&,
                               JobContext& context, v1::Job&) -> absl::Status {
    if (const auto* train = std::get_if<v1::TrainRequest>(&request); train && train->seed() == 9) {
      return absl::FailedPreconditionError("the loss is nan");
    }
    v1::Progress progress;
    progress.set_stage("training");
    progress.set_step(3);
    context.Report(progress);
    running.set_value();
    finished.wait();
    return absl::OkStatus();
  });
  ASSERT_TRUE(runner->Start(Request("fails", 9)).ok());
  WaitForEnd(*runner, "jobs/fails");
  ASSERT_TRUE(runner->Start(Request("runs")).ok());
  running.get_future().wait();
  v1::EvaluateRequest evaluate;
  evaluate.set_request_id("waits");
  ASSERT_TRUE(runner->Start(evaluate).ok());

  JobRunner::Overview overview = runner->Look();
  EXPECT_EQ(overview.trainings.running, 1);
  EXPECT_EQ(overview.trainings.waiting, 0);
  EXPECT_EQ(overview.evaluations.running, 0);
  EXPECT_EQ(overview.evaluations.waiting, 1);
  const std::pair failed(v1::Job::FAILED, absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(overview.trainings.ended[failed], 1);
  ASSERT_EQ(overview.running.size(), 1u);
  EXPECT_EQ(overview.running[0].worker, 0);
  EXPECT_EQ(overview.running[0].progress.step(), 3);
  EXPECT_EQ(std::get<v1::TrainRequest>(overview.running[0].request).request_id(), "runs");

  ASSERT_TRUE(runner->Cancel("jobs/waits").ok());
  finish.set_value();
  WaitForEnd(*runner, "jobs/runs");
  overview = runner->Look();
  EXPECT_TRUE(overview.running.empty());
  EXPECT_EQ(overview.trainings.running, 0);
  const std::pair succeeded(v1::Job::SUCCEEDED, absl::StatusCode::kOk);
  const std::pair cancelled(v1::Job::CANCELLED, absl::StatusCode::kCancelled);
  EXPECT_EQ(overview.trainings.ended[succeeded], 1);
  EXPECT_EQ(overview.evaluations.ended[cancelled], 1);
}

}  // namespace
}  // namespace backfire::runtime
