#include "orchestrator/cli/mesh_plan.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/cli/metrics_ports.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/graph/placement.h"
#include "services/graph/system_graph.h"
#include "services/rpc/address.h"
#include "services/rpc/run_directory.h"

namespace backfire::cli {
namespace {

using google::protobuf::util::MessageDifferencer;
namespace fs = std::filesystem;

/// As runtime::ParseHostPort, of what a client is to find: any free port won't do.
absl::StatusOr<runtime::HostPort> ParseEndpoint(const std::string& endpoint) {
  absl::StatusOr<runtime::HostPort> parsed = runtime::ParseHostPort(endpoint);
  if (parsed.ok() && parsed->port == 0) {
    parsed = absl::InvalidArgumentError(absl::StrCat("must name a port: got \"", endpoint, "\""));
  }
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(absl::StrCat("an endpoint ", parsed.status().message()));
}

/// What an endpoint says of the machine: the text before the port.
std::string HostOf(const std::string& endpoint) { return endpoint.substr(0, endpoint.rfind(':')); }

/// `car-replica-7014` of a vertex `car`: by the port, so that it stays the same when others go.
std::string ReplicaName(const std::string& vertex, const std::string& endpoint) {
  return absl::StrCat(vertex, "-replica-", endpoint.substr(endpoint.find_last_of(":/") + 1));
}

/// Where a vertex is served on the machine of its endpoint: the endpoint, and its replicas there.
std::vector<std::string> EndpointsHere(const v1::Vertex& vertex) {
  std::vector<std::string> here = {vertex.endpoint()};
  for (const std::string& replica : vertex.replicas()) {
    // A socket is this machine's, whichever of the two it is.
    const bool is_here = runtime::IsUnix(replica) ||
                         (runtime::IsUnix(vertex.endpoint()) && runtime::IsLocal(replica)) ||
                         HostOf(replica) == HostOf(vertex.endpoint());
    if (is_here) here.push_back(replica);
  }
  return here;
}

MeshProcess MakeProcess(const MeshOptions& options, const std::string& name,
                        const std::string& program, const std::string& endpoint,
                        const std::string& metrics_endpoint) {
  MeshProcess process;
  process.set_name(name);
  const bool has_path = program.find('/') != std::string::npos;
  process.set_program(
      (has_path ? fs::path(program) : options.program_directory / program).string());
  process.set_endpoint(endpoint);
  process.set_metrics_endpoint(metrics_endpoint);
  process.add_arguments(absl::StrCat("--listen=", endpoint));
  // Left out where there is none: CLI11 takes the argument after `--flag=` for its value.
  if (!process.metrics_endpoint().empty()) {
    process.add_arguments(absl::StrCat("--metrics-listen=", process.metrics_endpoint()));
  }
  return process;
}

void AddDataDirectory(MeshProcess& process, const MeshOptions& options, const fs::path& relative) {
  process.add_arguments(absl::StrCat("--data-dir=", (options.data_directory / relative).string()));
}

std::string LogPath(const MeshOptions& options, const fs::path& relative) {
  return (options.data_directory / "logs" / relative).string() + ".log";
}

/// OK if nobody listens on a socket.
absl::Status CheckSocketIsFree(const std::string& endpoint) {
  BACKFIRE_RETURN_IF_ERROR(runtime::CheckUnixPath(endpoint));
  const std::string path = runtime::UnixPath(endpoint);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return ErrnoToStatus(errno, "socket");
  // EAGAIN: somebody listens, and accepts nobody just now.
  const bool is_free =
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EAGAIN;
  ::close(descriptor);
  if (is_free) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(endpoint, " is in use by another process"));
}

}  // namespace

absl::Status CheckEndpoint(const fs::path& data_directory, const std::string& endpoint) {
  if (!runtime::IsUnix(endpoint)) return ParseEndpoint(endpoint).status();
  const absl::Status status = runtime::CheckUnixPath(endpoint);
  if (status.ok() || !absl::StartsWith(endpoint, runtime::RunSocket(data_directory, ""))) {
    return status;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(status.message(), ": a shorter --data-dir makes it shorter"));
}

std::string OrchestratorSocket(const fs::path& data_directory) {
  return runtime::RunSocket(data_directory, "orchestrator");
}

void PlaceOnSockets(const fs::path& data_directory, v1::System& system) {
  graph::PlaceVertices(
      [&](const std::string& vertex) { return runtime::RunSocket(data_directory, vertex); },
      system);
}

absl::StatusOr<Mesh> PlanMesh(const v1::System& system, const MeshOptions& options) {
  Mesh mesh;
  mesh.set_system(system.name());
  const std::string orchestrator_endpoint = options.orchestrator.empty()
                                                ? OrchestratorSocket(options.data_directory)
                                                : options.orchestrator;
  MetricsPorts metrics(options.gateway);
  metrics.LeaveOut(orchestrator_endpoint);
  for (const v1::Vertex& vertex : system.vertices()) {
    for (const std::string& endpoint : graph::ServingEndpoints(vertex)) metrics.LeaveOut(endpoint);
  }
  const std::string orchestrator_metrics = metrics.Of(orchestrator_endpoint);
  std::vector<std::string> faults;
  std::map<std::string, int> position_of;             // Endpoint -> in mesh.processes.
  std::map<std::string, const v1::Vertex*> first_of;  // Endpoint -> the first vertex there.
  for (int i = 0; i < system.vertices_size(); ++i) {
    const v1::Vertex& vertex = system.vertices(i);
    if (!vertex.has_process()) continue;
    const std::string field = absl::StrCat("vertices[", i, "]");
    const std::vector<std::string> endpoints = EndpointsHere(vertex);
    const auto [known, is_new] = first_of.emplace(vertex.endpoint(), &vertex);
    if (!is_new) {
      const v1::Vertex& first = *known->second;
      if (!MessageDifferencer::Equals(first.process(), vertex.process()) ||
          graph::ServingEndpoints(first) != graph::ServingEndpoints(vertex)) {
        faults.push_back(
            absl::StrCat(field, ".process and .replicas: must equal those of vertex \"",
                         first.name(), "\", which has the same endpoint ", vertex.endpoint()));
        continue;
      }
      for (const std::string& endpoint : endpoints) {
        mesh.mutable_processes(position_of.at(endpoint))->add_vertices(vertex.name());
      }
      continue;
    }
    if (vertex.process().program().empty()) {
      faults.push_back(absl::StrCat(field, ".process.program: must not be empty"));
    }
    for (size_t k = 0; k < endpoints.size(); ++k) {
      const std::string name = k == 0 ? vertex.name() : ReplicaName(vertex.name(), endpoints[k]);
      position_of[endpoints[k]] = mesh.processes_size();
      MeshProcess& process = *mesh.add_processes();
      process = MakeProcess(options, name, vertex.process().program(), endpoints[k],
                            metrics.Of(endpoints[k]));
      AddDataDirectory(process, options, fs::path("services") / name);
      if (k > 0) process.add_arguments(absl::StrCat("--replica-of=", vertex.endpoint()));
      for (const std::string& argument : vertex.process().arguments()) {
        process.add_arguments(
            absl::StrReplaceAll(argument, {{"{system_file}", options.system_file}}));
      }
      process.add_vertices(vertex.name());
      process.set_log(LogPath(options, fs::path("services") / name));
    }
  }
  MeshProcess& orchestrator = *mesh.add_processes();
  orchestrator = MakeProcess(options, "orchestrator", "orchestrator", orchestrator_endpoint,
                             orchestrator_metrics);
  AddDataDirectory(orchestrator, options, "orchestrator");
  orchestrator.set_log(LogPath(options, "orchestrator"));
  MeshProcess& gateway = *mesh.add_processes();
  gateway =
      MakeProcess(options, "gateway", "gateway", options.gateway, metrics.Of(options.gateway));
  gateway.add_arguments(absl::StrCat("--orchestrator=", orchestrator_endpoint));
  gateway.set_log(LogPath(options, "gateway"));

  std::map<std::string, std::string> listeners;  // Address -> process.
  std::set<std::string> names;
  for (const MeshProcess& process : mesh.processes()) {
    if (!names.insert(process.name()).second) {
      faults.push_back(absl::StrCat("two processes would be called ", process.name(),
                                    ", as vertices and their replicas are: rename a vertex"));
    }
    if (!process.program().empty() && ::access(process.program().c_str(), X_OK) != 0) {
      faults.push_back(absl::StrCat(process.name(), ": cannot run the program ", process.program(),
                                    ": ", std::strerror(errno)));
    }
    if (const auto status = CheckEndpoint(options.data_directory, process.endpoint());
        !status.ok()) {
      faults.push_back(absl::StrCat(process.name(), ": ", status.message()));
    }
    for (const std::string& address : {process.endpoint(), process.metrics_endpoint()}) {
      if (address.empty()) continue;
      const auto [other, is_new] = listeners.emplace(address, process.name());
      if (!is_new) {
        faults.push_back(
            absl::StrCat(process.name(), ": ", address, " is also used by ", other->second));
      }
    }
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return mesh;
}

absl::Status CheckEndpointIsFree(const std::string& endpoint) {
  if (runtime::IsUnix(endpoint)) return CheckSocketIsFree(endpoint);
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::HostPort wanted, ParseEndpoint(endpoint));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error =
          ::getaddrinfo(wanted.host.c_str(), std::to_string(wanted.port).c_str(), &hints, &found);
      error != 0) {
    return absl::InvalidArgumentError(absl::StrCat(endpoint, ": ", ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int descriptor = ::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) continue;  // A machine without IPv6 still resolves ::1.
    const int yes = 1;
    // As gRPC does: connections of an ended server that linger on are no obstacle.
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const int result = ::bind(descriptor, address->ai_addr, address->ai_addrlen);
    const int error = errno;
    ::close(descriptor);
    if (result == 0 || error == EADDRNOTAVAIL) continue;
    if (error == EADDRINUSE) {
      return absl::FailedPreconditionError(absl::StrCat(endpoint, " is in use by another process"));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", endpoint, ": ", std::strerror(error)));
  }
  return absl::OkStatus();
}

absl::Status WriteMesh(const fs::path& path, const Mesh& mesh) {
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = true;
  print.preserve_proto_field_names = true;
  std::string json;
  if (const auto status = google::protobuf::util::MessageToJsonString(mesh, &json, print);
      !status.ok()) {
    return absl::InternalError(absl::StrCat("mesh to JSON: ", std::string(status.message())));
  }
  return WriteFileAtomically(path, json);
}

absl::StatusOr<Mesh> ReadMesh(const fs::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string json, ReadFile(path));
  Mesh mesh;
  if (const auto status = google::protobuf::util::JsonStringToMessage(json, &mesh); !status.ok()) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": malformed: ", std::string(status.message())));
  }
  return mesh;
}

}  // namespace backfire::cli
