#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/records/records.h"
#include "orchestrator/records/state.h"

namespace backfire::records {

/// What becomes of a known update.
struct UpdateChange {
  v1::Update::State from = v1::Update::STATE_UNSPECIFIED;  ///< As it was when this was decided.
  v1::Update update;                                       ///< As it is to be, without steps.
  std::shared_ptr<const Standing> base;  ///< What it is compared with from now on; null: as before.
  /// Set with a verdict: the digest of the test split that it was made on.
  std::optional<std::string> test_split;
};

/// What becomes of a step of a known update.
struct StepChange {
  v1::Step::State from = v1::Step::STATE_UNSPECIFIED;  ///< As it was when this was decided.
  StepRecord record;                                   ///< As it is to be.
  std::optional<v1::Evaluation>
      evaluation;  ///< Its result with resampled losses; unset: as before.
};

/// What becomes of a release.
struct ReleaseChange {
  v1::Release::State from = v1::Release::STATE_UNSPECIFIED;  ///< UNSPECIFIED: it is new.
  ReleaseRecord record;                                      ///< As it is to be.
};

/// All that one transaction writes.
struct Change {
  std::shared_ptr<const SystemRevision> system;          ///< New, or changed; null: neither.
  std::vector<std::shared_ptr<const OpenUpdate>> added;  ///< New updates, with all their steps.
  /// Updates that had ended and go on, as they are stored; what changes of them is in `updates` and
  /// `steps`.
  std::vector<std::shared_ptr<const OpenUpdate>> reopened;
  std::map<int64_t, UpdateChange> updates;    ///< Known ones, by number.
  std::map<StepRef, StepChange> steps;        ///< Of known updates.
  std::map<int64_t, ReleaseChange> releases;  ///< New and known ones, by number.
  std::vector<RequestRecord> requests;        ///< Calls that are done by this.
  /// Set if another release becomes the live one: what it stands on.
  std::shared_ptr<const Standing> live_standing;
  std::string actor;  ///< Who asked for it, as they said; empty: nobody, it came about.
  /// What happened by it, oldest first. The ledger adds what the rest says (events.h).
  std::vector<v1::Event> events;

  bool empty() const {
    return system == nullptr && added.empty() && reopened.empty() && updates.empty() &&
           steps.empty() && releases.empty() && requests.empty() && events.empty();
  }
};

/// An update's change in `change`, which begins as the update is.
UpdateChange& ChangeUpdate(int64_t number, const v1::Update& update, Change& change);
/// A release's change in `change`, which begins as the release is.
ReleaseChange& ChangeRelease(int64_t number, const ReleaseRecord& release, Change& change);
/// A step's change in `change`, which begins as the step is.
StepChange& ChangeStep(StepRef ref, const StepRecord& record, Change& change);

/// Holds a change against the table of transitions (transitions.h), and against what the state
/// knows. INTERNAL: it is not legal; whoever decided it has a fault.
absl::Status Check(const State& state, const Change& change);

/// The state after a change that Check allows.
State Apply(const State& state, const Change& change);

}  // namespace backfire::records
