#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "tests/chaos/mesh_run.h"

namespace backfire::chaos {

/// What a run is made to do.
struct ScenarioOptions {
  std::string vertex;             ///< Which one the update changes.
  v1::Recipe recipe;              ///< By what.
  int requests = 30;              ///< At least as many go through the gateway, one after another.
  bool kill_idle = false;         ///< Whether every process is killed once more when nothing runs.
  double patience_seconds = 120;  ///< How long anything may take without any progress.
};

/// What came of a run.
struct ScenarioResult {
  v1::Update baseline, update;
  v1::Release promoted;
  /// Per model service, the digests of all its versions.
  std::map<std::string, std::vector<std::string>> versions;
  int responses = 0;  ///< Requests that were answered; those that a kill cost come again.
  int lost = 0;       ///< Attempts that a kill cost.
  std::vector<std::string> mixed;  ///< Responses that are not one release's.
  bool has_traffic = true;         ///< False: requests can't be made up for this system.
};

/// Applies the run's system, proposes an update, promotes it and goes back, while requests go
/// through the gateway. Calls that a kill interrupts are made again, by the same request_id.
absl::StatusOr<ScenarioResult> RunScenario(MeshRun& run, const ScenarioOptions& options);

}  // namespace backfire::chaos
