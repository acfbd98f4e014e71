#include "orchestrator/cli/mesh.h"

#include <fcntl.h>
#include <google/protobuf/util/message_differencer.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "orchestrator/cli/mesh_plan.h"
#include "orchestrator/cli/startup.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/rpc/address.h"

namespace backfire::cli {
namespace {

constexpr int kLogLines = 8;

ProcessId IdOf(const MeshProcess& process) {
  return {static_cast<pid_t>(process.pid()), process.start_ticks()};
}

/// Services have vertices; what uses them, gateway and orchestrator, has none.
bool IsService(const MeshProcess& process) { return process.vertices_size() > 0; }

bool IsGateway(const MeshProcess& process) {
  return !IsService(process) && process.name() == "gateway";
}

absl::StatusOr<std::string> ReadBootId() {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string id, ReadFile("/proc/sys/kernel/random/boot_id"));
  return std::string(absl::StripSuffix(id, "\n"));
}

/// Holds a directory's lock until destroyed or the process ends.
class DirectoryLock {
 public:
  /// FAILED_PRECONDITION: another process holds it.
  static absl::StatusOr<DirectoryLock> Take(const std::filesystem::path& directory) {
    BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory));
    const std::string path = (directory / "mesh.lock").string();
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) return ErrnoToStatus(errno, path);
    DirectoryLock lock(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return ErrnoToStatus(errno, path);
      return absl::FailedPreconditionError(
          absl::StrCat("another backfire is starting or ending the mesh in ", directory.string()));
    }
    return lock;
  }
  DirectoryLock(DirectoryLock&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// Whether the running process is what the plan wants.
bool Matches(const MeshProcess& running, const MeshProcess& planned) {
  MeshProcess same = running;
  same.clear_pid();
  same.clear_start_ticks();
  return google::protobuf::util::MessageDifferencer::Equals(same, planned);
}

absl::Status CheckPorts(const Mesh& mesh) {
  std::vector<std::string> faults;
  bool is_port = false;
  for (const MeshProcess& process : mesh.processes()) {
    if (process.pid() != 0) continue;
    for (const std::string& endpoint : {process.endpoint(), process.metrics_endpoint()}) {
      if (endpoint.empty()) continue;
      if (const absl::Status status = CheckEndpointIsFree(endpoint); !status.ok()) {
        faults.push_back(absl::StrCat(process.name(), ": ", std::string(status.message())));
        is_port = is_port || !runtime::IsUnix(endpoint);
      }
    }
  }
  if (faults.empty()) return absl::OkStatus();
  if (is_port) faults.push_back("`backfire up --gateway HOST:PORT` moves it, and metrics with it");
  return absl::FailedPreconditionError(absl::StrJoin(faults, "\n"));
}

/// Adds the end of the log of each process that no longer runs.
absl::Status WithLogs(const absl::Status& status, const Mesh& mesh) {
  std::string message(status.message());
  for (const MeshProcess& process : mesh.processes()) {
    if (process.pid() == 0 || IsRunning(IdOf(process))) continue;
    absl::StrAppend(&message, "\n", process.name(), " last wrote to ", process.log(), ":\n",
                    LastLines(process.log(), kLogLines));
  }
  return absl::Status(status.code(), absl::StripSuffix(message, "\n"));
}

absl::Status EndAll(const std::vector<MeshProcess>& processes, absl::Duration grace) {
  const auto milliseconds = std::chrono::milliseconds(absl::ToInt64Milliseconds(grace));
  absl::Status result;
  // Those that use others first: to them, a service that goes away is a failure to act upon.
  for (const bool services : {false, true}) {
    std::vector<ProcessId> half;
    for (const MeshProcess& process : processes) {
      if (IsService(process) == services) half.push_back(IdOf(process));
    }
    result.Update(Terminate(half, milliseconds));
  }
  return result;
}

}  // namespace

LocalMesh::LocalMesh(std::filesystem::path data_directory)
    : data_directory_(std::move(data_directory)), mesh_file_(data_directory_ / "mesh.json") {}

absl::StatusOr<Mesh> LocalMesh::Read() const {
  BACKFIRE_ASSIGN_OR_RETURN(Mesh mesh, ReadMesh(mesh_file_));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string boot_id, ReadBootId());
  if (mesh.boot_id() != boot_id) {
    // The machine was started anew since: none of these processes can still be there.
    for (MeshProcess& process : *mesh.mutable_processes()) process.set_pid(0);
  }
  return mesh;
}

absl::StatusOr<int> LocalMesh::BringUp(Mesh plan, const std::vector<std::string>& others,
                                       const BringUpOptions& options, const Tell& tell) {
  BACKFIRE_ASSIGN_OR_RETURN(const DirectoryLock lock, DirectoryLock::Take(data_directory_));
  BACKFIRE_ASSIGN_OR_RETURN(*plan.mutable_boot_id(), ReadBootId());

  absl::StatusOr<Mesh> before = Read();
  if (!before.ok() && !absl::IsNotFound(before.status())) return before.status();
  if (before.ok()) {
    std::map<std::string, MeshProcess*> planned;
    for (MeshProcess& process : *plan.mutable_processes()) planned[process.name()] = &process;
    for (const MeshProcess& running : before->processes()) {
      if (!IsRunning(IdOf(running))) continue;
      const auto wanted = planned.find(running.name());
      if (wanted == planned.end() || !Matches(running, *wanted->second)) {
        return absl::FailedPreconditionError(
            absl::StrCat("another mesh runs in ", data_directory_.string(), " (", running.name(),
                         " at ", running.endpoint(), "): end it by `backfire down`"));
      }
      *wanted->second = running;
    }
  }
  BACKFIRE_RETURN_IF_ERROR(CheckPorts(plan));

  const auto missing = std::count_if(plan.processes().begin(), plan.processes().end(),
                                     [](const MeshProcess& process) { return process.pid() == 0; });
  tell(missing == 0 ? std::string("all processes run already")
                    : absl::StrCat("starting ", missing, " processes; logs are in ",
                                   (data_directory_ / "logs").string()));
  const auto start = std::chrono::steady_clock::now();
  std::vector<MeshProcess> started;
  // Services first, as those that use them would take one that is not up yet for one that is away.
  absl::Status status;
  for (const bool services : {true, false}) {
    if (!status.ok()) break;
    status = StartHalf(plan, services, options, started);
    if (!status.ok()) break;
    std::vector<AwaitedServer> awaited;
    for (const MeshProcess& process : plan.processes()) {
      if (IsService(process) == services) {
        awaited.push_back({process.name(), process.endpoint(), IdOf(process), IsGateway(process)});
      }
    }
    if (services) {
      for (const std::string& target : others) awaited.push_back({target, target, {}, false});
    }
    const auto taken = absl::FromChrono(std::chrono::steady_clock::now() - start);
    status = AwaitServers(awaited, options.timeout - taken, [&](const AwaitedServer& server) {
      tell(absl::StrCat("  ", server.name, " is up at ", server.endpoint));
    });
  }
  if (!status.ok()) status = WithLogs(status, plan);
  if (!status.ok()) {
    const absl::Status ended = EndAll(started, absl::Seconds(15));
    if (!ended.ok()) {
      return absl::Status(status.code(), absl::StrCat(std::string(status.message()),
                                                      "\nand ending what was started: ",
                                                      std::string(ended.message())));
    }
    return status;
  }
  return static_cast<int>(started.size());
}

absl::Status LocalMesh::StartHalf(Mesh& plan, bool services, const BringUpOptions& options,
                                  std::vector<MeshProcess>& started) const {
  for (MeshProcess& process : *plan.mutable_processes()) {
    if (process.pid() != 0 || IsService(process) != services) continue;
    SpawnOptions spawn;
    spawn.program = process.program();
    spawn.arguments.assign(process.arguments().begin(), process.arguments().end());
    spawn.log = process.log();
    spawn.end_with_parent = options.end_with_parent;
    if (!options.token_file.empty()) {
      spawn.environment.push_back(
          absl::StrCat("BACKFIRE_TOKEN_FILE=", options.token_file.string()));
    }
    // Threads of OpenMP that wait for each other spin, unless told to sleep: of two trainings side
    // by side on two processors each then takes ten times as long. Results are the same.
    if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
      spawn.environment.emplace_back("OMP_WAIT_POLICY=PASSIVE");
    }
    BACKFIRE_ASSIGN_OR_RETURN(const ProcessId id, Spawn(spawn));
    process.set_pid(id.pid);
    process.set_start_ticks(id.start_ticks);
    started.push_back(process);
    // Before the next is started, so that `down` knows all but, at worst, the one that a SIGKILL in
    // just this moment leaves.
    BACKFIRE_RETURN_IF_ERROR(WriteMesh(mesh_file_, plan));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> LocalMesh::BringDown(absl::Duration grace, const Tell& tell) {
  BACKFIRE_ASSIGN_OR_RETURN(const DirectoryLock lock, DirectoryLock::Take(data_directory_));
  const absl::StatusOr<Mesh> mesh = Read();
  if (absl::IsNotFound(mesh.status())) return 0;
  BACKFIRE_RETURN_IF_ERROR(mesh.status());
  std::vector<MeshProcess> running;
  for (const MeshProcess& process : mesh->processes()) {
    if (IsRunning(IdOf(process))) running.push_back(process);
  }
  if (!running.empty()) tell(absl::StrCat("ending ", running.size(), " processes"));
  BACKFIRE_RETURN_IF_ERROR(EndAll(running, grace));
  return static_cast<int>(running.size());
}

absl::StatusOr<std::vector<LocalMesh::ProcessReport>> LocalMesh::Inspect(
    absl::Duration timeout_each) const {
  BACKFIRE_ASSIGN_OR_RETURN(const Mesh mesh, Read());
  std::vector<ProcessReport> reports;
  for (const MeshProcess& process : mesh.processes()) {
    ProcessReport report{process, IsRunning(IdOf(process)), Health::kUnreachable};
    if (report.running) {
      report.health = CheckHealth(process.endpoint(), timeout_each, IsGateway(process));
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

absl::Status LocalMesh::AwaitSignal() const {
  BACKFIRE_ASSIGN_OR_RETURN(const Mesh mesh, Read());
  std::vector<NamedProcess> processes;
  for (const MeshProcess& process : mesh.processes()) {
    processes.push_back({process.name(), IdOf(process)});
  }
  const absl::Status status = AwaitSignalOrEnd(processes);
  return status.ok() ? status : WithLogs(status, mesh);
}

}  // namespace backfire::cli
