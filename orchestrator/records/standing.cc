#include "orchestrator/records/standing.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire::records {
namespace {

// What the steps of all replicates have in common.
std::string WithoutReplicate(const v1::Step& step) {
  return absl::StrCat(step.kind(), "/", step.vertex(), "/", step.reference(), step.split());
}

}  // namespace

bool Standing::Inherits(int64_t update, const v1::Step& step) const {
  if (Has(step.id())) return false;
  const auto first = first_replicates_.find(WithoutReplicate(step));
  return first == first_replicates_.end() || first->second == update;
}

void Standing::Set(StepRef ref, std::shared_ptr<const StepRecord> record) {
  std::string id = record->step.id();
  if (record->step.replicate() == 0) first_replicates_[WithoutReplicate(record->step)] = ref.update;
  const v1::Step::Kind kind = record->step.kind();
  const bool is_training = kind == v1::Step::TRAIN || kind == v1::Step::TRAIN_REFERENCE;
  if (!is_training && record->step.has_version()) {
    // Which version was evaluated its training says as well; there may be many thousands.
    auto slim = std::make_shared<StepRecord>(*record);
    slim->step.clear_version();
    record = std::move(slim);
  }
  steps_[std::move(id)] = {ref, std::move(record)};
}

void Standing::Inherit(const Standing& before) {
  for (const auto& [id, entry] : before.steps_) {
    if (first_replicates_.contains(WithoutReplicate(entry.record->step))) continue;
    steps_.try_emplace(id, entry);
  }
  first_replicates_.insert(before.first_replicates_.begin(), before.first_replicates_.end());
}

absl::StatusOr<Standing::Entry> Standing::Find(const std::string& id) const {
  const auto found = steps_.find(id);
  if (found != steps_.end()) return found->second;
  return absl::InternalError(absl::StrCat("no update has a step ", id));
}

}  // namespace backfire::records
