#include "orchestrator/records/standing.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire::records {

void Standing::Set(StepRef ref, std::shared_ptr<const StepRecord> record) {
  std::string id = record->step.id();
  steps_[std::move(id)] = {ref, std::move(record)};
}

void Standing::Inherit(const Standing& before) {
  for (const auto& [id, entry] : before.steps_) steps_.try_emplace(id, entry);
}

absl::StatusOr<Standing::Entry> Standing::Find(const std::string& id) const {
  const auto found = steps_.find(id);
  if (found != steps_.end()) return found->second;
  return absl::InternalError(absl::StrCat("no update has a step ", id));
}

}  // namespace backfire::records
