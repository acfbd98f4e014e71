#include "orchestrator/records/state.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire::records {

const OpenUpdate* State::FindUpdate(int64_t number) const {
  const auto found = updates.find(number);
  return found == updates.end() ? nullptr : found->second.get();
}

const ReleaseRecord* State::FindRelease(int64_t number) const {
  const auto found = releases->find(number);
  return found == releases->end() ? nullptr : found->second.get();
}

absl::StatusOr<const SystemRevision*> State::FindSystem(int64_t revision) const {
  const auto found = systems->find(revision);
  if (found != systems->end()) return found->second.get();
  return absl::InternalError(absl::StrCat("there is no revision ", revision, " of the system"));
}

absl::StatusOr<std::shared_ptr<const SystemRevision>> MakeSystemRevision(
    const SystemRecord& record) {
  const auto made = std::make_shared<SystemRevision>();
  BACKFIRE_ASSIGN_OR_RETURN(made->graph, graph::SystemGraph::Build(record.system));
  made->revision = record.revision;
  made->models = record.models;
  made->baseline_update = record.baseline_update;
  made->seed_rule = record.seed_rule;
  return made;
}

}  // namespace backfire::records
