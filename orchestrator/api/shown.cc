#include "orchestrator/api/shown.h"

#include <google/protobuf/util/time_util.h>

#include <utility>
#include <vector>

#include "orchestrator/records/resource_name.h"
#include "services/base/status.h"

namespace backfire::api {
namespace {

using google::protobuf::util::TimeUtil;

// Releases that are read at once.
constexpr int64_t kBatch = 100;

// Until another revision has a release, the old one's is served, on the old one's graph.
int64_t ServedRevision(const records::State& state) {
  const records::ReleaseRecord* live = state.FindRelease(state.live);
  if (live != nullptr) return live->revision;
  return state.current_system() == nullptr ? 0 : state.current_system()->revision;
}

bool IsServed(const records::ReleaseRecord& record, int64_t revision) {
  const v1::Release::State is = record.release.state();
  return (is == v1::Release::STAGED || is == v1::Release::LIVE) && record.revision == revision;
}

}  // namespace

absl::StatusOr<v1::Update> ShowUpdate(const records::State& state, const store::Repository& history,
                                      const std::string& name,
                                      const std::map<size_t, v1::Progress>& progress) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, records::ParseNumber(name, "updates"));
  const records::OpenUpdate* open = state.FindUpdate(number);
  if (open == nullptr) {
    BACKFIRE_ASSIGN_OR_RETURN(records::UpdateRecord record, history.ReadUpdate(number));
    for (records::StepRecord& step : record.steps) {
      *record.update.add_steps() = std::move(step.step);
    }
    return std::move(record.update);
  }
  v1::Update shown = open->update();
  shown.set_waits_for(WaitsFor(state, name));
  for (size_t i = 0; i < open->step_count(); ++i) {
    v1::Step& step = *shown.add_steps() = open->step(i).step;
    const auto said = progress.find(i);
    if (said != progress.end() && step.state() == v1::Step::RUNNING) {
      *step.mutable_progress() = said->second;
    }
  }
  return shown;
}

std::string WaitsFor(const records::State& state, const std::string& name) {
  const auto number = records::ParseNumber(name, "updates");
  if (!number.ok()) return "";
  const auto waits = state.waits_for.find(*number);
  return waits == state.waits_for.end() ? "" : records::UpdateName(waits->second);
}

v1::ReleaseSnapshot ShowReleases(const records::State& state) {
  v1::ReleaseSnapshot snapshot;
  if (state.systems->empty()) return snapshot;
  const int64_t revision = ServedRevision(state);
  const records::SystemRevision& system = *state.systems->at(revision);
  *snapshot.mutable_system() = system.system();
  for (const auto& [vertex, model] : system.models) (*snapshot.mutable_models())[vertex] = model;
  for (const auto& [number, record] : *state.releases) {
    if (!IsServed(*record, revision)) continue;
    v1::Release& shown = *snapshot.add_releases() = record->release;
    // A gateway has no use for it, and it grows.
    shown.clear_history();
  }
  snapshot.set_live(state.live);
  snapshot.set_epoch(state.epoch);
  return snapshot;
}

std::shared_ptr<const v1::ReleaseSnapshot> ShownReleases::Of(const records::State& state) {
  MutexLock lock(mutex_);
  if (shown_ != nullptr && systems_ == state.systems && releases_ == state.releases) return shown_;
  auto shown = std::make_shared<v1::ReleaseSnapshot>(ShowReleases(state));
  *shown->mutable_lease() = TimeUtil::MillisecondsToDuration(lease_.count());
  systems_ = state.systems;
  releases_ = state.releases;
  shown_ = std::move(shown);
  return shown_;
}

absl::StatusOr<v1::ReleaseSnapshot> ShowAllReleases(const records::State& state,
                                                    const store::Repository& history) {
  v1::ReleaseSnapshot snapshot = ShowReleases(state);
  snapshot.clear_releases();
  std::vector<v1::Release> newest_first;
  for (store::Page page{0, kBatch};; page.skip += kBatch) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Release> rows, history.ListReleases(page));
    newest_first.insert(newest_first.end(), rows.begin(), rows.end());
    if (static_cast<int64_t>(rows.size()) < kBatch) break;
  }
  for (auto release = newest_first.rbegin(); release != newest_first.rend(); ++release) {
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t number,
                              records::ParseNumber(release->name(), "releases"));
    const records::ReleaseRecord* known = state.FindRelease(number);
    const bool is_served = known != nullptr && IsServed(*known, ServedRevision(state));
    (is_served ? *snapshot.add_releases() : *snapshot.add_others()) =
        known == nullptr ? *release : known->release;
  }
  return snapshot;
}

}  // namespace backfire::api
