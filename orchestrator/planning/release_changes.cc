#include "orchestrator/planning/release_changes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/planning/timestamp.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "services/base/status.h"

namespace backfire::planning {
namespace {

using records::Change;
using records::ReleaseName;

int64_t NextRelease(const records::State& state, const Change& change) {
  const int64_t made = change.releases.empty() ? 0 : change.releases.rbegin()->first;
  return std::max(state.last_release, made) + 1;
}

bool Meet(const records::OpenUpdate& one, const records::OpenUpdate& other) {
  std::vector<uint32_t> both;
  std::set_intersection(one.plan().touched.begin(), one.plan().touched.end(),
                        other.plan().touched.begin(), other.plan().touched.end(),
                        std::back_inserter(both));
  return !both.empty() || one.update().system_revision() != other.update().system_revision();
}

// The release of an update that keeps its verdict although `promoted` was promoted beside it.
absl::Status Combine(const records::State& state, const records::OpenUpdate& other,
                     const records::ReleaseRecord& live, bool decided, Change& change) {
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state.FindSystem(other.update().system_revision()));
  records::ReleaseChange combined;
  combined.record = live;
  v1::Release& release = combined.record.release;
  for (const uint32_t position : other.plan().touched) {
    const std::string& vertex = system->graph.order()[position];
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, VersionAsOf(other, vertex, 0));
    (*release.mutable_versions())[vertex] = version.name();
    (*release.mutable_digests())[vertex] = version.digest();
  }
  const int64_t number = NextRelease(state, change);
  release.set_name(ReleaseName(number));
  release.set_state(decided ? v1::Release::STAGED : v1::Release::PREPARING);
  release.set_update(other.update().name());
  release.clear_reason();
  release.clear_epoch();
  release.clear_history();
  change.updates.at(other.number()).update.set_release(release.name());
  change.releases[number] = std::move(combined);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int64_t> MakeRelease(const records::State& state, const records::OpenUpdate& update,
                                    Change& change) {
  const int64_t number = NextRelease(state, change);
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state.FindSystem(update.update().system_revision()));
  records::ReleaseChange made;
  made.record.revision = system->revision;
  v1::Release& release = made.record.release;
  release.set_name(ReleaseName(number));
  release.set_state(v1::Release::PREPARING);
  release.set_update(update.update().name());
  for (const std::string& vertex : system->graph.order()) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, VersionAsOf(update, vertex, 0));
    (*release.mutable_versions())[vertex] = version.name();
    (*release.mutable_digests())[vertex] = version.digest();
  }
  records::ChangeUpdate(update.number(), update.update(), change)
      .update.set_release(release.name());
  change.releases[number] = std::move(made);
  return number;
}

void AbandonRelease(const records::State& state, const v1::Update& update,
                    const std::string& reason, int64_t epoch, absl::Time now, Change& change) {
  const auto number = records::ParseNumber(update.release(), "releases");
  if (!number.ok()) return;
  const records::ReleaseRecord* known = state.FindRelease(*number);
  if (known == nullptr) return;  // RETIRED.
  v1::Release& release = records::ChangeRelease(*number, *known, change).record.release;
  if (release.state() != v1::Release::PREPARING && release.state() != v1::Release::STAGED) return;
  release.set_state(v1::Release::DRAINING);
  release.set_drain_epoch(epoch);
  v1::ReleaseEvent& event = *release.add_history();
  event.set_kind(v1::ReleaseEvent::ABANDONED);
  event.set_reason(reason);
  event.set_epoch(epoch);
  *event.mutable_time() = ToTimestamp(now);
}

void Reject(const records::State& state, int64_t number, const v1::Update& update,
            const std::string& actor, const std::string& reason, int64_t epoch, absl::Time now,
            Change& change) {
  v1::Update& rejected = records::ChangeUpdate(number, update, change).update;
  rejected.set_state(v1::Update::REJECTED);
  rejected.set_end_actor(actor);
  rejected.set_end_reason(reason);
  *rejected.mutable_end_time() = ToTimestamp(now);
  AbandonRelease(state, update, reason, epoch, now, change);
}

void MakeLive(const records::State& state, int64_t number, const records::ReleaseRecord& release,
              v1::ReleaseEvent event, absl::Time now, Change& change) {
  const int64_t epoch = state.epoch + 1;
  *event.mutable_time() = ToTimestamp(now);
  event.set_epoch(epoch);
  if (state.live != 0 && state.live != number) {
    v1::Release& replaced =
        records::ChangeRelease(state.live, *state.FindRelease(state.live), change).record.release;
    replaced.set_state(v1::Release::DRAINING);
    replaced.set_drain_epoch(epoch);
    v1::ReleaseEvent& end = *replaced.add_history();
    end = event;
    end.set_kind(v1::ReleaseEvent::REPLACED);
    end.set_reason(absl::StrCat("by ", ReleaseName(number)));
    end.clear_verdict();
    end.clear_override();
  }
  v1::Release& live = records::ChangeRelease(number, release, change).record.release;
  live.set_state(v1::Release::LIVE);
  live.set_reason(event.reason());
  live.set_epoch(epoch);
  live.clear_drain_epoch();
  *live.add_history() = std::move(event);
}

absl::Status SettleOthers(const records::State& state, const records::OpenUpdate& promoted,
                          int64_t number,
                          const std::vector<std::shared_ptr<const records::OpenUpdate>>& decided,
                          absl::Time now, Change& change) {
  std::vector<std::shared_ptr<const records::OpenUpdate>> others = decided;
  for (const auto& [other, update] : state.updates) {
    if (records::IsOpen(update->update())) others.push_back(update);
  }
  std::sort(others.begin(), others.end(),
            [](const auto& a, const auto& b) { return a->number() < b->number(); });
  const records::ReleaseRecord live = change.releases.at(number).record;
  const std::string& name = promoted.update().name();
  for (const auto& other : others) {
    const v1::Update& update = other->update();
    if (other->number() == promoted.number() || update.baseline() ||
        update.baseline_release() != promoted.update().baseline_release()) {
      continue;
    }
    const bool is_decided = !records::IsOpen(update);
    if (Meet(*other, promoted)) {
      // One that waits is compared with the new release once it begins; one that runs goes on.
      if (!is_decided) continue;
      Reject(state, other->number(), update, change.actor,
             absl::StrCat(name, " was promoted, and changes what this was compared with"),
             live.release.epoch(), now, change);
      continue;
    }
    // Nothing that it touches has changed, so that its comparison holds; its release is another.
    records::UpdateChange& rebased = records::ChangeUpdate(other->number(), update, change);
    rebased.update.set_baseline_release(ReleaseName(number));
    rebased.base = change.live_standing;
    if (update.release().empty()) continue;
    AbandonRelease(state, update, absl::StrCat(name, " was promoted beside it"),
                   live.release.epoch(), now, change);
    BACKFIRE_RETURN_IF_ERROR(Combine(state, *other, live, is_decided, change));
  }
  return absl::OkStatus();
}

}  // namespace backfire::planning
