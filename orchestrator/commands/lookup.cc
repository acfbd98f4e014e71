#include "orchestrator/commands/lookup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/records/resource_name.h"
#include "services/base/status.h"

namespace backfire::commands {
namespace {

// Updates that are read at once.
constexpr int64_t kBatch = 100;

absl::StatusOr<UpdatePointer> ReadUpdate(const records::State& state,
                                         const store::Repository& history, int64_t number) {
  BACKFIRE_ASSIGN_OR_RETURN(records::UpdateRecord record, history.ReadUpdate(number));
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state.FindSystem(record.update.system_revision()));
  std::shared_ptr<const records::Standing> base;
  if (record.base != 0) {
    if (state.live_standing != nullptr && state.live_standing->number() == record.base) {
      base = state.live_standing;
    } else {
      BACKFIRE_ASSIGN_OR_RETURN(base, history.ReadStanding(record.base));
    }
  }
  return planning::OpenUpdate(std::move(record), system->graph, std::move(base));
}

}  // namespace

absl::StatusOr<UpdatePointer> FindUpdate(const records::State& state,
                                         const store::Repository& history,
                                         const std::string& name) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, records::ParseNumber(name, "updates"));
  const auto open = state.updates.find(number);
  if (open != state.updates.end()) return open->second;
  return ReadUpdate(state, history, number);
}

absl::Status CheckVertex(const records::State& state, const std::string& vertex) {
  const bool is_known =
      vertex.empty() || std::any_of(state.systems->begin(), state.systems->end(),
                                    [&](const auto& one) { return one.second->graph.Has(vertex); });
  if (is_known) return absl::OkStatus();
  const records::SystemRevision* current = state.current_system();
  if (current == nullptr) return absl::NotFoundError("no system was applied yet");
  return absl::NotFoundError(absl::StrCat("there is no vertex \"", vertex, "\"; there are ",
                                          absl::StrJoin(current->graph.order(), ", ")));
}

absl::StatusOr<std::vector<UpdatePointer>> DecidedUpdates(const records::State& state,
                                                          const store::Repository& history,
                                                          int64_t revision) {
  std::vector<UpdatePointer> updates;
  const store::UpdateFilter filter{{v1::Update::DECIDED}, "", revision};
  for (store::Page page{0, kBatch};; page.skip += kBatch) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Update> messages,
                              history.ListUpdates(filter, page));
    for (const v1::Update& update : messages) {
      BACKFIRE_ASSIGN_OR_RETURN(updates.emplace_back(), FindUpdate(state, history, update.name()));
    }
    if (static_cast<int64_t>(messages.size()) < kBatch) break;
  }
  std::reverse(updates.begin(), updates.end());
  return updates;
}

absl::StatusOr<records::ReleaseRecord> FindRelease(const records::State& state,
                                                   const store::Repository& history,
                                                   const std::string& name) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, records::ParseNumber(name, "releases"));
  if (const records::ReleaseRecord* known = state.FindRelease(number); known != nullptr) {
    return *known;
  }
  return history.ReadRelease(number);
}

}  // namespace backfire::commands
