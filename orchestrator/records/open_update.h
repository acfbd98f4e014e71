#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "orchestrator/records/records.h"
#include "orchestrator/records/standing.h"
#include "orchestrator/records/step_tree.h"

namespace backfire::records {

/// What of an update's plan never changes.
struct StepPlan {
  /// Positions of the steps that wait for each step.
  std::vector<std::vector<uint32_t>> dependents;
  absl::flat_hash_map<std::string, uint32_t> by_id;  ///< Position of a step, by its id.
  /// Vertices that the update gives other versions, as positions in the graph's order, ascending.
  /// Two updates whose vertices meet must not run at once.
  std::vector<uint32_t> touched;
};

/// How far an update's due steps are.
struct Unfinished {
  int64_t steps = 0;                                            ///< Due, and not SUCCEEDED.
  int64_t loads = 0;                                            ///< Of these, LOADs.
  std::array<int64_t, v1::Update::State_ARRAYSIZE> by_phase{};  ///< The same by PhaseOf.
};

/// An update that has work left: it is open, or jobs of it have yet to end. Immutable, and a copy
/// with a step changed shares the others, so that it costs little in an update of any size; which
/// steps are ready is kept with them, so that nothing scans them. Thread-safe.
class OpenUpdate {
 public:
  /// @param base  What it is compared with; null: it is a baseline.
  OpenUpdate(UpdateRecord record, std::shared_ptr<const StepPlan> plan,
             std::shared_ptr<const Standing> base);

  int64_t number() const { return number_; }
  const std::string& request_id() const { return request_id_; }
  const v1::Update& update() const { return *update_; }
  std::shared_ptr<const v1::Update> share_update() const { return update_; }
  const StepPlan& plan() const { return *plan_; }
  /// Null: it is a baseline.
  const std::shared_ptr<const Standing>& base() const { return base_; }

  size_t step_count() const { return steps_.size(); }
  const StepRecord& step(size_t position) const { return *steps_[position].record; }
  std::shared_ptr<const StepRecord> share_step(size_t position) const {
    return steps_[position].record;
  }
  /// Whether a step is WAITING and due, and all that it needs have SUCCEEDED.
  bool IsReady(size_t position) const { return steps_[position].is_ready; }
  /// Positions of the first `most` steps that are ready.
  std::vector<size_t> Ready(size_t most) const { return steps_.Ready(most); }
  /// Positions of the steps that are RUNNING.
  std::vector<size_t> Running() const { return steps_.Running(); }
  bool HasRunning() const { return steps_.has_running(); }
  const Unfinished& unfinished() const { return unfinished_; }
  bool has_loads() const { return has_loads_; }
  /// Whether a step was ever started; that a proposed version exists is no start.
  bool has_begun() const { return begun_ > 0; }
  /// The state of the update by the least advanced of its due steps that have not SUCCEEDED.
  v1::Update::State Phase() const;

  /// The step of that id that the update has or inherits. INTERNAL: there is none.
  absl::StatusOr<Standing::Entry> Find(const std::string& id) const;
  /// What later updates stand on if this one becomes the live release.
  std::shared_ptr<const Standing> MakeStanding() const;

  using StepChanges = std::vector<std::pair<size_t, StepRecord>>;  ///< By position.
  /// A copy with another message, if that is not null, another base, if that is not null, and other
  /// steps.
  std::shared_ptr<const OpenUpdate> With(std::shared_ptr<const v1::Update> update,
                                         std::shared_ptr<const Standing> base,
                                         const StepChanges& steps) const;

 private:
  // For With alone.
  OpenUpdate(const OpenUpdate&) = default;

  // Sets whether it is ready and whether it runs.
  void Mark(StepTree::Entry& entry) const;
  // Counts a step in (by 1) or out (by -1).
  void Count(const StepRecord& record, int by);
  // Sets all steps.
  void CountAll(std::vector<StepTree::Entry> entries);
  // Adds to `changes` what follows from another record of a step, and counts it. False: all must be
  // counted anew.
  bool ChangeStep(size_t position, const StepRecord& record, StepTree::Changes& changes);

  int64_t number_ = 0;
  std::string request_id_;
  std::shared_ptr<const v1::Update> update_;
  std::shared_ptr<const StepPlan> plan_;
  std::shared_ptr<const Standing> base_;
  StepTree steps_;
  Unfinished unfinished_;
  bool has_loads_ = false;
  int64_t begun_ = 0;
};

}  // namespace backfire::records
