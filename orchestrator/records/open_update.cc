#include "orchestrator/records/open_update.h"

#include <utility>

#include "orchestrator/records/update_state.h"

namespace backfire::records {
namespace {

bool Succeeded(const StepRecord& record) { return record.step.state() == v1::Step::SUCCEEDED; }

}  // namespace

OpenUpdate::OpenUpdate(UpdateRecord record, std::shared_ptr<const StepPlan> plan,
                       std::shared_ptr<const Standing> base)
    : number_(record.number),
      request_id_(std::move(record.request_id)),
      update_(std::make_shared<const v1::Update>(std::move(record.update))),
      plan_(std::move(plan)),
      base_(std::move(base)) {
  std::vector<StepTree::Entry> entries;
  entries.reserve(record.steps.size());
  for (StepRecord& step : record.steps) {
    has_loads_ = has_loads_ || step.step.kind() == v1::Step::LOAD;
    entries.push_back({std::make_shared<const StepRecord>(std::move(step))});
  }
  CountAll(std::move(entries));
}

void OpenUpdate::CountAll(std::vector<StepTree::Entry> entries) {
  unfinished_ = Unfinished();
  begun_ = 0;
  for (StepTree::Entry& entry : entries) entry.unmet = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const StepRecord& record = *entries[i].record;
    Count(record, 1);
    if (Succeeded(record) || !IsDue(*update_, record.step)) continue;
    for (const uint32_t dependent : plan_->dependents[i]) ++entries[dependent].unmet;
  }
  for (StepTree::Entry& entry : entries) Mark(entry);
  steps_ = StepTree(std::move(entries));
}

void OpenUpdate::Mark(StepTree::Entry& entry) const {
  const v1::Step& step = entry.record->step;
  entry.is_running = step.state() == v1::Step::RUNNING;
  entry.is_ready = step.state() == v1::Step::WAITING && entry.unmet == 0 && IsDue(*update_, step);
}

void OpenUpdate::Count(const StepRecord& record, int by) {
  const v1::Step& step = record.step;
  if (!TakesProposedVersion(*update_, step) &&
      (step.state() != v1::Step::WAITING || record.attempt > 1)) {
    begun_ += by;
  }
  if (Succeeded(record) || !IsDue(*update_, step)) return;
  unfinished_.steps += by;
  if (step.kind() == v1::Step::LOAD) unfinished_.loads += by;
  unfinished_.by_phase[static_cast<size_t>(PhaseOf(*update_, step))] += by;
}

v1::Update::State OpenUpdate::Phase() const {
  for (size_t phase = 0; phase < unfinished_.by_phase.size(); ++phase) {
    if (unfinished_.by_phase[phase] > 0) return static_cast<v1::Update::State>(phase);
  }
  return v1::Update::EVALUATING;
}

absl::StatusOr<Standing::Entry> OpenUpdate::Find(const std::string& id) const {
  const auto own = plan_->by_id.find(id);
  if (own != plan_->by_id.end()) {
    const std::shared_ptr<const StepRecord> record = share_step(own->second);
    return Standing::Entry{{number_, own->second}, {record, &record->step}};
  }
  if (base_ != nullptr) return base_->Find(id);
  return absl::InternalError("no update has a step " + id);
}

std::shared_ptr<const Standing> OpenUpdate::MakeStanding() const {
  const auto standing = std::make_shared<Standing>(number_, update_);
  for (size_t i = 0; i < step_count(); ++i) {
    if (Standing::Keeps(step(i).step)) standing->Set({number_, i}, step(i).step);
  }
  if (base_ != nullptr) standing->Inherit(*base_);
  return standing;
}

bool OpenUpdate::ChangeStep(size_t position, const StepRecord& record, StepTree::Changes& changes) {
  const auto entry_of = [&](size_t at) -> StepTree::Entry& {
    return changes.try_emplace(at, steps_[at]).first->second;
  };
  StepTree::Entry& entry = entry_of(position);
  const bool did_succeed = Succeeded(*entry.record);
  Count(*entry.record, -1);
  Count(record, 1);
  entry.record = std::make_shared<const StepRecord>(record);
  Mark(entry);
  if (did_succeed == Succeeded(record)) return true;
  if (did_succeed) return false;  // It is done again: what waited for it does so again.
  if (!IsDue(*update_, record.step)) return true;
  for (const uint32_t dependent : plan_->dependents[position]) {
    StepTree::Entry& waiting = entry_of(dependent);
    --waiting.unmet;
    Mark(waiting);
  }
  return true;
}

std::shared_ptr<const OpenUpdate> OpenUpdate::With(std::shared_ptr<const v1::Update> update,
                                                   std::shared_ptr<const Standing> base,
                                                   const StepChanges& steps) const {
  std::shared_ptr<OpenUpdate> copy(new OpenUpdate(*this));
  StepTree::Changes changes;
  bool is_counted = true;
  for (const auto& [position, record] : steps) {
    is_counted = copy->ChangeStep(position, record, changes) && is_counted;
  }
  copy->steps_.Set(changes);
  if (base != nullptr) copy->base_ = std::move(base);
  if (update != nullptr) {
    // Another look makes other steps due.
    is_counted = is_counted && update->replicates() == update_->replicates();
    copy->update_ = std::move(update);
  }
  if (!is_counted) {
    std::vector<StepTree::Entry> entries;
    entries.reserve(step_count());
    for (size_t i = 0; i < step_count(); ++i) entries.push_back(copy->steps_[i]);
    copy->CountAll(std::move(entries));
  }
  return copy;
}

}  // namespace backfire::records
