#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/cli/mesh.pb.h"

namespace backfire::cli {

/// Where a mesh's own processes listen and keep things.
struct MeshOptions {
  std::filesystem::path data_directory;
  /// Where programs are that are named without a path: beside `backfire`.
  std::filesystem::path program_directory;
  std::string orchestrator = "localhost:7010";
  std::string gateway = "localhost:7000";
  /// What `{system_file}` in a process's arguments stands for.
  std::string system_file;
};

/// Which processes make a system's mesh: one per endpoint of the vertices that have a `process`,
/// and one per replica at the endpoint's host, then orchestrator, then gateway. Nothing is started;
/// pids are 0. INVALID_ARGUMENT: vertices that share an endpoint but name different processes or
/// replicas, an endpoint or a name used twice, a program that does not exist; every fault, a line
/// each.
absl::StatusOr<Mesh> PlanMesh(const v1::System& system, const MeshOptions& options);

/// HOST:PORT+1000 of a target HOST:PORT; empty where there is no such port, and for unix sockets.
std::string MetricsEndpoint(const std::string& endpoint);

/// OK if a server could listen on HOST:PORT now; unix sockets are always fine here.
/// FAILED_PRECONDITION: in use. INVALID_ARGUMENT: no such host here, or no port.
absl::Status CheckEndpointIsFree(const std::string& endpoint);

/// Writes and reads a mesh as JSON. Reading: NOT_FOUND: no such file. DATA_LOSS: it is malformed.
absl::Status WriteMesh(const std::filesystem::path& path, const Mesh& mesh);
absl::StatusOr<Mesh> ReadMesh(const std::filesystem::path& path);

}  // namespace backfire::cli
