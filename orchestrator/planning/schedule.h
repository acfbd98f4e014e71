#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/state.h"

namespace backfire::planning {

/// What is to be done now.
struct Schedule {
  std::vector<records::StepRef> start;   ///< Steps to note as RUNNING, and to run.
  std::vector<records::StepRef> resume;  ///< Steps that were RUNNING when a process ended: to run.
  std::vector<records::StepRef> cancel;  ///< Steps of cancelled updates: jobs that are to stop.
  /// Updates that have not begun, and are to be compared with a release that became live since they
  /// were proposed: to be rebased before anything of them starts.
  std::vector<int64_t> rebase;
};

/// Decides which steps run next: updates in the order of their numbers, but for those that wait for
/// an earlier one; of each the steps in order that are ready, as far as the system has places.
/// @param running  Steps that this process runs.
Schedule MakeSchedule(const records::State& state, const std::set<records::StepRef>& running);

/// Notes a step as RUNNING. ABORTED: it is not ready any more.
absl::StatusOr<records::Change> StartStep(const records::State& state, records::StepRef ref);

/// What is foretold of an update by the release that it is compared with.
struct Forecast {
  int64_t release = 0;  ///< Number of that release.
  std::vector<v1::Sensitivity> sensitivities;
  v1::Reuse reuse;
};

/// Has an update that has not begun compared with the live release; rejects it if it can't be.
/// ABORTED: the update has begun or ended, or the forecast is of another release than the live one.
absl::StatusOr<records::Change> Rebase(const records::State& state, int64_t number,
                                       const Forecast& forecast, absl::Time now);

/// FAILED_PRECONDITION: a version, in an update's or a proposal's place, is fed by others than the
/// live release's vertex is.
absl::Status CheckProposedLineage(const v1::Version& version, const graph::SystemGraph& graph,
                                  const std::string& vertex, const records::Standing& live);

}  // namespace backfire::planning
