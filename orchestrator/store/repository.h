#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/records.h"

namespace backfire::store {

/// What a process begins with: all that can still change.
struct Beginning {
  std::string identity;  ///< Random, made with the store: tells its jobs from another's.
  std::vector<records::SystemRecord> systems;          ///< All of them, by revision.
  std::vector<records::UpdateRecord> updates;          ///< With work left, by number.
  std::map<int64_t, records::ReleaseRecord> releases;  ///< That are not RETIRED, by number.
  int64_t last_update = 0, last_release = 0;           ///< Greatest numbers that were given.
};

/// Which updates to list.
struct UpdateFilter {
  std::vector<v1::Update::State> states;  ///< In one of these; empty: in any.
  std::string vertex;                     ///< That change this vertex; empty: any.
  int64_t revision = 0;                   ///< Of this revision of the system; 0: of any.
  int64_t judged_with = 0;  ///< Judged on the test split that this one was judged on; 0: any.
};

/// Which events to list.
struct EventFilter {
  int64_t since = 0;    ///< Nanoseconds since 1970: none that are older.
  std::string subject;  ///< Of this update or release; empty: of all, and of the system.
};

/// Which rows of a list, newest first.
struct Page {
  int64_t skip = 0;
  int64_t count = 0;
  /// Rows that are larger together end it earlier, the row after them included: it says that there
  /// are more. Without a bound, fewer rows than `count` are the last.
  int64_t bytes = std::numeric_limits<int64_t>::max();
};

/// What was ever acknowledged, durably. One thread writes; any number reads meanwhile, and sees
/// what was written before it began to.
class Repository {
 public:
  virtual ~Repository() = default;

  /// Writes all or nothing, and returns once it is on disk. RESOURCE_EXHAUSTED: the disk is full.
  /// ABORTED: an update or a release is no longer in the state that the change starts from; nothing
  /// is written.
  virtual absl::Status Write(const records::Change& change) = 0;

  // Errors of what reads: DATA_LOSS, a row can't be read; NOT_FOUND, where it says so.
  virtual absl::StatusOr<Beginning> ReadBeginning() const = 0;
  /// NOT_FOUND: there is none.
  virtual absl::StatusOr<records::UpdateRecord> ReadUpdate(int64_t number) const = 0;
  /// Without steps, newest first.
  virtual absl::StatusOr<std::vector<v1::Update>> ListUpdates(const UpdateFilter& filter,
                                                              const Page& page) const = 0;
  /// Number of the update that a proposal with this request_id made.
  virtual absl::StatusOr<std::optional<int64_t>> FindProposal(
      const std::string& request_id) const = 0;
  /// Numbers of the updates that have a step with this version, ascending.
  virtual absl::StatusOr<std::vector<int64_t>> FindUpdatesWithVersion(
      const std::string& version) const = 0;
  /// How many updates before this one have a verdict that was made on this test split.
  virtual absl::StatusOr<int64_t> CountJudged(const std::string& test_split,
                                              int64_t before) const = 0;
  virtual absl::StatusOr<std::map<v1::Update::State, int64_t>> CountUpdates() const = 0;
  virtual absl::StatusOr<std::map<v1::Release::State, int64_t>> CountReleases() const = 0;
  /// The update that got its verdict last.
  virtual absl::StatusOr<std::optional<v1::Update>> ReadLatestVerdict() const = 0;
  /// What the update's release stands on. NOT_FOUND: there is no such update.
  virtual absl::StatusOr<std::shared_ptr<const records::Standing>> ReadStanding(
      int64_t update) const = 0;
  /// A step's evaluation, with resampled losses. NOT_FOUND: it has none.
  virtual absl::StatusOr<v1::Evaluation> ReadEvaluation(records::StepRef step) const = 0;
  /// NOT_FOUND: there is none.
  virtual absl::StatusOr<records::ReleaseRecord> ReadRelease(int64_t number) const = 0;
  /// Newest first.
  virtual absl::StatusOr<std::vector<v1::Release>> ListReleases(const Page& page) const = 0;
  virtual absl::StatusOr<std::optional<records::RequestRecord>> FindRequest(
      const std::string& id) const = 0;
  /// Newest first; of one change, last things first.
  virtual absl::StatusOr<std::vector<v1::Event>> ListEvents(const EventFilter& filter,
                                                            const Page& page) const = 0;
};

}  // namespace backfire::store
