#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/cli/health.h"
#include "orchestrator/cli/mesh.pb.h"
#include "orchestrator/cli/process.h"

namespace backfire::cli {

/// Takes a line for the user.
using Tell = std::function<void(const std::string&)>;

/// How a mesh is brought up.
struct BringUpOptions {
  absl::Duration timeout = absl::Seconds(60);  ///< For all of it.
  bool end_with_parent = false;                ///< As SpawnOptions.
  /// The token by which the mesh's processes know each other, in a file that is made if there is
  /// none (services/rpc/token.h); each process is told of it by BACKFIRE_TOKEN_FILE.
  std::filesystem::path token_file;
};

/// The mesh of one data directory: it starts, ends and inspects the processes that its mesh.json
/// lists. Several `backfire` processes may use one directory: a lock keeps them apart. One thread.
class LocalMesh {
 public:
  explicit LocalMesh(std::filesystem::path data_directory);

  /// Starts what of `plan` does not run yet, and waits until all of it and `others` (gRPC targets
  /// of services that run already) are up. What cannot come up is ended again, and so is all that
  /// was started with it. Returns how many were started. The caller has blocked SIGINT and SIGTERM.
  /// FAILED_PRECONDITION: a port is in use; another mesh runs in this directory; another `backfire`
  /// works on it. INTERNAL: a process ended, with the end of its log. DEADLINE_EXCEEDED, CANCELLED
  /// as AwaitServers.
  absl::StatusOr<int> BringUp(Mesh plan, const std::vector<std::string>& others,
                              const BringUpOptions& options, const Tell& tell);

  /// Ends all processes of the mesh, those that use others first. `grace` is how long each half may
  /// take before SIGKILL. Returns how many ran; none is fine. Errors as for Terminate.
  absl::StatusOr<int> BringDown(absl::Duration grace, const Tell& tell);

  /// A process and how it is now.
  struct ProcessReport {
    MeshProcess process;
    bool running = false;
    Health health = Health::kUnreachable;
  };
  /// NOT_FOUND: no mesh was ever started here.
  absl::StatusOr<std::vector<ProcessReport>> Inspect(absl::Duration timeout_each) const;
  /// As written by the last BringUp. NOT_FOUND: none.
  absl::StatusOr<Mesh> Read() const;

  /// Waits for SIGINT or SIGTERM (OK), which the caller has blocked, or the end of any process
  /// (INTERNAL, with the end of its log).
  absl::Status AwaitSignal() const;

 private:
  /// Starts the services of `plan`, or the others, that do not run; adds them to `started`.
  absl::Status StartHalf(Mesh& plan, bool services, const BringUpOptions& options,
                         std::vector<MeshProcess>& started) const;

  std::filesystem::path data_directory_;
  std::filesystem::path mesh_file_;
};

}  // namespace backfire::cli
