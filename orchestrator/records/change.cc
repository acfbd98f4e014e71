#include "orchestrator/records/change.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/transitions.h"
#include "orchestrator/records/update_state.h"
#include "services/base/status.h"

namespace backfire::records {
namespace {

// What was decided holds only for what it was decided on.
absl::Status CheckFrom(const std::string& name, const std::string& from, const std::string& is) {
  if (from == is) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(name, " is ", is, ", not ", from));
}

bool Meet(const OpenUpdate& one, const OpenUpdate& other) {
  // Of two revisions, the later one's baseline waits for everything of the earlier.
  if (one.update().system_revision() != other.update().system_revision()) return true;
  auto a = one.plan().touched.begin();
  auto b = other.plan().touched.begin();
  while (a != one.plan().touched.end() && b != other.plan().touched.end()) {
    if (*a == *b) return true;
    *a < *b ? ++a : ++b;
  }
  return false;
}

// Whether the later of two open updates waits for the earlier. It may need the replicates that one
// completes.
bool GoesFirst(const OpenUpdate& earlier, const OpenUpdate& later) {
  return CompletesReplicates(earlier.update()) || Meet(earlier, later);
}

// Number of the earlier open update that this one lets go first; 0: none.
int64_t FindEarlier(const State& state, const OpenUpdate& update) {
  for (const auto& [number, earlier] : state.updates) {
    if (number >= update.number()) break;
    if (IsOpen(earlier->update()) && GoesFirst(*earlier, update)) return number;
  }
  return 0;
}

void SetWaiting(const OpenUpdate& update, State& state) {
  const int64_t earlier = IsOpen(update.update()) ? FindEarlier(state, update) : 0;
  if (earlier == 0) {
    state.waits_for.erase(update.number());
  } else {
    state.waits_for[update.number()] = earlier;
  }
}

// Finds anew who waits for whom, where that may have changed: an update came, began to work again,
// or has none left.
void Requeue(const State& before, State& state) {
  const auto is_open = [](const State& in, int64_t number) {
    const OpenUpdate* update = in.FindUpdate(number);
    return update != nullptr && IsOpen(update->update());
  };
  for (const auto& [number, waits] : before.waits_for) {
    if (!is_open(state, number)) {
      state.waits_for.erase(number);
    } else if (!is_open(state, waits)) {
      SetWaiting(*state.FindUpdate(number), state);
    }
  }
  for (const auto& [number, update] : state.updates) {
    if (!IsOpen(update->update()) || is_open(before, number)) continue;
    SetWaiting(*update, state);
    for (auto later = state.updates.upper_bound(number); later != state.updates.end(); ++later) {
      const auto known = state.waits_for.find(later->first);
      if (known != state.waits_for.end() && known->second < number) continue;
      if (IsOpen(later->second->update()) && GoesFirst(*update, *later->second)) {
        state.waits_for[later->first] = number;
      }
    }
  }
}

void ApplyReleases(const Change& change, State& state) {
  const auto releases = std::make_shared<State::Releases>(*state.releases);
  for (const auto& [number, changed] : change.releases) {
    state.last_release = std::max(state.last_release, number);
    const v1::Release& release = changed.record.release;
    if (release.state() == v1::Release::RETIRED) {
      releases->erase(number);
      continue;
    }
    (*releases)[number] = std::make_shared<const ReleaseRecord>(changed.record);
    if (release.state() == v1::Release::LIVE) {
      state.live = number;
      state.epoch = release.epoch();
    }
  }
  state.releases = releases;
}

}  // namespace

UpdateChange& ChangeUpdate(int64_t number, const v1::Update& update, Change& change) {
  const auto [entry, is_new] = change.updates.try_emplace(number);
  if (is_new) {
    entry->second.from = update.state();
    entry->second.update = update;
  }
  return entry->second;
}

ReleaseChange& ChangeRelease(int64_t number, const ReleaseRecord& release, Change& change) {
  const auto [entry, is_new] = change.releases.try_emplace(number);
  if (is_new) {
    entry->second.from = release.release.state();
    entry->second.record = release;
  }
  return entry->second;
}

StepChange& ChangeStep(StepRef ref, const StepRecord& record, Change& change) {
  const auto [entry, is_new] = change.steps.try_emplace(ref);
  if (is_new) {
    entry->second.from = record.step.state();
    entry->second.record = record;
  }
  return entry->second;
}

absl::Status Check(const State& state, const Change& change) {
  int64_t next = state.last_update;
  for (const auto& update : change.added) {
    if (update->number() != ++next) {
      return absl::InternalError(absl::StrCat(UpdateName(update->number()), " is not the next"));
    }
    BACKFIRE_RETURN_IF_ERROR(CheckTransition(
        UpdateName(update->number()), v1::Update::STATE_UNSPECIFIED, update->update().state()));
  }
  for (const auto& [number, changed] : change.updates) {
    const std::string name = UpdateName(number);
    if (const OpenUpdate* known = state.FindUpdate(number); known != nullptr) {
      BACKFIRE_RETURN_IF_ERROR(CheckFrom(name, v1::Update::State_Name(changed.from),
                                         v1::Update::State_Name(known->update().state())));
    }
    BACKFIRE_RETURN_IF_ERROR(CheckTransition(name, changed.from, changed.update.state()));
  }
  for (const auto& [ref, changed] : change.steps) {
    const std::string name =
        absl::StrCat(UpdateName(ref.update), ": step ", changed.record.step.id());
    if (const OpenUpdate* known = state.FindUpdate(ref.update); known != nullptr) {
      BACKFIRE_RETURN_IF_ERROR(
          CheckFrom(name, v1::Step::State_Name(changed.from),
                    v1::Step::State_Name(known->step(ref.position).step.state())));
    }
    BACKFIRE_RETURN_IF_ERROR(CheckTransition(name, changed.from, changed.record.step.state()));
  }
  int64_t live = state.live;
  if (const auto known = change.releases.find(live);
      known != change.releases.end() && known->second.record.release.state() != v1::Release::LIVE) {
    live = 0;
  }
  for (const auto& [number, changed] : change.releases) {
    const v1::Release::State to = changed.record.release.state();
    if (const ReleaseRecord* known = state.FindRelease(number); known != nullptr) {
      BACKFIRE_RETURN_IF_ERROR(CheckFrom(ReleaseName(number), v1::Release::State_Name(changed.from),
                                         v1::Release::State_Name(known->release.state())));
    }
    BACKFIRE_RETURN_IF_ERROR(CheckTransition(ReleaseName(number), changed.from, to));
    if (to != v1::Release::LIVE || number == live) continue;
    if (live != 0 || change.live_standing == nullptr) {
      return absl::InternalError(
          absl::StrCat(ReleaseName(number), " can't be live: ",
                       live != 0 ? ReleaseName(live) + " is" : "nobody says what it stands on"));
    }
    live = number;
  }
  return absl::OkStatus();
}

State Apply(const State& state, const Change& change) {
  State next = state;
  if (change.system != nullptr) {
    const auto systems = std::make_shared<State::Systems>(*state.systems);
    (*systems)[change.system->revision] = change.system;
    next.systems = systems;
  }
  for (const auto* updates : {&change.added, &change.reopened}) {
    for (const auto& update : *updates) {
      next.updates[update->number()] = update;
      next.last_update = std::max(next.last_update, update->number());
    }
  }
  std::map<int64_t, OpenUpdate::StepChanges> steps;
  for (const auto& [ref, changed] : change.steps) {
    steps[ref.update].emplace_back(ref.position, changed.record);
  }
  for (const auto& [number, changed] : change.updates) steps.try_emplace(number);
  bool moved = !change.added.empty() || !change.reopened.empty();
  for (const auto& [number, changed_steps] : steps) {
    const auto known = next.updates.find(number);
    if (known == next.updates.end()) continue;  // It had ended, and is not to go on.
    const auto changed = change.updates.find(number);
    const bool is_changed = changed != change.updates.end();
    known->second = known->second->With(
        is_changed ? std::make_shared<const v1::Update>(changed->second.update) : nullptr,
        is_changed ? changed->second.base : nullptr, changed_steps);
    if (IsOpen(known->second->update())) continue;
    moved = true;
    if (!known->second->HasRunning()) next.updates.erase(known);
  }
  if (moved) Requeue(state, next);
  if (!change.releases.empty()) ApplyReleases(change, next);
  if (change.live_standing != nullptr) next.live_standing = change.live_standing;
  return next;
}

}  // namespace backfire::records
