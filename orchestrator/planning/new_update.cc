#include "orchestrator/planning/new_update.h"

#include "orchestrator/planning/timestamp.h"
#include "orchestrator/records/resource_name.h"

namespace backfire::planning {

records::UpdateRecord NewUpdate(const records::State& state, const std::vector<v1::Step>& steps,
                                absl::Time now) {
  records::UpdateRecord record;
  record.number = state.last_update + 1;
  record.update.set_name(records::UpdateName(record.number));
  record.update.set_state(v1::Update::PROPOSED);
  *record.update.mutable_create_time() = ToTimestamp(now);
  for (const v1::Step& step : steps) record.steps.emplace_back().step = step;
  return record;
}

void TakeProposedVersion(const std::string& vertex, const v1::Version& version,
                         records::UpdateRecord& update) {
  for (records::StepRecord& record : update.steps) {
    if (record.step.kind() != v1::Step::TRAIN || record.step.vertex() != vertex) continue;
    record.step.set_state(v1::Step::SUCCEEDED);
    *record.step.mutable_version() = version;
  }
}

}  // namespace backfire::planning
