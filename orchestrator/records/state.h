#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/records/open_update.h"
#include "orchestrator/records/records.h"
#include "orchestrator/records/standing.h"
#include "services/graph/system_graph.h"

namespace backfire::records {

/// A revision of the system, with its graph.
struct SystemRevision {
  int64_t revision = 0;
  graph::SystemGraph graph;  ///< Of system(), which it holds.
  std::map<std::string, v1::Model> models;
  int64_t baseline_update = 0;
  SeedRule seed_rule = SeedRule::kHashed;
  const v1::System& system() const { return graph.system(); }
};

/// A picture of all that can still change: systems, updates with work left, releases that are not
/// RETIRED. What has ended is history, which the repository is asked for (store/repository.h), so
/// that this does not grow with it. Immutable once it is shared, and cheap to copy: a reader takes
/// a pointer, and holds no lock.
struct State {
  using Systems = std::map<int64_t, std::shared_ptr<const SystemRevision>>;  // By revision.
  using Updates = std::map<int64_t, std::shared_ptr<const OpenUpdate>>;      // By number.
  using Releases = std::map<int64_t, std::shared_ptr<const ReleaseRecord>>;  // By number.

  std::string identity;  ///< Of the store, random: tells its jobs from another's.
  std::shared_ptr<const Systems> systems = std::make_shared<const Systems>();
  Updates updates;
  /// Of the updates that wait for an earlier one that touches a vertex that they touch, or
  /// completes replicates: its number.
  std::map<int64_t, int64_t> waits_for;
  std::shared_ptr<const Releases> releases = std::make_shared<const Releases>();
  /// Of the live release's update; null: there is no live release.
  std::shared_ptr<const Standing> live_standing;
  int64_t live = 0;                           ///< Number of the live release; 0: none.
  int64_t epoch = 0;                          ///< Of the live release.
  int64_t last_update = 0, last_release = 0;  ///< Greatest numbers that were given.

  /// The newest revision; null: none was applied yet.
  const SystemRevision* current_system() const {
    return systems->empty() ? nullptr : systems->rbegin()->second.get();
  }
  /// Null: there is none of this number that can still change.
  const OpenUpdate* FindUpdate(int64_t number) const;
  const ReleaseRecord* FindRelease(int64_t number) const;
  /// INTERNAL: there is no such revision.
  absl::StatusOr<const SystemRevision*> FindSystem(int64_t revision) const;
};

/// Checks a stored or new system's graph. INVALID_ARGUMENT: as SystemGraph::Build.
absl::StatusOr<std::shared_ptr<const SystemRevision>> MakeSystemRevision(
    const SystemRecord& record);

}  // namespace backfire::records
