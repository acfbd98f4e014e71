#include "orchestrator/cli/update_flips.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/cli/mesh.h"
#include "orchestrator/cli/process.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"
#include "services/base/temporary_directory.h"

namespace backfire::cli {
namespace {

namespace fs = std::filesystem;
using Stub = v1::Orchestrator::Stub;

constexpr int64_t kMostBytes = int64_t{64} << 20;
// Beyond --flips-seconds: for what was begun before they were over, and for pictures.
constexpr double kGraceSeconds = 30;

// Where the gateway of the mesh in the data directory listens. Empty: it does not run, or the
// orchestrator that is asked is another mesh's.
std::string GatewayHere(const Session& session) {
  const absl::StatusOr<Mesh> mesh = LocalMesh(session.data_directory).Read();
  if (!mesh.ok()) return "";
  std::string gateway;
  bool is_asked = false;
  for (const MeshProcess& process : mesh->processes()) {
    if (process.pid() == 0 || !IsRunning({process.pid(), process.start_ticks()})) continue;
    if (process.name() == "gateway") gateway = process.endpoint();
    is_asked = is_asked || process.endpoint() == session.orchestrator_target();
  }
  return is_asked ? gateway : "";
}

// Runs it to its end, with this program's standard error. False: it failed, or took too long.
absl::StatusOr<bool> RunQuietly(std::vector<std::string> arguments, double most_seconds) {
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  // What it says on standard output is in its file too, and this program's may be JSON.
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ProcessId child;
  const int failed = ::posix_spawn(&child.pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return ErrnoToStatus(failed, arguments[0]);
  const absl::StatusOr<int64_t> ticks = StartTicks(child.pid);
  if (ticks.ok()) {  // Otherwise it has ended already.
    child.start_ticks = *ticks;
    const absl::StatusOr<ProcessWatch> watch = ProcessWatch::Open(child);
    pollfd ended = {watch.ok() ? watch->descriptor() : -1, POLLIN, 0};
    const int milliseconds = static_cast<int>((most_seconds + kGraceSeconds) * 1000);
    if (watch.ok() && ::poll(&ended, 1, milliseconds) == 0) {
      BACKFIRE_RETURN_IF_ERROR(Terminate({child}, std::chrono::seconds(5)));
    }
  }
  return DescribeEnd(child) == "exited with code 0";
}

}  // namespace

void AddFlipsOptions(CLI::App& command, FlipsOptions& options) {
  auto& left_out = *command.add_flag(
      "--no-flips", options.left_out,
      "Don't ask the update's two releases which test frames got worse, as is done for the page of "
      "a stereo system whose mesh runs here");
  command
      .add_option("--flips-seconds", options.most_seconds,
                  "For that: as many frames as there is time for")
      ->check(CLI::Range(1.0, 1e5))
      ->excludes(&left_out)
      ->capture_default_str();
}

absl::StatusOr<std::optional<std::string>> MakeFlips(const Session& session,
                                                     OrchestratorClient& orchestrator,
                                                     const std::string& update,
                                                     const FlipsOptions& options) {
  const fs::path program = session.program_directory / "backfire-vision";
  const std::string gateway = GatewayHere(session);
  if (options.left_out || gateway.empty() || ::access(program.c_str(), X_OK) != 0) {
    return std::nullopt;
  }
  v1::GetUpdateRequest request;
  request.set_name(update);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update shown, orchestrator.Call(&Stub::GetUpdate, request));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse system,
                            orchestrator.Call(&Stub::GetSystem, v1::GetSystemRequest()));
  // Of another revision the dataset may have been another.
  const bool is_current = shown.system_revision() == system.revision();
  if (!is_current || shown.baseline_release().empty() || shown.release().empty()) {
    return std::nullopt;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const TemporaryDirectory workplace, TemporaryDirectory::Make());
  const fs::path out = workplace.path() / "flips.json";
  const auto number = [](const std::string& release) {
    return std::string(absl::StripPrefix(release, "releases/"));
  };
  std::error_code error;
  if (fs::exists(session.token_file(), error)) {
    ::setenv("BACKFIRE_TOKEN_FILE", session.token_file().c_str(), /*overwrite=*/0);
  }
  BACKFIRE_ASSIGN_OR_RETURN(
      const bool done,
      RunQuietly(
          {program.string(), "flips", "--where-possible", "--dataset", system.system().dataset(),
           "--before", number(shown.baseline_release()), "--after", number(shown.release()),
           "--gateway", gateway, "--model", system.system().name(), "--most-seconds",
           absl::StrCat(options.most_seconds), "--out", out.string()},
          options.most_seconds));
  if (!done) return absl::FailedPreconditionError("`backfire vision flips` could not be made");
  if (!fs::exists(out, error)) return std::nullopt;
  BACKFIRE_ASSIGN_OR_RETURN(std::string json, ReadRegularFile(out.string(), kMostBytes));
  return json;
}

std::optional<std::string> MakeFlipsIfPossible(const Session& session,
                                               OrchestratorClient& orchestrator,
                                               const std::string& update,
                                               const FlipsOptions& options) {
  absl::StatusOr<std::optional<std::string>> made =
      MakeFlips(session, orchestrator, update, options);
  if (made.ok()) return *std::move(made);
  *session.err << "backfire: the page is without test frames that got worse: "
               << made.status().message() << " (--no-flips does not try)" << std::endl;
  return std::nullopt;
}

}  // namespace backfire::cli
