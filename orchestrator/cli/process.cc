#include "orchestrator/cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Longest wait for a process to end after SIGKILL: only the kernel can hold it up.
constexpr milliseconds kKillGrace{10'000};

/// The words after the program's name in /proc/PID/stat: state first, start time the 20th.
absl::StatusOr<std::vector<std::string>> ReadStat(pid_t pid) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(absl::StrCat("/proc/", pid, "/stat")));
  // The name is in parentheses, and may itself contain some.
  const size_t end = text.rfind(") ");
  if (end == std::string::npos) return absl::InternalError("malformed /proc/PID/stat");
  return std::vector<std::string>(absl::StrSplit(text.substr(end + 2), ' '));
}

/// Runs in the child: nothing but system calls, for other threads' locks were copied as they were.
[[noreturn]] void RunChild(const SpawnOptions& options, char* const* argv, char* const* environment,
                           int log, int report, pid_t parent) {
  const auto fail = [report] {
    const int error = errno;
    [[maybe_unused]] const ssize_t written = ::write(report, &error, sizeof(error));
    ::_exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  if (::pthread_sigmask(SIG_SETMASK, &none, nullptr) != 0) fail();
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::signal(signal, SIG_DFL);
  if (::setsid() < 0) fail();
  if (options.end_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) fail();
    if (::getppid() != parent) ::_exit(127);  // It ended before prctl could see it.
  }
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(log, STDOUT_FILENO) < 0 ||
      ::dup2(log, STDERR_FILENO) < 0) {
    fail();
  }
  ::execve(argv[0], argv, environment);
  fail();
  ::_exit(127);
}

/// This process's variables, with `changes` instead of those of the same names.
std::vector<std::string> Environment(const std::vector<std::string>& changes) {
  std::vector<std::string> all = changes;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('=') + 1);
    const bool changed = std::any_of(
        changes.begin(), changes.end(),
        [&](const std::string& change) { return change.compare(0, name.size(), name) == 0; });
    if (!changed) all.push_back(text);
  }
  return all;
}

/// Waits until all have ended or `deadline` has passed; leaves those that still run.
absl::Status AwaitEnds(std::vector<ProcessWatch>& watches, steady_clock::time_point deadline) {
  while (!watches.empty()) {
    std::vector<pollfd> polled;
    for (const ProcessWatch& watch : watches) polled.push_back({watch.descriptor(), POLLIN, 0});
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    const int ready =
        ::poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno != EINTR) return ErrnoToStatus(errno, "poll");
    std::vector<ProcessWatch> running;
    for (size_t i = 0; i < watches.size(); ++i) {
      if (polled[i].revents == 0) running.push_back(std::move(watches[i]));
    }
    watches = std::move(running);
    if (ready == 0 && left <= 0) break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProcessId> Spawn(const SpawnOptions& options) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(options.log.parent_path()));
  const int log = ::open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return ErrnoToStatus(errno, options.log.string());
  int report[2];  // Closed by a successful exec; carries errno of a failed one.
  if (::pipe2(report, O_CLOEXEC) != 0) {
    const absl::Status status = ErrnoToStatus(errno, "pipe");
    ::close(log);
    return status;
  }
  std::string program = options.program.string();
  std::vector<std::string> arguments = options.arguments;
  std::vector<char*> argv = {program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  std::vector<std::string> environment = Environment(options.environment);
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) RunChild(options, argv.data(), envp.data(), log, report[1], parent);
  const int fork_error = errno;
  ::close(log);
  ::close(report[1]);
  int child_error = 0;
  ssize_t got = 0;
  if (pid > 0) {
    do {
      got = ::read(report[0], &child_error, sizeof(child_error));
    } while (got < 0 && errno == EINTR);
  }
  ::close(report[0]);
  if (pid < 0) return ErrnoToStatus(fork_error, "fork");
  if (got != 0) {
    ::waitpid(pid, nullptr, 0);
    return ErrnoToStatus(child_error, absl::StrCat("cannot run ", program));
  }
  absl::StatusOr<std::vector<std::string>> stat = ReadStat(pid);
  int64_t start_ticks = 0;
  if (!stat.ok() || stat->size() < 20 || !absl::SimpleAtoi((*stat)[19], &start_ticks)) {
    return absl::InternalError(absl::StrCat("cannot read /proc/", pid, "/stat"));
  }
  return ProcessId{pid, start_ticks};
}

absl::StatusOr<int64_t> StartTicks(pid_t pid) {
  if (pid <= 0) return absl::NotFoundError(absl::StrCat("no process ", pid));
  BACKFIRE_ASSIGN_OR_RETURN(const auto stat, ReadStat(pid));
  int64_t ticks = 0;
  if (stat.size() < 20 || !absl::SimpleAtoi(stat[19], &ticks)) {
    return absl::InternalError(absl::StrCat("malformed /proc/", pid, "/stat"));
  }
  if (stat[0] == "Z" || stat[0] == "X") {
    return absl::NotFoundError(absl::StrCat("process ", pid, " has ended"));
  }
  return ticks;
}

bool IsRunning(const ProcessId& process) {
  const absl::StatusOr<int64_t> ticks = StartTicks(process.pid);
  return ticks.ok() && *ticks == process.start_ticks;
}

absl::StatusOr<ProcessWatch> ProcessWatch::Open(const ProcessId& process) {
  // The number of pidfd_open is the same everywhere; glibc 2.36 has no wrapper that C++ can
  // include.
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0));
  if (descriptor < 0) {
    if (errno == ESRCH) return absl::NotFoundError(absl::StrCat("no process ", process.pid));
    return ErrnoToStatus(errno, "pidfd_open");
  }
  ProcessWatch watch(descriptor);
  // Only now can the pid no longer come to mean another process than the descriptor does.
  if (!IsRunning(process)) return absl::NotFoundError(absl::StrCat("no process ", process.pid));
  return watch;
}

ProcessWatch::ProcessWatch(ProcessWatch&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

ProcessWatch& ProcessWatch::operator=(ProcessWatch&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

ProcessWatch::~ProcessWatch() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::Status ProcessWatch::Signal(int signal) const {
  if (::syscall(SYS_pidfd_send_signal, descriptor_, signal, nullptr, 0) != 0 && errno != ESRCH) {
    return ErrnoToStatus(errno, "pidfd_send_signal");
  }
  return absl::OkStatus();
}

absl::Status Terminate(const std::vector<ProcessId>& processes, milliseconds grace) {
  std::vector<ProcessWatch> watches;
  absl::Status result;
  for (const ProcessId& process : processes) {
    absl::StatusOr<ProcessWatch> watch = ProcessWatch::Open(process);
    if (absl::IsNotFound(watch.status())) continue;
    if (watch.ok()) result.Update(watch->Signal(SIGTERM));
    result.Update(watch.status());
    if (watch.ok()) watches.push_back(*std::move(watch));
  }
  result.Update(AwaitEnds(watches, steady_clock::now() + grace));
  for (const ProcessWatch& watch : watches) result.Update(watch.Signal(SIGKILL));
  result.Update(AwaitEnds(watches, steady_clock::now() + kKillGrace));
  if (!watches.empty()) {
    result.Update(absl::InternalError(
        absl::StrCat(watches.size(), " processes did not end although killed")));
  }
  // Ours are zombies until reaped; others' parents do that.
  for (const ProcessId& process : processes) ::waitpid(process.pid, nullptr, WNOHANG);
  return result;
}

std::string DescribeEnd(const ProcessId& child) {
  int status = 0;
  if (::waitpid(child.pid, &status, WNOHANG) != child.pid) return "";
  if (WIFEXITED(status)) return absl::StrCat("exited with code ", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return absl::StrCat("was killed by ", ::strsignal(WTERMSIG(status)));
  return "ended";
}

}  // namespace backfire::cli
