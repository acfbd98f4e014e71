#include "orchestrator/cli/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "orchestrator/cli/mesh_plan.h"
#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDirectory;

/// A mesh of real processes: toy services everywhere, on unix sockets.
class LocalMeshTest : public ::testing::Test {
 protected:
  LocalMeshTest() : mesh_(directory_ / "data") {
    const std::string toy =
        (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "toy-service").string();
    WriteProgram("toy", "exec " + toy + " \"$@\"");
    WriteProgram("orchestrator", "exec " + toy + " \"$@\"");
    // A toy service knows no orchestrator, and does need a data directory.
    WriteProgram("gateway", "exec " + toy + " \"$1\" --data-dir=" + (directory_ / "g").string());
    options_.data_directory = directory_ / "data";
    options_.program_directory = directory_.path();
    options_.orchestrator = Socket("o");
    options_.gateway = Socket("w");
    v1::Vertex& vertex = *system_.add_vertices();
    vertex.set_name("first");
    vertex.set_endpoint(Socket("f"));
    vertex.mutable_process()->set_program("toy");
  }
  ~LocalMeshTest() override { EXPECT_TRUE(Down().ok()); }

  std::string Socket(const std::string& name) const {
    return "unix:" + (directory_ / name).string();
  }
  void WriteProgram(const std::string& name, const std::string& script) {
    ASSERT_TRUE(WriteFileAtomically(directory_ / name, "#!/bin/sh\n" + script + "\n").ok());
    std::filesystem::permissions(directory_ / name, std::filesystem::perms::owner_all);
  }
  absl::StatusOr<int> Up() {
    const auto plan = PlanMesh(system_, options_);
    if (!plan.ok()) return plan.status();
    return mesh_.BringUp(*plan, {}, {absl::Seconds(60), false},
                         [this](const std::string& line) { told_ += line + "\n"; });
  }
  absl::StatusOr<int> Down() {
    return mesh_.BringDown(absl::Seconds(30), [](const std::string&) {});
  }

  int RunningCount() const {
    const auto reports = mesh_.Inspect(absl::Seconds(1));
    if (!reports.ok()) return -1;
    return static_cast<int>(std::count_if(reports->begin(), reports->end(),
                                          [](const auto& report) { return report.running; }));
  }

  TemporaryDirectory directory_;
  MeshOptions options_;
  v1::System system_;
  LocalMesh mesh_;
  std::string told_;
};

TEST_F(LocalMeshTest, ComesUpIsHealthyAndGoesDown) {
  const auto started = Up();
  ASSERT_TRUE(started.ok()) << started.status();
  EXPECT_EQ(*started, 3);
  EXPECT_THAT(told_, HasSubstr("first is up at unix:"));
  const auto reports = mesh_.Inspect(absl::Seconds(10));
  ASSERT_TRUE(reports.ok()) << reports.status();
  for (const auto& report : *reports) {
    EXPECT_TRUE(report.running) << report.process.name();
    EXPECT_EQ(report.health, Health::kServing) << report.process.name();
  }
  EXPECT_EQ(Down().value_or(-1), 3);
  EXPECT_EQ(Down().value_or(-1), 0);
  EXPECT_EQ(RunningCount(), 0);
}

// Else threads of trainings side by side keep each other's processors busy by waiting.
TEST_F(LocalMeshTest, ThreadsOfItsProcessesSleepWhileTheyWaitUnlessTheUserSaysOtherwise) {
  const auto policy = [&] {
    std::string found;
    const Mesh mesh = mesh_.Read().value_or(Mesh());
    for (const MeshProcess& process : mesh.processes()) {
      const auto variables = ReadFile(absl::StrCat("/proc/", process.pid(), "/environ"));
      for (const absl::string_view variable : absl::StrSplit(variables.value_or(""), '\0')) {
        if (absl::StartsWith(variable, "OMP_WAIT_POLICY=")) absl::StrAppend(&found, variable, "\n");
      }
    }
    return found;
  };
  ::unsetenv("OMP_WAIT_POLICY");
  ASSERT_TRUE(Up().ok());
  EXPECT_EQ(policy(),
            "OMP_WAIT_POLICY=PASSIVE\nOMP_WAIT_POLICY=PASSIVE\nOMP_WAIT_POLICY=PASSIVE\n");
  ASSERT_TRUE(Down().ok());
  ::setenv("OMP_WAIT_POLICY", "ACTIVE", 1);
  ASSERT_TRUE(Up().ok());
  EXPECT_EQ(policy(), "OMP_WAIT_POLICY=ACTIVE\nOMP_WAIT_POLICY=ACTIVE\nOMP_WAIT_POLICY=ACTIVE\n");
  ::unsetenv("OMP_WAIT_POLICY");
}

TEST_F(LocalMeshTest, ComingUpAgainStartsOnlyWhatIsMissing) {
  ASSERT_TRUE(Up().ok());
  EXPECT_EQ(Up().value_or(-1), 0);
  const MeshProcess service = mesh_.Read()->processes(0);
  ASSERT_TRUE(Terminate({{service.pid(), service.start_ticks()}}, std::chrono::seconds(30)).ok());
  EXPECT_EQ(Up().value_or(-1), 1);
  EXPECT_NE(mesh_.Read()->processes(0).pid(), service.pid());
}

TEST_F(LocalMeshTest, RefusesToReplaceAnotherMesh) {
  ASSERT_TRUE(Up().ok());
  system_.mutable_vertices(0)->mutable_process()->add_arguments("--threads=1");
  const auto started = Up();
  EXPECT_TRUE(absl::IsFailedPrecondition(started.status())) << started.status();
  EXPECT_THAT(std::string(started.status().message()), HasSubstr("backfire down"));
}

TEST_F(LocalMeshTest, AProcessThatFailsTakesTheOthersWithItAndItsLogIsShown) {
  WriteProgram("toy", "echo no such device: cuda:9 >&2; exit 7");
  const auto started = Up();
  EXPECT_TRUE(absl::IsInternal(started.status())) << started.status();
  const std::string message(started.status().message());
  EXPECT_THAT(message, HasSubstr("first exited with code 7"));
  EXPECT_THAT(message, HasSubstr("  no such device: cuda:9"));
  EXPECT_EQ(RunningCount(), 0);
}

TEST_F(LocalMeshTest, IgnoresProcessesOfAnEarlierRunOfTheMachine) {
  ASSERT_TRUE(Up().ok());
  const auto path = directory_ / "data/mesh.json";
  const Mesh running = *ReadMesh(path);
  Mesh other = running;
  other.set_boot_id("another");
  ASSERT_TRUE(WriteMesh(path, other).ok());
  EXPECT_EQ(Down().value_or(-1), 0);
  ASSERT_TRUE(WriteMesh(path, running).ok());
  EXPECT_EQ(Down().value_or(-1), 3);
}

TEST_F(LocalMeshTest, NothingWasEverStarted) {
  EXPECT_TRUE(absl::IsNotFound(mesh_.Read().status()));
  EXPECT_TRUE(absl::IsNotFound(mesh_.Inspect(absl::Seconds(1)).status()));
}

}  // namespace
}  // namespace backfire::cli
