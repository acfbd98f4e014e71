#include "tests/chaos/mesh_run.h"

#include <signal.h>

#include <fstream>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/graph/placement.h"
#include "tests/support/child_process.h"

namespace backfire::chaos {

// Keeps one process running.
class MeshRun::Supervisor {
 public:
  Supervisor(std::vector<std::string> command, std::filesystem::path crash_directory,
             std::string log)
      : command_(std::move(command)),
        crash_directory_(std::move(crash_directory)),
        log_(std::move(log)),
        thread_([this] { Supervise(); }) {}
  ~Supervisor() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      if (process_ != nullptr) process_->Signal(SIGTERM);
    }
    thread_.join();
  }
  const std::filesystem::path& crash_directory() const { return crash_directory_; }
  void Kill() {
    MutexLock lock(mutex_);
    if (process_ != nullptr) process_->Signal(SIGKILL);
  }
  int deaths() const {
    MutexLock lock(mutex_);
    return deaths_;
  }
  absl::Status fault() const {
    MutexLock lock(mutex_);
    return fault_;
  }

 private:
  void Supervise() {
    while (true) {
      testing::ChildProcess* process = nullptr;
      {
        MutexLock lock(mutex_);
        if (stopping_) return;
        process_ = std::make_unique<testing::ChildProcess>(command_, log_);
        process = process_.get();
      }
      process->AwaitEnd();
      MutexLock lock(mutex_);
      const int code = process_->Wait();
      process_.reset();
      if (stopping_) return;
      if (code == 128 + SIGKILL) {
        ++deaths_;
        continue;
      }
      fault_ = absl::InternalError(
          absl::StrCat(command_[2], " ended by itself with ", code, "; its log is ", log_));
      return;
    }
  }

  const std::vector<std::string> command_;
  const std::filesystem::path crash_directory_;
  const std::string log_;
  mutable Mutex mutex_;
  std::unique_ptr<testing::ChildProcess> process_ ABSL_GUARDED_BY(mutex_);
  int deaths_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

namespace {

std::vector<std::string> Lines(const std::filesystem::path& file) {
  return absl::StrSplit(ReadFile(file).value_or(""), '\n', absl::SkipEmpty());
}

}  // namespace

MeshRun::MeshRun(Options options) : options_(std::move(options)) {
  std::filesystem::create_directories(options_.directory);
  const std::filesystem::path data = options_.directory / "orchestrator.d";
  std::filesystem::copy(options_.seed_data, data, std::filesystem::copy_options::recursive);

  graph::PlaceVertices([this](const std::string& vertex) { return Target(vertex); },
                       options_.system);
  std::map<std::string, std::string> names;  // By endpoint of the file.
  for (v1::Vertex& vertex : *options_.system.mutable_vertices()) {
    const auto [found, added] = names.emplace(vertex.endpoint(), vertex.name());
    const std::string& name = found->second;
    vertex.set_endpoint(Target(name));
    if (!added) continue;
    std::filesystem::path program = vertex.process().program();
    if (program.is_relative()) program = options_.binaries / program;
    std::vector<std::string> command = {
        program, "--listen=" + Target(name),
        "--data-dir=" + (options_.directory / (name + ".d")).string(), "--jobs=1"};
    for (const std::string& argument : vertex.process().arguments()) {
      command.push_back(absl::StrReplaceAll(argument, {{"{system_file}", options_.system_file}}));
    }
    Add(name, command);
  }
  // One step after another, so that the order of places is the same in each run.
  options_.system.set_parallel_jobs(1);
  Add("orchestrator", {options_.binaries / "orchestrator", "--listen=" + orchestrator(),
                       "--data-dir=" + data.string()});
  Add("gateway",
      {options_.binaries / "gateway", "--listen=" + gateway(), "--orchestrator=" + orchestrator()});
}

MeshRun::~MeshRun() = default;

std::string MeshRun::Target(const std::string& name) const {
  return "unix:" + (options_.directory / name).string();
}

void MeshRun::Add(const std::string& name, std::vector<std::string> command) {
  const std::filesystem::path crash = options_.directory / "crash" / name;
  std::filesystem::create_directories(crash);
  if (options_.kills.empty()) {
    std::ofstream(crash / "record").flush();
  } else if (const auto kills = options_.kills.find(name); kills != options_.kills.end()) {
    std::ofstream(crash / "plan") << absl::StrJoin(kills->second, "\n") << "\n";
  }
  command.insert(command.begin(), {"/usr/bin/env", "BACKFIRE_CRASH_DIRECTORY=" + crash.string()});
  supervisors_[name] = std::make_unique<Supervisor>(
      std::move(command), crash, (options_.directory / (name + ".log")).string());
}

std::vector<std::string> MeshRun::processes() const {
  std::vector<std::string> names;
  for (const auto& [name, supervisor] : supervisors_) names.push_back(name);
  return names;
}

void MeshRun::Kill(const std::string& process) { supervisors_.at(process)->Kill(); }

std::map<std::string, int> MeshRun::deaths() const {
  std::map<std::string, int> deaths;
  for (const auto& [name, supervisor] : supervisors_) deaths[name] = supervisor->deaths();
  return deaths;
}

absl::Status MeshRun::fault() const {
  for (const auto& [name, supervisor] : supervisors_) {
    BACKFIRE_RETURN_IF_ERROR(supervisor->fault());
  }
  return absl::OkStatus();
}

absl::StatusOr<Places> MeshRun::passed() const {
  Places places;
  for (const auto& [name, supervisor] : supervisors_) {
    places[name] = Lines(supervisor->crash_directory() / "passed");
  }
  return places;
}

Places MeshRun::missed() const {
  Places missed;
  for (const auto& [name, planned] : options_.kills) {
    const auto supervisor = supervisors_.find(name);
    size_t fired = 0;
    if (supervisor != supervisors_.end()) {
      const std::string text =
          ReadFile(supervisor->second->crash_directory() / "fired").value_or("0");
      if (!absl::SimpleAtoi(text, &fired)) fired = 0;
    }
    if (fired < planned.size()) {
      missed[name].assign(planned.begin() + static_cast<std::ptrdiff_t>(fired), planned.end());
    }
  }
  return missed;
}

absl::Status MakeSeedData(const std::filesystem::path& binaries,
                          const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  const std::string target = "unix:" + (directory / "socket").string();
  testing::ChildProcess process({binaries / "orchestrator", "--listen=" + target,
                                 "--data-dir=" + (directory / "data").string()},
                                directory / "log");
  if (!testing::WaitUntilServing(target)) {
    return absl::UnavailableError(absl::StrCat("the orchestrator did not start: ", process.Log()));
  }
  process.Signal(SIGTERM);
  const int code = process.Wait();
  if (code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the orchestrator ended with ", code));
}

}  // namespace backfire::chaos
