#include "orchestrator/cli/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

using std::chrono::milliseconds;
using testing::TemporaryDirectory;

constexpr milliseconds kLong{30'000};

SpawnOptions Command(const TemporaryDirectory& directory, const std::string& script) {
  return {"/bin/sh", {"-c", script}, directory / "log", false};
}

/// Waits for the end of a process.
void AwaitEnd(const ProcessId& process) {
  const auto watch = ProcessWatch::Open(process);
  if (absl::IsNotFound(watch.status())) return;
  ASSERT_TRUE(watch.ok()) << watch.status();
  pollfd polled = {watch->descriptor(), POLLIN, 0};
  ASSERT_EQ(::poll(&polled, 1, static_cast<int>(kLong.count())), 1);
}

TEST(ProcessTest, StartsAProcessInItsOwnSessionAndEndsIt) {
  const TemporaryDirectory directory;
  const auto process = Spawn({"/bin/sleep", {"1000"}, directory / "logs/sleep", false});
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_TRUE(IsRunning(*process));
  EXPECT_EQ(::getsid(process->pid), process->pid);
  ASSERT_TRUE(Terminate({*process}, kLong).ok());
  EXPECT_FALSE(IsRunning(*process));
}

TEST(ProcessTest, KeepsWhatTheProcessWrites) {
  const TemporaryDirectory directory;
  const auto process = Spawn(Command(directory, "echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(process.ok()) << process.status();
  AwaitEnd(*process);
  EXPECT_EQ(DescribeEnd(*process), "exited with code 3");
  EXPECT_EQ(DescribeEnd(*process), "") << "it was reaped";
  EXPECT_EQ(ReadFile(directory / "log").value_or(""), "out\nerr\n");
}

TEST(ProcessTest, NamesTheSignalThatEndedAProcess) {
  const TemporaryDirectory directory;
  const auto process = Spawn(Command(directory, "kill -ABRT $$"));
  ASSERT_TRUE(process.ok()) << process.status();
  AwaitEnd(*process);
  EXPECT_EQ(DescribeEnd(*process), "was killed by Aborted");
}

TEST(ProcessTest, KillsWhatDoesNotEndByItself) {
  const TemporaryDirectory directory;
  const std::string fifo = (directory / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  // An ignored signal stays ignored in the program that the shell becomes.
  const auto process =
      Spawn(Command(directory, "trap '' TERM; echo ready > '" + fifo + "'; exec sleep 1000"));
  ASSERT_TRUE(process.ok()) << process.status();
  std::string word;
  std::ifstream(fifo) >> word;  // Waits for it.
  ASSERT_EQ(word, "ready");
  ASSERT_TRUE(Terminate({*process}, milliseconds(50)).ok());
  EXPECT_FALSE(IsRunning(*process));
}

TEST(ProcessTest, LeavesAloneAProcessThatGotThePidLater) {
  const TemporaryDirectory directory;
  const auto process = Spawn({"/bin/sleep", {"1000"}, directory / "log", false});
  ASSERT_TRUE(process.ok()) << process.status();
  const ProcessId earlier = {process->pid, process->start_ticks - 1};
  EXPECT_FALSE(IsRunning(earlier));
  EXPECT_TRUE(absl::IsNotFound(ProcessWatch::Open(earlier).status()));
  ASSERT_TRUE(Terminate({earlier}, kLong).ok());
  EXPECT_TRUE(IsRunning(*process));
  ASSERT_TRUE(Terminate({*process}, kLong).ok());
}

TEST(ProcessTest, TheChildCanBeInterruptedAlthoughItsParentBlocksSignals) {
  sigset_t term, before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &term, &before), 0);
  const TemporaryDirectory directory;
  const auto process = Spawn({"/bin/sleep", {"1000"}, directory / "log", false});
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  ASSERT_TRUE(process.ok()) << process.status();
  const auto watch = ProcessWatch::Open(*process);
  ASSERT_TRUE(watch.ok()) << watch.status();
  ASSERT_TRUE(watch->Signal(SIGTERM).ok());
  AwaitEnd(*process);
  EXPECT_EQ(DescribeEnd(*process), "was killed by Terminated");
}

TEST(ProcessTest, RefusesAProgramThatIsNotThere) {
  const TemporaryDirectory directory;
  const auto process = Spawn({directory / "nothing", {}, directory / "log", false});
  EXPECT_TRUE(absl::IsNotFound(process.status())) << process.status();
  EXPECT_THAT(std::string(process.status().message()), ::testing::HasSubstr("nothing"));
}

TEST(ProcessTest, EndingNothingIsFine) {
  EXPECT_TRUE(Terminate({}, kLong).ok());
  EXPECT_FALSE(IsRunning({0, 0}));
}

}  // namespace
}  // namespace backfire::cli
