#include "orchestrator/releases/release_policy.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"

namespace backfire::releases {
namespace {

// Null: the release or its system is not known.
const records::SystemRevision* SystemOf(const records::State& state, int64_t release) {
  const records::ReleaseRecord* record = state.FindRelease(release);
  return record == nullptr ? nullptr : state.FindSystem(record->revision).value_or(nullptr);
}

}  // namespace

std::set<ServedVersion> VersionsOf(const records::State& state, int64_t release) {
  std::set<ServedVersion> versions;
  const records::SystemRevision* system = SystemOf(state, release);
  if (system == nullptr) return versions;
  for (const auto& [vertex, version] : state.FindRelease(release)->release.versions()) {
    if (!system->graph.Has(vertex)) continue;
    for (const std::string& endpoint : graph::ServingEndpoints(system->graph.node(vertex).vertex)) {
      versions.emplace(endpoint, version);
    }
  }
  return versions;
}

std::set<ServedVersion> NeededVersions(const records::State& state, int64_t without) {
  std::set<ServedVersion> needed;
  for (const auto& [number, release] : *state.releases) {
    if (number != without) needed.merge(VersionsOf(state, number));
  }
  return needed;
}

std::set<std::string> ReplicasOf(const records::State& state, int64_t release) {
  std::set<std::string> replicas;
  const records::SystemRevision* system = SystemOf(state, release);
  if (system == nullptr) return replicas;
  for (const v1::Vertex& vertex : system->system().vertices()) {
    replicas.insert(vertex.replicas().begin(), vertex.replicas().end());
  }
  return replicas;
}

std::map<std::string, std::map<std::string, std::string>> VersionsOfReplicas(
    const records::State& state) {
  std::map<std::string, std::map<std::string, std::string>> wanted;
  for (const auto& [number, record] : *state.releases) {
    const v1::Release& release = record->release;
    if (release.state() != v1::Release::LIVE && release.state() != v1::Release::STAGED) continue;
    const records::SystemRevision* system = SystemOf(state, number);
    if (system == nullptr) continue;
    for (const auto& [vertex, version] : release.versions()) {
      if (!system->graph.Has(vertex)) continue;
      const auto digest = release.digests().find(vertex);
      for (const std::string& replica : system->graph.node(vertex).vertex.replicas()) {
        wanted[replica][version] = digest == release.digests().end() ? "" : digest->second;
      }
    }
  }
  return wanted;
}

std::vector<std::string> ChangedVertices(const records::State& state, int64_t release) {
  std::vector<std::string> changed;
  const records::SystemRevision* system = SystemOf(state, release);
  if (system == nullptr) return changed;
  const records::SystemRevision* live_system = SystemOf(state, state.live);
  const records::ReleaseRecord* live = state.FindRelease(state.live);
  const v1::Release& wanted = state.FindRelease(release)->release;
  const auto digest_of = [](const v1::Release& of, const std::string& vertex) {
    const auto digest = of.digests().find(vertex);
    return digest == of.digests().end() ? std::string() : digest->second;
  };
  for (const std::string& vertex : system->graph.order()) {
    const bool is_served = live_system != nullptr && live_system->graph.Has(vertex) &&
                           live->release.versions().at(vertex) == wanted.versions().at(vertex) &&
                           digest_of(live->release, vertex) == digest_of(wanted, vertex) &&
                           graph::ServingEndpoints(live_system->graph.node(vertex).vertex) ==
                               graph::ServingEndpoints(system->graph.node(vertex).vertex);
    if (!is_served) changed.push_back(vertex);
  }
  return changed;
}

int64_t NextToRetire(const records::State& state, const Circumstances& circumstances) {
  for (const auto& [number, record] : *state.releases) {
    if (record->release.state() == v1::Release::DRAINING && !circumstances.is_postponed(number) &&
        !circumstances.is_wanted(number) &&
        (circumstances.all_beyond(record->release.drain_epoch()) ||
         circumstances.is_overdue(number))) {
      return number;
    }
  }
  return 0;
}

bool HindersRetirement(const absl::Status& unloaded, bool is_replica) {
  if (unloaded.ok() || absl::IsNotFound(unloaded) || absl::IsUnimplemented(unloaded)) return false;
  return !is_replica || !runtime::IsTransient(unloaded);
}

absl::StatusOr<records::Change> Retire(const records::State& state, int64_t release) {
  const records::ReleaseRecord* record = state.FindRelease(release);
  if (record == nullptr || record->release.state() != v1::Release::DRAINING) {
    return absl::AbortedError(
        absl::StrCat(records::ReleaseName(release), " is not draining any more"));
  }
  records::Change change;
  v1::Release& retired = records::ChangeRelease(release, *record, change).record.release;
  retired.set_state(v1::Release::RETIRED);
  retired.clear_drain_epoch();
  return change;
}

records::Change Prepare(int64_t release, const records::ReleaseRecord& record) {
  records::Change change;
  records::ChangeRelease(release, record, change).record.release.set_state(v1::Release::PREPARING);
  return change;
}

records::Change LetGo(const records::State& state, int64_t release, v1::Update::State update) {
  records::Change change;
  const records::ReleaseRecord* record = state.FindRelease(release);
  if (record == nullptr || record->release.state() != v1::Release::PREPARING) return change;
  if (records::IsOpen(update) || update == v1::Update::FAILED) return change;
  v1::Release& dropped = records::ChangeRelease(release, *record, change).record.release;
  dropped.set_state(v1::Release::DRAINING);
  dropped.set_drain_epoch(state.epoch);
  return change;
}

}  // namespace backfire::releases
