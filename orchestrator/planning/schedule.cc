#include "orchestrator/planning/schedule.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/planning/step_plan.h"
#include "orchestrator/planning/timestamp.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"
#include "services/base/status.h"

namespace backfire::planning {
namespace {

using records::Change;
using records::StepRef;

bool ComparesWithLive(const records::State& state, const v1::Update& update) {
  return update.baseline_release() == records::ReleaseName(state.live);
}

bool LiveLacksReplicates(const records::State& state, const v1::Update& update) {
  return state.live_standing != nullptr &&
         state.live_standing->update().replicates() < update.planned_replicates();
}

bool NeedsRebase(const records::State& state, const records::OpenUpdate& update) {
  const v1::Update& message = update.update();
  if (message.baseline()) return false;
  if (records::CompletesReplicates(message)) {
    // Trainings that a proposed version stands for are done from the beginning.
    return message.state() == v1::Update::PROPOSED && !ComparesWithLive(state, message);
  }
  return !update.has_begun() &&
         (!ComparesWithLive(state, message) || LiveLacksReplicates(state, message));
}

// Why an update can't be compared with the live release. OK: it can.
absl::Status CheckFit(const records::State& state, const records::OpenUpdate& update) {
  if (state.live_standing == nullptr) {
    return absl::FailedPreconditionError("there is no live release");
  }
  const v1::Update& base = state.live_standing->update();
  const v1::Update& message = update.update();
  if (records::CompletesReplicates(message)) {
    return absl::FailedPreconditionError("it has other versions");
  }
  if (base.system_revision() != message.system_revision() || LiveLacksReplicates(state, message)) {
    return absl::FailedPreconditionError("it has another system, or too few replicates");
  }
  if (message.version().empty()) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state.FindSystem(message.system_revision()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, VersionAsOf(update, message.vertex(), 0));
  return CheckProposedLineage(version, system->graph, message.vertex(), *state.live_standing);
}

// Lineages as texts that are equal if they are fed by the same.
std::string Fed(const v1::Parent& parent) {
  return absl::StrCat(parent.input(), " by ", parent.version(), " (", parent.digest().substr(0, 12),
                      ")");
}

}  // namespace

Schedule MakeSchedule(const records::State& state, const std::set<StepRef>& running) {
  Schedule schedule;
  size_t taken = running.size();
  for (const auto& [number, update] : state.updates) {
    const bool is_cancelled = update->update().state() == v1::Update::CANCELLED;
    const records::SystemRevision* system =
        state.FindSystem(update->update().system_revision()).value_or(nullptr);
    if (system == nullptr) continue;
    const auto places = static_cast<size_t>(std::max(1, system->graph.system().parallel_jobs()));
    for (const size_t position : update->Running()) {
      const StepRef ref{number, position};
      const bool is_running = running.count(ref) > 0;
      if (is_cancelled) {
        schedule.cancel.push_back(ref);
        if (!is_running) ++taken;
      } else if (!is_running && taken < places) {
        schedule.resume.push_back(ref);
        ++taken;
      }
    }
    if (!records::IsOpen(update->update()) || state.waits_for.count(number) > 0) continue;
    if (NeedsRebase(state, *update)) {
      schedule.rebase.push_back(number);
      continue;
    }
    if (taken >= places) continue;
    for (const size_t position : update->Ready(places - taken)) {
      schedule.start.push_back({number, position});
      ++taken;
    }
  }
  return schedule;
}

absl::StatusOr<Change> StartStep(const records::State& state, StepRef ref) {
  const records::OpenUpdate* update = state.FindUpdate(ref.update);
  if (update == nullptr || !records::IsOpen(update->update()) || !update->IsReady(ref.position)) {
    return absl::AbortedError("the step is not ready");
  }
  Change change;
  records::ChangeStep(ref, update->step(ref.position), change)
      .record.step.set_state(v1::Step::RUNNING);
  if (const v1::Update::State phase = update->Phase(); phase != update->update().state()) {
    records::ChangeUpdate(ref.update, update->update(), change).update.set_state(phase);
  }
  return change;
}

absl::StatusOr<Change> Rebase(const records::State& state, int64_t number, const Forecast& forecast,
                              absl::Time now) {
  const records::OpenUpdate* update = state.FindUpdate(number);
  if (update == nullptr || !records::IsOpen(update->update()) || !NeedsRebase(state, *update)) {
    return absl::AbortedError("the update needs no other release to compare with");
  }
  Change change;
  records::UpdateChange& changed = records::ChangeUpdate(number, update->update(), change);
  const std::string live = records::ReleaseName(state.live);
  if (const absl::Status fit = CheckFit(state, *update); !fit.ok()) {
    changed.update.set_state(v1::Update::REJECTED);
    changed.update.set_error_message(
        absl::StrCat(live,
                     ComparesWithLive(state, update->update())
                         ? " was to get more replicates while this update waited, and did not"
                         : " became the live one while this update waited",
                     ", and can't be what it is compared with: ", std::string(fit.message()),
                     "; propose it again"));
    *changed.update.mutable_end_time() = ToTimestamp(now);
    return change;
  }
  if (forecast.release != state.live) return absl::AbortedError("another release became live");
  changed.base = state.live_standing;
  changed.update.set_baseline_release(live);
  changed.update.mutable_sensitivities()->Assign(forecast.sensitivities.begin(),
                                                 forecast.sensitivities.end());
  *changed.update.mutable_reuse() = forecast.reuse;
  return change;
}

absl::Status CheckProposedLineage(const v1::Version& version, const graph::SystemGraph& graph,
                                  const std::string& vertex, const records::Standing& live) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Parent> lineage,
                            LineageAsOf(live, graph, vertex, 0));
  const auto same = [](const v1::Parent& a, const v1::Parent& b) {
    return a.input() == b.input() && a.output() == b.output() && a.digest() == b.digest();
  };
  if (lineage.size() == static_cast<size_t>(version.lineage_size()) &&
      std::is_permutation(lineage.begin(), lineage.end(), version.lineage().begin(), same)) {
    return absl::OkStatus();
  }
  std::vector<std::string> expected, got;
  for (const v1::Parent& parent : lineage) expected.push_back(Fed(parent));
  for (const v1::Parent& parent : version.lineage()) got.push_back(Fed(parent));
  std::sort(expected.begin(), expected.end());
  std::sort(got.begin(), got.end());
  return absl::FailedPreconditionError(absl::StrCat(
      version.name(), " must be fed as the live release's ", vertex, " is (",
      absl::StrJoin(expected, ", "), "): it is fed ",
      got.empty() ? "by no version" : absl::StrJoin(got, ", "), "; import or train it again"));
}

}  // namespace backfire::planning
