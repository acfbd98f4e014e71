#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// Whether, and for how long, releases are asked about test frames for a report.
struct FlipsOptions {
  bool left_out = false;
  double most_seconds = 120;
};

/// Adds --no-flips and --flips-seconds.
void AddFlipsOptions(CLI::App& command, FlipsOptions& options);

/// What `backfire vision flips` writes of an update's two releases: asks it, if it is beside this
/// program and the update's mesh runs on this machine, which takes at most about so many seconds;
/// it shows its progress on standard error. Nothing: it can't be asked here, or the system finds no
/// objects in stereo pairs. FAILED_PRECONDITION: it was asked in vain; it has said why.
absl::StatusOr<std::optional<std::string>> MakeFlips(const Session& session,
                                                     OrchestratorClient& orchestrator,
                                                     const std::string& update,
                                                     const FlipsOptions& options);

/// As MakeFlips, of a failure only a line on standard error: a report is none the worse.
std::optional<std::string> MakeFlipsIfPossible(const Session& session,
                                               OrchestratorClient& orchestrator,
                                               const std::string& update,
                                               const FlipsOptions& options);

}  // namespace backfire::cli
