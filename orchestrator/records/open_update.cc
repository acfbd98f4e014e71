#include "orchestrator/records/open_update.h"

#include <algorithm>

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
      base_(std::move(base)),
      step_count_(record.steps.size()) {
  for (size_t first = 0; first < step_count_; first += kChunk) {
    const auto chunk = std::make_shared<Chunk>();
    for (size_t i = first; i < std::min(step_count_, first + kChunk); ++i) {
      has_loads_ = has_loads_ || record.steps[i].step.kind() == v1::Step::LOAD;
      chunk->records.push_back(std::make_shared<const StepRecord>(std::move(record.steps[i])));
    }
    chunks_.push_back(chunk);
  }
  CountAll();
}

void OpenUpdate::CountAll() {
  unfinished_ = Unfinished();
  begun_ = 0;
  std::vector<uint32_t> unmet(step_count_, 0);
  for (size_t i = 0; i < step_count_; ++i) {
    const StepRecord& record = step(i);
    Count(record, 1);
    if (Succeeded(record) || !IsDue(*update_, record.step)) continue;
    for (const uint32_t dependent : plan_->dependents[i]) ++unmet[dependent];
  }
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const auto chunk = std::make_shared<Chunk>();
    chunk->records = chunks_[c]->records;
    const auto first = unmet.begin() + static_cast<std::ptrdiff_t>(c * kChunk);
    chunk->unmet.assign(first, first + static_cast<std::ptrdiff_t>(chunk->records.size()));
    for (size_t i = 0; i < chunk->records.size(); ++i) {
      if (IsReadyIn(*chunk, i)) ++chunk->ready;
      if (chunk->records[i]->step.state() == v1::Step::RUNNING) ++chunk->running;
    }
    chunks_[c] = chunk;
  }
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

bool OpenUpdate::IsReadyIn(const Chunk& chunk, size_t offset) const {
  const v1::Step& step = chunk.records[offset]->step;
  return step.state() == v1::Step::WAITING && chunk.unmet[offset] == 0 && IsDue(*update_, step);
}

bool OpenUpdate::IsReady(size_t position) const {
  return IsReadyIn(Of(position), Offset(position));
}

std::vector<size_t> OpenUpdate::Ready(size_t most) const {
  std::vector<size_t> positions;
  for (size_t c = 0; c < chunks_.size() && positions.size() < most; ++c) {
    const Chunk& chunk = *chunks_[c];
    if (chunk.ready == 0) continue;
    for (size_t i = 0; i < chunk.records.size() && positions.size() < most; ++i) {
      if (IsReadyIn(chunk, i)) positions.push_back(c * kChunk + i);
    }
  }
  return positions;
}

std::vector<size_t> OpenUpdate::Running() const {
  std::vector<size_t> positions;
  for (size_t c = 0; c < chunks_.size(); ++c) {
    const Chunk& chunk = *chunks_[c];
    if (chunk.running == 0) continue;
    for (size_t i = 0; i < chunk.records.size(); ++i) {
      if (chunk.records[i]->step.state() == v1::Step::RUNNING) positions.push_back(c * kChunk + i);
    }
  }
  return positions;
}

bool OpenUpdate::HasRunning() const {
  return std::any_of(chunks_.begin(), chunks_.end(),
                     [](const auto& chunk) { return chunk->running > 0; });
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
    return Standing::Entry{StepRef{number_, own->second}, share_step(own->second)};
  }
  if (base_ != nullptr) return base_->Find(id);
  return absl::InternalError("no update has a step " + id);
}

std::shared_ptr<const Standing> OpenUpdate::MakeStanding() const {
  const auto standing = std::make_shared<Standing>(number_, update_);
  for (size_t i = 0; i < step_count_; ++i) {
    if (Standing::Keeps(step(i).step)) standing->Set({number_, i}, share_step(i));
  }
  if (base_ != nullptr) standing->Inherit(*base_);
  return standing;
}

OpenUpdate::Chunk& OpenUpdate::Own(size_t position, std::map<size_t, Chunk*>& own) {
  const size_t c = position / kChunk;
  const auto [entry, is_shared] = own.emplace(c, nullptr);
  if (is_shared) {
    const auto copy = std::make_shared<Chunk>(*chunks_[c]);
    entry->second = copy.get();
    chunks_[c] = copy;
  }
  return *entry->second;
}

bool OpenUpdate::SetStep(size_t position, const StepRecord& record, std::map<size_t, Chunk*>& own) {
  Chunk& chunk = Own(position, own);
  std::shared_ptr<const StepRecord>& kept = chunk.records[Offset(position)];
  const bool did_succeed = Succeeded(*kept);
  const auto count = [&](int by) {
    Count(*kept, by);
    if (IsReadyIn(chunk, Offset(position))) chunk.ready += by;
    if (kept->step.state() == v1::Step::RUNNING) chunk.running += by;
  };
  count(-1);
  kept = std::make_shared<const StepRecord>(record);
  count(1);
  if (did_succeed == Succeeded(record)) return true;
  if (did_succeed) return false;  // It is done again: what waited for it does so again.
  if (!IsDue(*update_, record.step)) return true;
  for (const uint32_t dependent : plan_->dependents[position]) {
    Chunk& other = Own(dependent, own);
    if (--other.unmet[Offset(dependent)] == 0 && IsReadyIn(other, Offset(dependent))) ++other.ready;
  }
  return true;
}

std::shared_ptr<const OpenUpdate> OpenUpdate::With(std::shared_ptr<const v1::Update> update,
                                                   std::shared_ptr<const Standing> base,
                                                   const StepChanges& steps) const {
  std::shared_ptr<OpenUpdate> copy(new OpenUpdate(*this));
  std::map<size_t, Chunk*> own;
  bool is_counted = true;
  for (const auto& [position, record] : steps) {
    is_counted = copy->SetStep(position, record, own) && is_counted;
  }
  if (base != nullptr) copy->base_ = std::move(base);
  if (update != nullptr) {
    // Another look makes other steps due.
    is_counted = is_counted && update->replicates() == update_->replicates();
    copy->update_ = std::move(update);
  }
  if (!is_counted) copy->CountAll();
  return copy;
}

}  // namespace backfire::records
