#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "orchestrator/cli/health.h"
#include "orchestrator/cli/session.h"
#include "services/base/status.h"
#include "services/rpc/address.h"

namespace backfire::cli {
namespace {

struct HealthcheckOptions {
  std::string target;
  std::string name;  // Of what the server keeps health of; empty: of the server.
  double timeout_seconds = 2;
};

absl::StatusOr<ExitCode> Healthcheck(const Session& session, const HealthcheckOptions& options) {
  if (runtime::IsUnix(options.target)) {
    BACKFIRE_RETURN_IF_ERROR(runtime::CheckUnixPath(options.target));
  }
  BACKFIRE_RETURN_IF_ERROR(
      CheckServing(options.target, options.name, absl::Seconds(options.timeout_seconds)));
  *session.out << HealthName(Health::kServing) << "\n";
  return ExitCode::kOk;
}

}  // namespace

void AddHealthcheckCommand(CLI::App& app, Session& session) {
  auto& command = AddCommand(
      app, "healthcheck",
      "Ask a server for its health, by grpc.health.v1: for containers and scripts\n\n"
      "Exits 0 if it is SERVING, 3 if it is not or does not answer, 2 if it keeps no health of "
      "--service.\nExamples: backfire healthcheck unix:/var/lib/backfire/run/car\n"
      "          backfire healthcheck localhost:7000 --service orchestrator");
  const auto options = std::make_shared<HealthcheckOptions>();
  command.add_option("target", options->target, "The server's gRPC target")->required();
  command.add_option("--service", options->name,
                     "Health of one thing that it serves, a model say; default: of all of it");
  command.add_option("--timeout", options->timeout_seconds, "Seconds to wait for an answer")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 3600.0));
  AddDataDirectory(command, session);  // For the token.
  command.callback([&session, options] {
    session.action = [&session, options] { return Healthcheck(session, *options); };
  });
}

}  // namespace backfire::cli
