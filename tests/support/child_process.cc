#include "tests/support/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>

#include "grpc/health/v1/health.grpc.pb.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/rpc/channel.h"

namespace backfire::testing {

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::string& log)
    : log_(log) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  const int descriptor = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(descriptor, STDERR_FILENO);
  ::dup2(descriptor, STDOUT_FILENO);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

ChildProcess::~ChildProcess() { Kill(); }

void ChildProcess::Signal(int signal) {
  if (pid_ <= 0 || ::kill(pid_, signal) != 0 || signal != SIGSTOP) return;
  // Its threads go on for a moment; only then does it hang.
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) < 0 &&
         errno == EINTR) {
  }
}

void ChildProcess::AwaitEnd() const {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
}

int ChildProcess::Wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void ChildProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  Wait();
}

std::string ChildProcess::Log() const {
  std::ifstream file(log_);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool WaitUntilLive(const std::string& target) {
  const auto stub = inference::GRPCInferenceService::NewStub(runtime::MakeChannel(target));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  runtime::SetDeadline(context, absl::Minutes(1));
  inference::ServerLiveResponse response;
  return stub->ServerLive(&context, {}, &response).ok() && response.live();
}

namespace {

std::string AskHealth(const std::string& target, const std::string& service,
                      absl::Duration timeout) {
  const auto stub = grpc::health::v1::Health::NewStub(runtime::MakeChannel(target));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  runtime::SetDeadline(context, timeout);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) return status.error_message();
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status());
}

}  // namespace

std::string Health(const std::string& target, const std::string& service) {
  return AskHealth(target, service, absl::Minutes(1));
}

bool WaitUntilServing(const std::string& target) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < deadline) {
    if (Health(target, "") == "SERVING") return true;
  }
  return false;
}

bool WaitUntilReady(const std::string& target, const ChildProcess& process) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (std::chrono::steady_clock::now() < deadline) {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid != 0) return false;
    if (AskHealth(target, "", absl::Milliseconds(500)) == "SERVING") return true;
  }
  return false;
}

}  // namespace backfire::testing
