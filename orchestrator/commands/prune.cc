#include "orchestrator/commands/prune.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/commands/request_log.h"
#include "orchestrator/planning/release_changes.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "orchestrator/store/for_each_row.h"
#include "services/base/status.h"
#include "services/graph/system_fields.h"
#include "services/runtime/version_name.h"

namespace backfire::commands {
namespace {

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

// @param newer  How many that could be let go are newer.
bool IsBeyond(const v1::Retention& retention, const v1::Update& update, int64_t newer,
              absl::Time now) {
  if (retention.keep_updates() > 0 && newer < retention.keep_updates()) return false;
  if (!retention.has_keep_for()) return true;
  const absl::Time decided =
      ToTime(update.has_decide_time() ? update.decide_time() : update.end_time());
  return decided + ToDuration(retention.keep_for()) <= now;
}

std::string WhyLetGo(const v1::Retention& retention) {
  std::vector<std::string> limits;
  if (retention.keep_updates() > 0) {
    limits.push_back(absl::StrCat("the newest ", retention.keep_updates()));
  }
  if (retention.has_keep_for()) {
    limits.push_back(
        absl::StrCat("those of the last ", absl::FormatDuration(ToDuration(retention.keep_for()))));
  }
  return absl::StrCat("retention keeps ", limits.front(),
                      limits.size() > 1 ? absl::StrCat(" and ", limits.back()) : "");
}

void AddNames(const v1::Recipe& recipe, std::set<std::string>& names) {
  for (const auto& [parameter, value] : recipe.parameters().fields()) {
    if (!value.string_value().empty()) names.insert(value.string_value());
  }
}

// Versions that releases serve, or may serve again.
absl::StatusOr<std::set<std::string>> ServedVersions(const store::Repository& history,
                                                     const std::set<std::string>& gone_releases) {
  std::set<std::string> served;
  BACKFIRE_RETURN_IF_ERROR(store::ForEachRow(
      [&](const store::Page& page) { return history.ListReleases(page); },
      [&](const v1::Release& release) {
        const bool was_live = release.epoch() > 0;
        if (!was_live &&
            (release.state() == v1::Release::RETIRED || gone_releases.count(release.name()) > 0)) {
          return;
        }
        for (const auto& [vertex, version] : release.versions()) served.insert(version);
      }));
  return served;
}

// Texts that recipes name, which may be versions.
absl::StatusOr<std::set<std::string>> NamedVersions(const records::State& state,
                                                    const store::Repository& history,
                                                    const std::set<int64_t>& let_go) {
  std::set<std::string> named;
  BACKFIRE_RETURN_IF_ERROR(
      store::ForEachRow([&](const store::Page& page) { return history.ListUpdates({}, page); },
                        [&](const v1::Update& update) {
                          const auto number = records::ParseNumber(update.name(), "updates");
                          if (!number.ok() || let_go.count(*number) == 0)
                            AddNames(update.recipe(), named);
                        }));
  for (const auto& [revision, system] : *state.systems) {
    for (const v1::Vertex& vertex : system->system().vertices()) AddNames(vertex.recipe(), named);
  }
  return named;
}

// Models of which an open update has yet to train versions.
std::set<std::string> ModelsInTraining(const records::State& state) {
  std::set<std::string> models;
  for (const auto& [number, update] : state.updates) {
    const auto system = state.FindSystem(update->update().system_revision());
    if (!system.ok()) continue;
    for (size_t i = 0; i < update->step_count(); ++i) {
      const v1::Step& step = update->step(i).step;
      const bool trains =
          step.kind() == v1::Step::TRAIN || step.kind() == v1::Step::TRAIN_REFERENCE;
      const bool is_left = step.state() == v1::Step::WAITING || step.state() == v1::Step::RUNNING;
      if (trains && is_left) models.insert((*system)->graph.node(step.vertex()).model_name);
    }
  }
  return models;
}

absl::StatusOr<bool> IsMadeBy(const store::Repository& history, const std::set<int64_t>& updates,
                              const std::string& version) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<int64_t> makers,
                            history.FindUpdatesWithVersion(version));
  return !makers.empty() && std::all_of(makers.begin(), makers.end(),
                                        [&](int64_t maker) { return updates.count(maker) > 0; });
}

}  // namespace

absl::StatusOr<v1::Retention> RetentionOf(const records::State& state,
                                          const v1::PruneUpdatesRequest& request) {
  if (request.has_retention()) {
    graph::Faults faults;
    graph::CheckRetention(request.retention(), faults);
    BACKFIRE_RETURN_IF_ERROR(faults.status());
    return request.retention();
  }
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr) return absl::FailedPreconditionError("no system was applied yet");
  if (system->system().has_retention()) return system->system().retention();
  return absl::FailedPreconditionError(
      absl::StrCat("system ", system->system().name(),
                   " says nothing of retention: all that was decided is kept; add `retention: "
                   "{keep_updates: 20}` to its file and apply it, or name a retention"));
}

absl::StatusOr<LetGo> FindLetGo(const store::Repository& history, const v1::Retention& retention,
                                absl::Time now) {
  LetGo found;
  absl::Status status;
  int64_t newer = 0;
  const store::UpdateFilter filter{
      {v1::Update::DECIDED, v1::Update::REJECTED, v1::Update::CANCELLED}, "", 0};
  BACKFIRE_RETURN_IF_ERROR(
      store::ForEachRow([&](const store::Page& page) { return history.ListUpdates(filter, page); },
                        [&](const v1::Update& update) {
                          if (!IsBeyond(retention, update, newer++, now)) return;
                          const auto number = records::ParseNumber(update.name(), "updates");
                          status.Update(number.status());
                          if (!number.ok()) return;
                          found.updates.insert(*number);
                          if (!update.release().empty())
                            found.all_releases.insert(update.release());
                          if (update.state() == v1::Update::DECIDED && !update.release().empty()) {
                            found.releases.push_back(update.release());
                          }
                        }));
  BACKFIRE_RETURN_IF_ERROR(status);
  std::reverse(found.releases.begin(), found.releases.end());
  return found;
}

absl::StatusOr<records::Change> LetGoOfUpdates(const records::State& state,
                                               const store::Repository& history,
                                               const v1::PruneUpdatesRequest& request,
                                               absl::Time now) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known,
                            FindDone(history, request.request_id(), request));
  records::Change change;
  if (!known.empty()) return change;
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Retention retention, RetentionOf(state, request));
  BACKFIRE_ASSIGN_OR_RETURN(const LetGo found, FindLetGo(history, retention, now));
  change.actor = request.actor();
  for (const int64_t number : found.updates) {
    BACKFIRE_ASSIGN_OR_RETURN(const UpdatePointer update,
                              FindUpdate(state, history, records::UpdateName(number)));
    if (update->update().state() != v1::Update::DECIDED) continue;
    planning::Reject(state, number, update->update(), request.actor(), WhyLetGo(retention),
                     state.epoch, now, change);
  }
  NoteDone(request.request_id(), request, "updates", change);
  return change;
}

absl::StatusOr<std::vector<v1::Version>> FindUnneeded(const records::State& state,
                                                      const store::Repository& history,
                                                      const std::set<int64_t>& let_go,
                                                      const std::vector<v1::Version>& all,
                                                      const std::set<std::string>& gone_releases) {
  std::vector<v1::Version> unneeded;
  const records::SystemRevision* system = state.current_system();
  if (system == nullptr || let_go.empty()) return unneeded;
  BACKFIRE_ASSIGN_OR_RETURN(const std::set<std::string> served,
                            ServedVersions(history, gone_releases));
  BACKFIRE_ASSIGN_OR_RETURN(const std::set<std::string> named,
                            NamedVersions(state, history, let_go));
  const std::set<std::string> in_training = ModelsInTraining(state);
  std::map<std::string, std::vector<const v1::Version*>> by_model;
  std::map<std::string, std::set<std::string>> children;  // By version: those that it feeds.
  for (const v1::Version& version : all) {
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id,
                              runtime::ParseVersionName(version.name()));
    by_model[id.model_name].push_back(&version);
    for (const v1::Parent& parent : version.lineage()) {
      children[parent.version()].insert(version.name());
    }
  }
  std::set<std::string> deleted;
  const std::vector<std::string>& order = system->graph.order();
  for (auto vertex = order.rbegin(); vertex != order.rend(); ++vertex) {
    const auto versions = by_model.find(system->graph.node(*vertex).model_name);
    if (versions == by_model.end() || in_training.count(versions->first) > 0) continue;
    const auto& capabilities = system->models.at(*vertex).capabilities();
    const bool can_delete =
        std::count(capabilities.begin(), capabilities.end(), v1::DELETE_VERSION) > 0;
    if (!can_delete) continue;  // They stay, and so does what feeds them.
    for (const v1::Version* version : versions->second) {
      const std::string& name = version->name();
      if (deleted.count(name) > 0 || !version->imported_digest().empty() ||
          served.count(name) > 0 || named.count(name) > 0) {
        continue;
      }
      const std::set<std::string>& fed = children[name];
      if (!std::includes(deleted.begin(), deleted.end(), fed.begin(), fed.end())) continue;
      BACKFIRE_ASSIGN_OR_RETURN(const bool is_made_by, IsMadeBy(history, let_go, name));
      if (!is_made_by) continue;
      deleted.insert(name);
      unneeded.push_back(*version);
    }
  }
  return unneeded;
}

}  // namespace backfire::commands
