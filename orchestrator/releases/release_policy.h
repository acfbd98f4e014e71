#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/execution/version_loader.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/state.h"

// What of releases is loaded where: everything before it is served, nothing after it was. Pure.
namespace backfire::releases {

using execution::ServedVersion;

/// A release's versions, at all endpoints and replicas that serve them.
std::set<ServedVersion> VersionsOf(const records::State& state, int64_t release);

/// Versions of all releases that are served or may be.
/// @param without  Not of this one; 0: of all.
std::set<ServedVersion> NeededVersions(const records::State& state, int64_t without);

/// Replicas of the system that a release belongs to.
std::set<std::string> ReplicasOf(const records::State& state, int64_t release);

/// What each replica should have: what is live or staged. By replica: versions, with their digests,
/// which are empty of releases that were made before digests were kept.
std::map<std::string, std::map<std::string, std::string>> VersionsOfReplicas(
    const records::State& state);

/// The vertices of a release, in the graph's order, that the live one serves by another version, by
/// other content, or elsewhere; all of them if nothing is live.
std::vector<std::string> ChangedVertices(const records::State& state, int64_t release);

/// Which releases to leave alone, and what gateways serve.
struct Circumstances {
  std::function<bool(int64_t release)> is_wanted;     ///< Somebody is about to make it live.
  std::function<bool(int64_t release)> is_postponed;  ///< It could not be retired a moment ago.
  std::function<bool(int64_t epoch)> all_beyond;      ///< No gateway serves an earlier epoch.
  std::function<bool(int64_t release)> is_overdue;    ///< It has been draining for too long.
};

/// The release to retire next: DRAINING, not wanted, and served by no gateway any more, or overdue:
/// a gateway that is stuck, or lies, can't keep what it reports loaded for ever. 0: none.
int64_t NextToRetire(const records::State& state, const Circumstances& circumstances);

/// Whether a version that could not be unloaded stands in the way of its release's retirement. What
/// is deleted, or can't be unloaded, is not worth another attempt; a replica that is away is looked
/// after when it is back.
bool HindersRetirement(const absl::Status& unloaded, bool is_replica);

/// Makes a DRAINING release RETIRED. ABORTED: it is not DRAINING any more.
absl::StatusOr<records::Change> Retire(const records::State& state, int64_t release);

/// Has a RETIRED release prepared, so that it can be rolled back to.
/// @param record  As it is.
records::Change Prepare(int64_t release, const records::ReleaseRecord& record);

/// Lets go of a release that was PREPARING for somebody who gave up; an update's own preparation
/// goes on. Changes nothing if there is nothing to let go of.
/// @param update  State of the update that made it.
records::Change LetGo(const records::State& state, int64_t release, v1::Update::State update);

}  // namespace backfire::releases
