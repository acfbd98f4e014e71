#include "orchestrator/study/study_mesh.h"

#include <unistd.h>

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/mesh.h"
#include "orchestrator/cli/mesh_plan.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "services/base/status.h"
#include "services/graph/placement.h"
#include "services/rpc/credentials.h"
#include "services/rpc/token.h"

namespace backfire::study {
namespace {

using Stub = v1::Orchestrator::Stub;

std::string Socket(const StudyPlace& place, const std::string& name) {
  return absl::StrCat("unix:", (place.directory / name).string());
}

/// With an endpoint for each vertex: of those that have none, its process goes by a vertex's name.
v1::System Placed(v1::System system) {
  graph::PlaceVertices([](const std::string& vertex) { return vertex; }, system);
  return system;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StudyMesh>> StudyMesh::Start(const StudyPlace& place,
                                                            const v1::System& system,
                                                            const std::string& system_file) {
  std::error_code error;
  std::filesystem::create_directories(place.directory, error);
  std::unique_ptr<StudyMesh> mesh(new StudyMesh(place));
  v1::System started = Placed(system);
  for (v1::Vertex& vertex : *started.mutable_vertices()) {
    std::string& socket = mesh->sockets_[vertex.endpoint()];
    if (socket.empty()) socket = Socket(place, absl::StrCat("s", mesh->sockets_.size()));
    vertex.set_endpoint(socket);
  }
  cli::MeshOptions options;
  options.data_directory = place.directory;
  options.program_directory = place.program_directory;
  options.orchestrator = Socket(place, "o");
  options.gateway = Socket(place, "g");
  options.system_file = std::filesystem::absolute(system_file).string();
  absl::StatusOr<cli::Mesh> plan = cli::PlanMesh(started, options);
  if (!plan.ok()) return Annotate(plan.status(), system_file);
  // One token for all meshes of this process, which is one caller.
  runtime::SecurityOptions shown;
  shown.token_file = std::filesystem::absolute(place.directory).parent_path() / "token";
  BACKFIRE_RETURN_IF_ERROR(runtime::MakeTokenFile(shown.token_file));
  BACKFIRE_RETURN_IF_ERROR(runtime::ShowIdentity(shown));
  BACKFIRE_RETURN_IF_ERROR(cli::LocalMesh(place.directory)
                               .BringUp(*std::move(plan), {},
                                        {absl::Seconds(120), true, shown.token_file},
                                        [](const std::string&) {})
                               .status());
  return mesh;
}

StudyMesh::~StudyMesh() {
  // What it could not end, ends with this process.
  cli::LocalMesh(place_.directory)
      .BringDown(absl::Seconds(10), [](const std::string&) {})
      .IgnoreError();
}

absl::StatusOr<v1::Update> StudyMesh::Apply(v1::System system) {
  system = Placed(std::move(system));
  for (v1::Vertex& vertex : *system.mutable_vertices()) {
    const auto found = sockets_.find(vertex.endpoint());
    if (found == sockets_.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "vertex ", vertex.name(), ": no process was started for ", vertex.endpoint()));
    }
    vertex.set_endpoint(found->second);
  }
  v1::ApplySystemRequest request;
  *request.mutable_system() = std::move(system);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::ApplySystemResponse applied,
                            cli::OrchestratorClient(Socket(place_, "o"))
                                .Call(&Stub::ApplySystem, request, absl::Seconds(300)));
  return AwaitEnd(applied.update());
}

absl::StatusOr<std::string> StudyMesh::CurrentSystem() {
  const auto current =
      cli::OrchestratorClient(Socket(place_, "o")).Call(&Stub::GetSystem, v1::GetSystemRequest());
  if (absl::IsNotFound(current.status())) return "";
  BACKFIRE_RETURN_IF_ERROR(current.status());
  return current->system().name();
}

absl::StatusOr<v1::Update> StudyMesh::AwaitEnd(const std::string& name) {
  cli::OrchestratorClient orchestrator(Socket(place_, "o"));
  BACKFIRE_ASSIGN_OR_RETURN(v1::Update update, orchestrator.WatchUpdate(name, on_change_));
  if (update.state() != v1::Update::FAILED && update.state() != v1::Update::CANCELLED) {
    return update;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      name, " is ", v1::Update::State_Name(update.state()), ": ", update.error_message()));
}

absl::StatusOr<v1::Update> StudyMesh::Propose(const v1::Proposal& proposal,
                                              const std::string& request_id) {
  v1::ProposeUpdateRequest request;
  request.set_request_id(request_id);
  request.set_vertex(proposal.vertex());
  *request.mutable_recipe() = proposal.recipe();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update update,
                            cli::OrchestratorClient(Socket(place_, "o"))
                                .Call(&Stub::ProposeUpdate, request, absl::Seconds(120)));
  return AwaitEnd(update.name());
}

absl::StatusOr<std::string> StudyMesh::Evidence(const std::string& update) const {
  return cli::OrchestratorClient(Socket(place_, "o")).ExportEvidence(update);
}

double StudyMesh::OrchestratorSeconds() const {
  const auto mesh = cli::LocalMesh(place_.directory).Read();
  if (!mesh.ok()) return 0;
  for (const cli::MeshProcess& process : mesh->processes()) {
    if (process.name() != "orchestrator") continue;
    std::ifstream file(absl::StrCat("/proc/", process.pid(), "/stat"));
    std::string field;
    double ticks = 0;
    // utime and stime are fields 14 and 15 of proc(5); the name, field 2, has no space here.
    for (int i = 1; i <= 15 && file >> field; ++i) {
      if (i >= 14) ticks += std::stod(field);
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return 0;
}

}  // namespace backfire::study
