#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"
#include "tests/chaos/kill_plan.h"

namespace backfire::chaos {

/// The processes of a system in a directory of their own, each started again when it was killed.
/// Destroying it ends them. Thread-safe.
class MeshRun {
 public:
  struct Options {
    std::filesystem::path binaries;   ///< Where orchestrator, gateway and services are.
    std::filesystem::path directory;  ///< Made; sockets, logs and data.
    v1::System system;                ///< Its endpoints become sockets in the directory.
    Places kills;                     ///< Where each process dies; empty: what is passed is noted.
    /// An orchestrator's data directory to begin with, so that jobs are called the same in each
    /// run.
    std::filesystem::path seed_data;
    /// What `{system_file}` in a process's arguments stands for.
    std::string system_file;
  };
  explicit MeshRun(Options options);
  ~MeshRun();
  MeshRun(const MeshRun&) = delete;
  MeshRun& operator=(const MeshRun&) = delete;

  /// The system with the endpoints of this run.
  const v1::System& system() const { return options_.system; }
  std::string orchestrator() const { return Target("orchestrator"); }
  std::string gateway() const { return Target("gateway"); }
  /// Names of the processes.
  std::vector<std::string> processes() const;
  /// SIGKILLs a process from outside, now.
  void Kill(const std::string& process);
  /// How often each process was killed so far.
  std::map<std::string, int> deaths() const;
  /// Why the run can't go on: a process ended by itself. OK: none did.
  absl::Status fault() const;
  /// What each process passed.
  absl::StatusOr<Places> passed() const;
  /// Of the kills planned, those that have not happened.
  Places missed() const;

 private:
  class Supervisor;
  std::string Target(const std::string& name) const;
  void Add(const std::string& name, std::vector<std::string> command);

  Options options_;
  std::map<std::string, std::unique_ptr<Supervisor>> supervisors_;
};

/// Lets an orchestrator make its store in `directory`, and ends it.
absl::Status MakeSeedData(const std::filesystem::path& binaries,
                          const std::filesystem::path& directory);

}  // namespace backfire::chaos
