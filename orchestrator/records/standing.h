#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
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
    std::shared_ptr<const v1::Step> step;
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
  bool Has(absl::string_view id) const { return FindKept(id) != nullptr; }
  /// Whether a step of an earlier update than those of the steps that are set goes with these:
  /// there is none of its id, and replicate 0 was not made by a later update.
  bool Inherits(int64_t update, absl::string_view id) const;
  /// Sets a step, which Keeps() says is kept.
  void Set(StepRef ref, const v1::Step& step);
  /// Sets the steps of `before` that this inherits.
  void Inherit(const Standing& before);

  /// The step, read anew. INTERNAL: there is none.
  absl::StatusOr<Entry> Find(const std::string& id) const;

 private:
  // A step as bytes, which copies share: a message takes five times as much, and few of many
  // thousands are ever looked at.
  struct Kept {
    StepRef ref;
    int replicate = 0;
    absl::Cord step;
  };
  using Replicates = std::vector<Kept>;  // Of steps that differ in nothing else.

  static const Kept* FindIn(const Replicates& replicates, int replicate);
  const Kept* FindKept(absl::string_view id) const;

  int64_t number_;
  std::shared_ptr<const v1::Update> update_;
  absl::flat_hash_map<std::string, Replicates> steps_;  // By id without the replicate.
};

}  // namespace backfire::records
