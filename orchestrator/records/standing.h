#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "orchestrator/records/records.h"

namespace backfire::records {

/// What an update stands on once it is a release: for each step's id the newest step, its own or
/// that of the updates before it. So there is no chain of releases to walk, and no more in memory
/// than the system has steps. An update with fewer replicates than those before it inherits none of
/// theirs where it has its own: they are of other versions. Immutable once it is shared.
class Standing {
 public:
  struct Entry {
    StepRef ref;
    std::shared_ptr<const StepRecord> record;
  };

  /// @param number, update  Whose it is, without steps.
  Standing(int64_t number, std::shared_ptr<const v1::Update> update)
      : number_(number), update_(std::move(update)) {}

  int64_t number() const { return number_; }
  const v1::Update& update() const { return *update_; }

  /// Whether steps of this kind have results that others build upon.
  static bool Keeps(const v1::Step& step) {
    return step.kind() != v1::Step::LOAD && step.kind() != v1::Step::EVALUATE_SWAPPED;
  }
  bool Has(const std::string& id) const { return steps_.contains(id); }
  /// Whether a step of an earlier update than those of the steps that are set goes with these:
  /// there is none of its id, and replicate 0 was not made by a later update.
  bool Inherits(int64_t update, const v1::Step& step) const;
  /// Sets a step, which Keeps() says is kept.
  void Set(StepRef ref, std::shared_ptr<const StepRecord> record);
  /// Sets the steps of `before` that this inherits.
  void Inherit(const Standing& before);

  /// INTERNAL: there is none.
  absl::StatusOr<Entry> Find(const std::string& id) const;

 private:
  int64_t number_;
  std::shared_ptr<const v1::Update> update_;
  absl::flat_hash_map<std::string, Entry> steps_;
  // By what a step says but for its replicate: the update that made replicate 0.
  absl::flat_hash_map<std::string, int64_t> first_replicates_;
};

}  // namespace backfire::records
