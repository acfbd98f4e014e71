#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/records/change.h"
#include "orchestrator/store/repository.h"

// What a retention lets go: updates that were decided and not promoted, and the versions that
// nothing else needs.
namespace backfire::commands {

/// The retention that a call goes by: its own, else the system's. FAILED_PRECONDITION: neither says
/// any. INVALID_ARGUMENT: out of range.
absl::StatusOr<v1::Retention> RetentionOf(const records::State& state,
                                          const v1::PruneUpdatesRequest& request);

/// Updates that a retention lets go.
struct LetGo {
  std::set<int64_t> updates;  ///< All of them: DECIDED, or ended without a promotion.
  /// Of all of them: must be unloaded before what they serve can be deleted.
  std::set<std::string> all_releases;
  std::vector<std::string> releases;  ///< Of those that are DECIDED still, oldest first.
};
/// Those that are beyond each limit that the retention sets. Of `keep_updates` only those count
/// that could be let go: what was promoted can be rolled back to, and stays.
absl::StatusOr<LetGo> FindLetGo(const store::Repository& history, const v1::Retention& retention,
                                absl::Time now);

/// Turns down the updates of FindLetGo that are DECIDED, and gives up their releases.
absl::StatusOr<records::Change> LetGoOfUpdates(const records::State& state,
                                               const store::Repository& history,
                                               const v1::PruneUpdatesRequest& request,
                                               absl::Time now);

/// The versions that can be deleted: made by updates that are let go, and by no others; not
/// imported; served by no release that is or can become live; named by no recipe that is kept;
/// feeding none that stays. Children come before what feeds them. What an open update trains now
/// might be found to exist already, so that models that one trains keep their versions till it has
/// ended.
/// @param all             Every version of the current system's models that can be listed. Where a
/// model's service can't delete, its versions stay.
/// @param gone_releases   Releases that are looked at as if they were gone: of a dry run.
absl::StatusOr<std::vector<v1::Version>> FindUnneeded(const records::State& state,
                                                      const store::Repository& history,
                                                      const std::set<int64_t>& let_go,
                                                      const std::vector<v1::Version>& all,
                                                      const std::set<std::string>& gone_releases);

}  // namespace backfire::commands
