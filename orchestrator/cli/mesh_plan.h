#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/cli/mesh.pb.h"

namespace backfire::cli {

/// Where the gateway of a mesh listens unless told otherwise: on a port, as clients of any make are
/// to find it, at a place that can be written down, and anybody may infer there. What else a mesh
/// has is its own, and is on sockets.
inline constexpr char kDefaultGateway[] = "localhost:7000";

/// Where a mesh's own processes listen and keep things.
struct MeshOptions {
  std::filesystem::path data_directory;
  /// Where programs are that are named without a path: beside `backfire`.
  std::filesystem::path program_directory;
  std::string orchestrator;  ///< Empty: OrchestratorSocket.
  std::string gateway = kDefaultGateway;
  /// What `{system_file}` in a process's arguments stands for.
  std::string system_file;
};

/// Where the orchestrator of the mesh in a data directory listens unless told otherwise.
std::string OrchestratorSocket(const std::filesystem::path& data_directory);

/// Gives each vertex that names no endpoint, and has a process, a socket of the mesh in a data
/// directory (runtime::RunSocket); graph::PlaceVertices says who shares one.
void PlaceOnSockets(const std::filesystem::path& data_directory, v1::System& system);

/// Which processes make a system's mesh: one per endpoint of the vertices that have a `process`,
/// and one per replica at the endpoint's host, then orchestrator, then gateway. Nothing is started;
/// pids are 0. What listens on HOST:PORT has its metrics at HOST:PORT+1000; of what listens on
/// sockets, the orchestrator has them on localhost, a port above the gateway's, and services from
/// there on, in the system's order. A gateway on a socket leaves them without.
/// @param system  With an endpoint for each vertex: see PlaceOnSockets.
/// INVALID_ARGUMENT: vertices that share an endpoint but name different processes or replicas, an
/// endpoint or a name used twice, a socket's path that is too long, a program that does not exist;
/// every fault, a line each.
absl::StatusOr<Mesh> PlanMesh(const v1::System& system, const MeshOptions& options);

/// INVALID_ARGUMENT: an endpoint is neither HOST:PORT nor a socket's path that the system takes; of
/// the mesh's own sockets the message says what shortens it.
absl::Status CheckEndpoint(const std::filesystem::path& data_directory,
                           const std::string& endpoint);

/// OK if a server could listen on HOST:PORT or unix:PATH now; a socket that nobody listens on is no
/// obstacle. FAILED_PRECONDITION: in use. INVALID_ARGUMENT: no such host here, or no port.
absl::Status CheckEndpointIsFree(const std::string& endpoint);

/// Writes and reads a mesh as JSON. Reading: NOT_FOUND: no such file. DATA_LOSS: it is malformed.
absl::Status WriteMesh(const std::filesystem::path& path, const Mesh& mesh);
absl::StatusOr<Mesh> ReadMesh(const std::filesystem::path& path);

}  // namespace backfire::cli
