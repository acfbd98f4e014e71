#include "orchestrator/cli/session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/cli/mesh_plan.h"
#include "orchestrator/cli/process.h"
#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { session_.data_directory = directory_ / "its data"; }

  /// A mesh whose orchestrator is this process, or one that has ended, at a port.
  void WriteMeshOf(int64_t start_ticks) {
    Mesh mesh;
    mesh.set_boot_id(
        std::string(absl::StripSuffix(*ReadFile("/proc/sys/kernel/random/boot_id"), "\n")));
    MeshProcess& orchestrator = *mesh.add_processes();
    orchestrator.set_name("orchestrator");
    orchestrator.set_endpoint("localhost:7010");
    orchestrator.set_pid(::getpid());
    orchestrator.set_start_ticks(start_ticks);
    ASSERT_TRUE(MakeDirectories(session_.data_directory).ok());
    ASSERT_TRUE(WriteMesh(session_.data_directory / "mesh.json", mesh).ok());
  }
  std::string EndpointOf(const std::string& text) {
    EXPECT_TRUE(WriteFileAtomically(directory_ / "one.yaml", text).ok());
    const auto system = session_.LoadSystem(directory_ / "one.yaml");
    EXPECT_TRUE(system.ok()) << system.status();
    return system.ok() ? system->vertices(0).endpoint() : "";
  }

  const testing::TemporaryDirectory directory_;
  const std::string run_ = absl::StrCat("unix:", (directory_ / "its data" / "run").string());
  Session session_;
};

TEST_F(SessionTest, FindsTheOrchestratorOfItsDataDirectory) {
  EXPECT_EQ(session_.orchestrator_target(), absl::StrCat(run_, "/orchestrator"));
  const int64_t ticks = *StartTicks(::getpid());
  WriteMeshOf(ticks);
  EXPECT_EQ(session_.orchestrator_target(), "localhost:7010");
  // What is at the port of one that has ended is another's.
  WriteMeshOf(ticks + 1);
  EXPECT_EQ(session_.orchestrator_target(), absl::StrCat(run_, "/orchestrator"));
  session_.orchestrator = "far:7000";
  EXPECT_EQ(session_.orchestrator_target(), "far:7000");
}

TEST_F(SessionTest, SaysWhereVerticesAreToAnOrchestratorOfThisMachineAlone) {
  const std::string text =
      "name: s\nrequest: [{name: x, datatype: FP64, shape: [1]}]\noutputs: {y: a.y}\ndataset: "
      "d\nvertices:\n"
      "- {name: a, inputs: {x: request.x}, recipe: {name: r}, process: {program: a-service}}\n";
  EXPECT_EQ(EndpointOf(text), absl::StrCat(run_, "/a"));
  session_.orchestrator = "localhost:7010";  // Of a container, for all that is known here.
  EXPECT_EQ(EndpointOf(text), "");
  WriteMeshOf(*StartTicks(::getpid()));
  EXPECT_EQ(EndpointOf(text), absl::StrCat(run_, "/a"));
}

}  // namespace
}  // namespace backfire::cli
