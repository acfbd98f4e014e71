#include "orchestrator/cli/mesh_plan.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/metrics_ports.h"
#include "services/base/file.h"
#include "services/rpc/address.h"
#include "services/rpc/listener.h"
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
              ElementsAre("--listen=unix:/data/run/orchestrator", "--metrics-listen=localhost:8002",
                          "--data-dir=/data/orchestrator"));
  EXPECT_THAT(mesh->processes(2).arguments(),
              ElementsAre("--listen=localhost:7000", "--metrics-listen=localhost:8000",
                          "--orchestrator=unix:/data/run/orchestrator"));
}

TEST_F(PlanMeshTest, PutsOnSocketsWhatNamesNoEndpoint) {
  v1::System system;
  AddVertex(system, "a", "", "one-service");
  AddVertex(system, "b", "", "one-service").mutable_process()->add_arguments("-v");
  AddVertex(system, "c", "", "one-service");  // Equal to that of a.
  AddVertex(system, "d", "localhost:7004", "one-service");
  AddVertex(system, "e", "far.example:9001", "");
  PlaceOnSockets(options_.data_directory, system);
  EXPECT_EQ(system.vertices(2).endpoint(), system.vertices(0).endpoint());
  EXPECT_EQ(system.vertices(3).endpoint(), "localhost:7004");
  EXPECT_EQ(system.vertices(4).endpoint(), "far.example:9001");
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  std::vector<std::string> places;
  for (const MeshProcess& process : mesh->processes()) {
    places.push_back(absl::StrCat(process.endpoint(), " ", process.metrics_endpoint()));
  }
  // Ports on loopback alone, the orchestrator's next to the gateway's; 8004 is that of d.
  EXPECT_THAT(
      places,
      ElementsAre("unix:/data/run/a localhost:8002", "unix:/data/run/b localhost:8003",
                  "localhost:7004 localhost:8004", "unix:/data/run/orchestrator localhost:8001",
                  "localhost:7000 localhost:8000"));
  EXPECT_THAT(mesh->processes(0).vertices(), ElementsAre("a", "c"));
}

TEST_F(PlanMeshTest, StartsReplicasOfASocketOnThisMachine) {
  v1::System system;
  v1::Vertex& vertex = AddVertex(system, "a", "", "one-service");
  for (const char* replica : {"localhost:7011", "unix:/elsewhere/a-2", "far.example:7011"}) {
    vertex.add_replicas(replica);
  }
  PlaceOnSockets(options_.data_directory, system);
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  ASSERT_EQ(mesh->processes_size(), 5);
  EXPECT_EQ(mesh->processes(1).endpoint(), "localhost:7011");
  EXPECT_EQ(mesh->processes(2).endpoint(), "unix:/elsewhere/a-2");
}

TEST_F(PlanMeshTest, SaysWhichSocketsPathIsTooLong) {
  options_.data_directory = "/" + std::string(90, 'd');
  v1::System system;
  AddVertex(system, "a", "", "one-service");
  AddVertex(system, std::string(20, 'b'), "", "one-service").mutable_process()->add_arguments("-v");
  PlaceOnSockets(options_.data_directory, system);
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(absl::IsInvalidArgument(mesh.status())) << mesh.status();
  const std::string message(mesh.status().message());
  EXPECT_THAT(message, HasSubstr("bbbb: a unix socket's path must have 1 to 107 bytes: got 116"));
  EXPECT_THAT(message, HasSubstr("a shorter --data-dir"));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("a: a unix socket's path")));
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
  AddVertex(system, "c", "unix:/data/run/orchestrator", "one-service");
  AddVertex(system, "d", "localhost", "one-service");
  AddVertex(system, "e", "localhost:7005", "nothing");
  const auto mesh = PlanMesh(system, options_);
  ASSERT_TRUE(absl::IsInvalidArgument(mesh.status())) << mesh.status();
  const std::string message(mesh.status().message());
  EXPECT_THAT(message,
              HasSubstr("vertices[1].process and .replicas: must equal those of vertex \"a\""));
  EXPECT_THAT(message, HasSubstr("orchestrator: unix:/data/run/orchestrator is also used by c"));
  EXPECT_THAT(message,
              HasSubstr("d: an endpoint must be HOST:PORT or unix:PATH: got \"localhost\""));
  EXPECT_THAT(message, HasSubstr("e: cannot run the program"));
}

TEST(MetricsPortsTest, CountsFromTheGateways) {
  MetricsPorts ports("[::1]:7100");
  ports.LeaveOut("localhost:7102");
  ports.LeaveOut("localhost:8101");
  EXPECT_EQ(ports.Of("[::1]:7100"), "[::1]:8100");
  EXPECT_EQ(ports.Of("localhost:7102"), "localhost:8102");
  EXPECT_EQ(ports.Of("unix:/run/a"), "localhost:8103");
  EXPECT_EQ(ports.Of("unix:/run/b"), "localhost:8104");
  EXPECT_EQ(ports.Of("localhost:65000"), "");
  MetricsPorts highest("localhost:64535");
  EXPECT_EQ(highest.Of("localhost:64535"), "localhost:65535");
  EXPECT_EQ(highest.Of("unix:/run/a"), "");
  // Without a port there is nothing to count from.
  EXPECT_EQ(MetricsPorts("unix:/run/gateway").Of("unix:/run/a"), "");
}

TEST(CheckEndpointIsFreeTest, ASocketIsInUseWhileSomebodyListens) {
  const TemporaryDirectory directory;
  const std::string endpoint = absl::StrCat("unix:", (directory / "its socket").string());
  EXPECT_TRUE(CheckEndpointIsFree(endpoint).ok());
  auto listener = runtime::Listener::Bind(endpoint, 1000);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckEndpointIsFree(endpoint)));
  // As a process leaves it that is killed.
  ASSERT_EQ(::link(runtime::UnixPath(endpoint).c_str(), (directory / "stale").c_str()), 0);
  listener->reset();
  EXPECT_TRUE(std::filesystem::is_socket(directory / "stale"));
  EXPECT_TRUE(CheckEndpointIsFree(absl::StrCat("unix:", (directory / "stale").string())).ok());
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
