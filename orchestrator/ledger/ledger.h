#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/ledger/signal.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/state.h"
#include "orchestrator/store/repository.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::ledger {

/// The only way that anything changes: one writer at a time decides on the newest state, the change
/// is checked, is on disk, and becomes the next state. Readers take the state, and wait for nobody:
/// neither for the disk nor for whoever decides. Thread-safe.
class Ledger {
 public:
  using StatePointer = std::shared_ptr<const records::State>;
  /// Decides what to change, by the newest state. Runs alone among deciders, while others read:
  /// what takes long is done before. May read the history; must not commit.
  using Decide = std::function<absl::StatusOr<records::Change>(const records::State& state)>;
  /// A change that is on disk, with the states before and after it.
  struct Committed {
    const records::Change& change;
    const records::State& before;
    const records::State& after;
  };
  using Observer = std::function<void(const Committed&)>;

  /// Reads what can still change. Errors as the repository's.
  /// @param repository, clock  Borrowed. The clock says when what is written happened.
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(store::Repository& repository,
                                                      const Clock& clock = MachineClock());

  StatePointer state() const;
  /// What has ended, and evaluations.
  const store::Repository& history() const { return repository_; }
  /// Returns the state after the change; an empty one changes nothing. Errors: those of `decide`;
  /// INTERNAL, the change is not legal; RESOURCE_EXHAUSTED, the disk is full. Then nothing has
  /// changed.
  /// @param written  Called once the change is on disk, before anybody sees it.
  absl::StatusOr<StatePointer> Commit(const Decide& decide,
                                      const std::function<void()>& written = nullptr);

  /// Has every commit told, in order, to one more. Before the first of them.
  void Observe(Observer observer);
  /// That anything has changed, and that what snapshots of releases say has.
  Signal& changes() { return changes_; }
  Signal& release_changes() { return release_changes_; }
  /// Ends all waiting.
  void Stop();

 private:
  Ledger(store::Repository& repository, const Clock& clock, records::State state);

  store::Repository& repository_;
  const Clock& clock_;
  Mutex writing_;
  std::vector<Observer> observers_ ABSL_GUARDED_BY(writing_);
  mutable Mutex reading_;  // Held for as long as a pointer is copied.
  StatePointer state_ ABSL_GUARDED_BY(reading_);
  Signal changes_;
  Signal release_changes_;
};

}  // namespace backfire::ledger
