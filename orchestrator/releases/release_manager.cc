#include "orchestrator/releases/release_manager.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/execution/patience.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/releases/release_policy.h"
#include "services/base/crash_point.h"
#include "services/base/status.h"

namespace backfire::releases {
namespace {

// How long services that are to load a version for a switch may stay away, at most: someone waits,
// and it may be an emergency.
constexpr std::chrono::seconds kSwitchPatience(10);
// Leases are looked at this often, and unloading is tried again; less and less often where it
// fails.
constexpr std::chrono::milliseconds kInterval(200), kLongestPause(30'000);

}  // namespace

ReleaseManager::ReleaseManager(ledger::Ledger& ledger, execution::VersionLoader& loader,
                               GatewayRegistry& gateways, const Clock& clock,
                               std::chrono::milliseconds drain_limit)
    : ledger_(ledger),
      loader_(loader),
      gateways_(gateways),
      clock_(clock),
      drain_limit_(drain_limit) {}

ReleaseManager::~ReleaseManager() { Stop(); }

void ReleaseManager::Start() {
  LetGoOfAll();
  thread_ = std::thread([this] { Loop(); });
}

void ReleaseManager::Stop() {
  stopping_ = true;
  {
    MutexLock lock(mutex_);
    retired_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void ReleaseManager::Loop() {
  while (!stopping_) {
    if (RunOnce()) continue;
    // Reports and changes come often; what they allow is looked for at a steady pace.
    MutexLock lock(mutex_);
    const auto next = std::chrono::steady_clock::now() + kInterval;
    while (!stopping_ && std::chrono::steady_clock::now() < next) retired_.WaitUntil(mutex_, next);
  }
}

void ReleaseManager::LetGoOfAll() {
  const auto state = ledger_.state();
  for (const auto& [number, record] : *state->releases) {
    if (record->release.state() != v1::Release::PREPARING) continue;
    {
      MutexLock lock(mutex_);
      wanted_.insert(number);
    }
    Unhold(number);
  }
}

absl::Status ReleaseManager::Hold(int64_t release, const Interrupted& interrupted,
                                  Clock::SteadyTime until) {
  MutexLock lock(mutex_);
  // What is half unloaded is unloaded first.
  while (retiring_ == release && !stopping_ && !interrupted()) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return StillUnloading(release);
    retired_.WaitUntil(mutex_, std::min(until, now + kInterval));
  }
  if (stopping_) return absl::UnavailableError("the orchestrator is shutting down");
  if (interrupted()) return absl::CancelledError("interrupted");
  wanted_.insert(release);
  return absl::OkStatus();
}

absl::Status ReleaseManager::StillUnloading(int64_t release) const {
  const std::string name = records::ReleaseName(release);
  const std::set<ServedVersion> unloading = loader_.Unloading();
  std::vector<std::string> left;
  const auto state = ledger_.state();
  if (const records::ReleaseRecord* record = state->FindRelease(release); record != nullptr) {
    BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                              state->FindSystem(record->revision));
    for (const auto& [vertex, version] : record->release.versions()) {
      const std::string& endpoint = system->graph.node(vertex).vertex.endpoint();
      if (unloading.count({endpoint, version}) == 0) continue;
      left.push_back(absl::StrCat("unloading ", version, " failed at vertex ", vertex, ": ",
                                  endpoint, ": did not answer"));
    }
  }
  std::sort(left.begin(), left.end());
  return absl::DeadlineExceededError(
      absl::StrCat(name, " can't be made live while it is being unloaded", left.empty() ? "" : ": ",
                   absl::StrJoin(left, "; "), "; try again"));
}

absl::Status ReleaseManager::PrepareRetired(int64_t release) {
  if (ledger_.state()->FindRelease(release) != nullptr) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const records::ReleaseRecord retired,
                            ledger_.history().ReadRelease(release));
  const auto prepare = [&](const records::State& state) -> absl::StatusOr<records::Change> {
    // Somebody else may have been as fast.
    if (state.FindRelease(release) != nullptr) return records::Change();
    CrashPoint("prepare", retired.release.name());
    return Prepare(release, retired);
  };
  return ledger_.Commit(prepare, [&] { CrashPoint("prepared", retired.release.name()); }).status();
}

void ReleaseManager::Unhold(int64_t release) {
  {
    MutexLock lock(mutex_);
    wanted_.erase(wanted_.find(release));
    if (wanted_.count(release) > 0) return;
  }
  const absl::Status status =
      ledger_
          .Commit([&](const records::State& state) -> absl::StatusOr<records::Change> {
            const records::ReleaseRecord* record = state.FindRelease(release);
            if (record == nullptr || record->release.state() != v1::Release::PREPARING) {
              return records::Change();
            }
            BACKFIRE_ASSIGN_OR_RETURN(const int64_t update,
                                      records::ParseNumber(record->release.update(), "updates"));
            if (const records::OpenUpdate* open = state.FindUpdate(update); open != nullptr) {
              return LetGo(state, release, open->update().state());
            }
            BACKFIRE_ASSIGN_OR_RETURN(const records::UpdateRecord ended,
                                      ledger_.history().ReadUpdate(update));
            return LetGo(state, release, ended.update.state());
          })
          .status();
  if (!status.ok()) {
    spdlog::error("release state=UNSAVED release={} error=\"{}\"", records::ReleaseName(release),
                  std::string(status.message()));
  }
}

absl::Status ReleaseManager::Load(int64_t release, const Interrupted& interrupted,
                                  Clock::SteadyTime limit, Clock::SteadyTime until) {
  const auto state = ledger_.state();
  const records::ReleaseRecord* record = state->FindRelease(release);
  if (record == nullptr) {
    return absl::AbortedError(absl::StrCat(records::ReleaseName(release), " was retired"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state->FindSystem(record->revision));
  std::vector<execution::VersionLoader::VertexVersion> versions;
  for (const std::string& vertex : ChangedVertices(*state, release)) {
    const auto digest = record->release.digests().find(vertex);
    versions.push_back({system->graph.node(vertex).vertex, record->release.versions().at(vertex),
                        digest == record->release.digests().end() ? "" : digest->second});
  }
  runtime::Patience patience = execution::PatienceOf(system->system(), record->release.name());
  const auto left = std::max<std::chrono::nanoseconds>(limit - std::chrono::steady_clock::now(),
                                                       std::chrono::milliseconds(1));
  patience.timeout = std::min(patience.timeout, absl::FromChrono(left));
  patience.until = until;
  const absl::Status loaded =
      loader_.Load(versions, patience, [&] { return stopping_ || interrupted(); });
  if (stopping_) return absl::UnavailableError("shutting down");
  return Annotate(loaded, absl::StrCat(record->release.name(), " can't be made live"));
}

absl::Status ReleaseManager::Switch(int64_t release, const std::function<absl::Status()>& commit,
                                    const Interrupted& interrupted, Clock::SteadyTime until) {
  const auto limit = std::min(until, std::chrono::steady_clock::now() + kSwitchPatience);
  BACKFIRE_RETURN_IF_ERROR(Hold(release, interrupted, limit));
  absl::Status status = PrepareRetired(release);
  if (status.ok()) status = Load(release, interrupted, limit, until);
  if (status.ok()) status = commit();
  Unhold(release);
  return status;
}

bool ReleaseManager::IsOverdue(int64_t release, Clock::SteadyTime now) {
  const auto since = draining_.find(release);
  return since != draining_.end() && now >= since->second + drain_limit_;
}

int64_t ReleaseManager::TakeNextToRetire() {
  const auto now = clock_.Steady();
  const auto state = ledger_.state();
  MutexLock lock(mutex_);
  std::map<int64_t, Clock::SteadyTime> draining;
  for (const auto& [number, record] : *state->releases) {
    if (record->release.state() != v1::Release::DRAINING) continue;
    const auto since = draining_.find(number);
    draining[number] = since == draining_.end() ? now : since->second;
  }
  draining_ = std::move(draining);
  const Circumstances circumstances{
      [this](int64_t release) ABSL_NO_THREAD_SAFETY_ANALYSIS { return wanted_.count(release) > 0; },
      [&](int64_t release) {
        const auto later = postponed_.find(release);
        return later != postponed_.end() && now < later->second.until;
      },
      [this](int64_t epoch) { return gateways_.AllBeyond(epoch); },
      [&](int64_t release) ABSL_NO_THREAD_SAFETY_ANALYSIS { return IsOverdue(release, now); }};
  // Taken while nobody can begin to want it.
  retiring_ = NextToRetire(*ledger_.state(), circumstances);
  if (retiring_ != 0 && IsOverdue(retiring_, now)) {
    const int64_t epoch = state->FindRelease(retiring_)->release.drain_epoch();
    spdlog::warn("release state=DRAIN_LIMIT release={} gateways=\"{}\"",
                 records::ReleaseName(retiring_), absl::StrJoin(gateways_.Behind(epoch), ", "));
  }
  return retiring_;
}

absl::Status ReleaseManager::Retire(int64_t release) {
  const auto state = ledger_.state();
  const std::set<std::string> replicas = ReplicasOf(*state, release);
  absl::Status status;
  loader_.Unload(
      VersionsOf(*state, release), [&] { return NeededVersions(*ledger_.state(), release); },
      [&](const ServedVersion& served, const absl::Status& unloaded) {
        if (status.ok() && HindersRetirement(unloaded, replicas.count(served.first) > 0)) {
          status = unloaded;
        }
      });
  BACKFIRE_RETURN_IF_ERROR(status);
  return ledger_
      .Commit([&](const records::State& newest) { return releases::Retire(newest, release); })
      .status();
}

void ReleaseManager::Postpone(int64_t release, const absl::Status& status) {
  Postponed& later = postponed_[release];
  later.pause = std::clamp(2 * later.pause, kInterval, kLongestPause);
  later.until = clock_.Steady() + later.pause;
  if (later.error == status.message()) return;
  later.error = std::string(status.message());
  spdlog::warn("release state=NOT_UNLOADED release={} error=\"{}\"", records::ReleaseName(release),
               later.error);
}

bool ReleaseManager::RunOnce() {
  gateways_.Expire();
  const int64_t release = TakeNextToRetire();
  if (release == 0) return false;
  const absl::Status status = Retire(release);
  if (status.ok()) {
    postponed_.erase(release);
  } else {
    Postpone(release, status);
  }
  MutexLock lock(mutex_);
  retiring_ = 0;
  retired_.NotifyAll();
  return status.ok();
}

}  // namespace backfire::releases
