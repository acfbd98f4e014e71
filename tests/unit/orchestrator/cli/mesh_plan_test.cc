#include "orchestrator/cli/mesh_plan.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;

v1::Vertex& AddVertex(v1::System& system, const std::string& name, const std::string& endpoint,
                      const std::string& program) {
  v1::Vertex& vertex = *system.add_vertices();
  vertex.set_name(name);
  vertex.set_endpoint(endpoint);
  if (!program.empty()) vertex.mutable_process()->set_program(program);
  return vertex;
}

class PlanMeshTest : public ::testing::Test {
 protected:
  PlanMeshTest() {
    for (const char* program : {"one-service", "gateway", "orchestrator"}) {
      const auto path = directory_ / program;
      EXPECT_TRUE(WriteFileAtomically(path, "#!/bin/sh\n").ok());
      std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    }
    options_.data_directory = "/data";
    options_.program_directory = directory_.path();
  }
  TemporaryDirectory directory_;
  MeshOptions options_;
};

TEST_F(PlanMeshTest, StartsAProcessPerEndpointThenOrchestratorThenGateway) {
  v1::System system;
  system.set_name("pair");
  AddVertex(system, "first", "localhost:7001", "one-service")
      .mutable_process()
      ->add_arguments("-v");
  AddVertex(system, "second", "localhost:7001", "one-service")
      .mutable_process()
      ->add_arguments("-v");
  AddVertex(system, "third", "far.example:7001", "");
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  ASSERT_EQ(mesh->processes_size(), 3);
  const MeshProcess& service = mesh->processes(0);
  EXPECT_EQ(service.name(), "first");
  EXPECT_EQ(service.program(), (directory_ / "one-service").string());
  EXPECT_THAT(service.vertices(), ElementsAre("first", "second"));
  EXPECT_THAT(service.arguments(),
              ElementsAre("--listen=localhost:7001", "--metrics-listen=localhost:8001",
                          "--data-dir=/data/services/first", "-v"));
  EXPECT_EQ(service.log(), "/data/logs/services/first.log");
  EXPECT_THAT(mesh->processes(1).arguments(),
              ElementsAre("--listen=localhost:7010", "--metrics-listen=localhost:8010",
                          "--data-dir=/data/orchestrator"));
  EXPECT_THAT(mesh->processes(2).arguments(),
              ElementsAre("--listen=localhost:7000", "--metrics-listen=localhost:8000",
                          "--orchestrator=localhost:7010"));
}

TEST_F(PlanMeshTest, StartsReplicasThatCopyFromTheirPrimary) {
  v1::System system;
  system.set_name("pair");
  for (const char* name : {"first", "second"}) {
    v1::Vertex& vertex = AddVertex(system, name, "localhost:7001", "one-service");
    vertex.mutable_process()->add_arguments("-v");
    vertex.add_replicas("localhost:7011");
    vertex.add_replicas("localhost:7021");
    vertex.add_replicas("elsewhere:7021");  // Not ours to start.
  }
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  ASSERT_EQ(mesh->processes_size(), 5);
  EXPECT_EQ(mesh->processes(0).name(), "first");
  EXPECT_EQ(mesh->processes(2).name(), "first-replica-7021");
  EXPECT_THAT(mesh->processes(2).vertices(), ElementsAre("first", "second"));
  EXPECT_THAT(mesh->processes(2).arguments(),
              ElementsAre("--listen=localhost:7021", "--metrics-listen=localhost:8021",
                          "--data-dir=/data/services/first-replica-7021",
                          "--replica-of=localhost:7001", "-v"));
}

TEST_F(PlanMeshTest, AReplicaMayNotBearAVertexsName) {
  v1::System system;
  AddVertex(system, "a", "localhost:7001", "one-service");
  AddVertex(system, "a-replica-7011", "localhost:7002", "one-service");
  system.mutable_vertices(0)->add_replicas("localhost:7011");
  const auto mesh = PlanMesh(system, options_);
  EXPECT_TRUE(absl::IsInvalidArgument(mesh.status())) << mesh.status();
  EXPECT_THAT(std::string(mesh.status().message()), HasSubstr("called a-replica-7011"));
}

TEST_F(PlanMeshTest, ReportsEveryFault) {
  v1::System system;
  AddVertex(system, "a", "localhost:7001", "one-service");
  AddVertex(system, "b", "localhost:7001", "gateway");
  AddVertex(system, "c", "localhost:7010", "one-service");
  AddVertex(system, "d", "localhost", "one-service");
  AddVertex(system, "e", "localhost:7005", "nothing");
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(absl::IsInvalidArgument(mesh.status())) << mesh.status();
  const std::string message(mesh.status().message());
  EXPECT_THAT(message,
              HasSubstr("vertices[1].process and .replicas: must equal those of vertex \"a\""));
  EXPECT_THAT(message, HasSubstr("orchestrator: localhost:7010 is also used by c"));
  EXPECT_THAT(message,
              HasSubstr("d: an endpoint must be HOST:PORT or unix:PATH: got \"localhost\""));
  EXPECT_THAT(message, HasSubstr("e: cannot run the program"));
}

TEST(MetricsEndpointTest, IsAThousandPortsUp) {
  EXPECT_EQ(MetricsEndpoint("localhost:7001"), "localhost:8001");
  EXPECT_EQ(MetricsEndpoint("[::1]:7001"), "[::1]:8001");
  EXPECT_EQ(MetricsEndpoint("localhost:65000"), "");
  EXPECT_EQ(MetricsEndpoint("unix:/run/car"), "");
}

TEST(CheckEndpointIsFreeTest, NoticesAListener) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string endpoint = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  const absl::Status status = CheckEndpointIsFree(endpoint);
  ::close(listener);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(status.message(), absl::StrCat(endpoint, " is in use by another process"));
  EXPECT_TRUE(CheckEndpointIsFree(endpoint).ok());
}

TEST(CheckEndpointIsFreeTest, RefusesWhatIsNoAddress) {
  EXPECT_TRUE(absl::IsInvalidArgument(CheckEndpointIsFree("localhost:0")));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckEndpointIsFree("localhost:99999")));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckEndpointIsFree(":7001")));
}

TEST(MeshFileTest, ReadsWhatWasWritten) {
  const TemporaryDirectory directory;
  Mesh mesh;
  mesh.set_system("stereo");
  mesh.set_boot_id("boot");
  MeshProcess& process = *mesh.add_processes();
  process.set_name("car");
  process.set_pid(4321);
  process.set_start_ticks(int64_t{1} << 53);  // Beyond what a double counts exactly.
  process.add_arguments("--data-dir=/a \"b\"");
  ASSERT_TRUE(WriteMesh(directory / "mesh.json", mesh).ok());
  const auto read = ReadMesh(directory / "mesh.json");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*read, mesh));
}

TEST(MeshFileTest, RefusesWhatIsNoMesh) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(absl::IsNotFound(ReadMesh(directory / "mesh.json").status()));
  ASSERT_TRUE(WriteFileAtomically(directory / "mesh.json", "{\"processes\": [").ok());
  EXPECT_TRUE(absl::IsDataLoss(ReadMesh(directory / "mesh.json").status()));
}

}  // namespace
}  // namespace backfire::cli
