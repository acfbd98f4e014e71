#include "orchestrator/workflow/engine.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine_state.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/records.h"
#include "orchestrator/workflow/system_revision.h"
#include "orchestrator/workflow/transitions.h"
#include "services/base/status.h"

namespace backfire::workflow {

using google::protobuf::util::TimeUtil;

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(const std::string& store_path,
                                                     prometheus::Registry& registry,
                                                     std::chrono::milliseconds lease) {
  BACKFIRE_ASSIGN_OR_RETURN(auto store, store::Store::Open(store_path));
  BACKFIRE_ASSIGN_OR_RETURN(store::Contents contents, store->ReadAll());
  for (auto& [number, update] : contents.updates) {
    if (update.update.state() == v1::Update::CANCELLED) continue;  // Its jobs are to be cancelled.
    for (store::StepRecord& record : update.steps) {
      // It was under way when the process ended; its job has the same name again.
      if (record.step.state() == v1::Step::RUNNING) record.step.set_state(v1::Step::WAITING);
    }
  }
  return std::unique_ptr<Engine>(
      new Engine(std::move(store), std::move(contents), registry, lease));
}

Engine::Engine(std::unique_ptr<store::Store> store, store::Contents contents,
               prometheus::Registry& registry, std::chrono::milliseconds lease)
    : metrics_(std::make_unique<Metrics>(registry)),
      store_(std::move(store)),
      contents_(std::move(contents)),
      gateways_(lease, std::chrono::steady_clock::now()) {
  {
    MutexLock lock(mutex_);
    for (const auto& [number, update] : contents_.updates) {
      if (IsOpen(update.update)) moved_[number] = std::chrono::steady_clock::now();
    }
    Changed();
  }
  scheduler_ = std::thread([this] { Schedule(); });
  keeper_ = std::thread([this] { KeepReleases(); });
  replica_keeper_ = std::thread([this] { KeepReplicas(); });
}

Engine::~Engine() { Stop(); }

void Engine::Stop() {
  stopping_ = true;
  {
    MutexLock lock(mutex_);
    work_.NotifyAll();
    changed_.NotifyAll();
  }
  if (scheduler_.joinable()) scheduler_.join();
  if (keeper_.joinable()) keeper_.join();
  if (replica_keeper_.joinable()) replica_keeper_.join();
}

void Engine::Changed() {
  ++changes_;
  work_waits_ = true;
  work_.NotifyAll();
  changed_.NotifyAll();
  const int64_t live = LiveRelease();
  metrics_->live_release.Set(static_cast<double>(live));
  metrics_->epoch.Set(live == 0 ? 0.0 : static_cast<double>(contents_.releases.at(live).epoch()));
}

int64_t Engine::changes() const {
  MutexLock lock(mutex_);
  return changes_;
}

int64_t Engine::release_changes() const {
  MutexLock lock(mutex_);
  return release_changes_;
}

bool Engine::WaitForChange(int64_t seen, absl::Duration timeout) const {
  MutexLock lock(mutex_);
  return WaitWhileSeen(changes_, seen, timeout);
}

bool Engine::WaitForReleaseChange(int64_t seen, absl::Duration timeout) const {
  MutexLock lock(mutex_);
  return WaitWhileSeen(release_changes_, seen, timeout);
}

bool Engine::WaitWhileSeen(const int64_t& counter, int64_t seen, absl::Duration timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  while (counter == seen && !stopping_) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  return !stopping_;
}

const graph::SystemGraph& Engine::GraphOf(int64_t revision) const {
  auto found = graphs_.find(revision);
  if (found == graphs_.end()) {
    // What is stored was checked when it came.
    found =
        graphs_.emplace(revision, *graph::SystemGraph::Build(contents_.systems.at(revision).system))
            .first;
  }
  return found->second;
}

absl::StatusOr<const store::UpdateRecord*> Engine::FindUpdate(const std::string& name) const {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, ParseNumber(name, "updates"));
  const auto found = contents_.updates.find(number);
  if (found != contents_.updates.end()) return &found->second;
  return absl::NotFoundError(absl::StrCat("there is no ", name));
}

absl::Status Engine::Commit(Change change) {
  store::Changes changes;
  if (change.system != nullptr) changes.systems.push_back(change.system);
  for (const store::UpdateRecord& update : change.added) {
    changes.updates.push_back({update.number, update.request_id, &update.update});
    for (size_t i = 0; i < update.steps.size(); ++i) {
      changes.steps.push_back({update.number, i, &update.steps[i]});
    }
  }
  for (const auto& [number, update] : change.updates) {
    const store::UpdateRecord& kept = contents_.updates.at(number);
    BACKFIRE_RETURN_IF_ERROR(CheckTransition(update.name(), kept.update.state(), update.state()));
    changes.updates.push_back({number, kept.request_id, &update});
  }
  for (const auto& [key, record] : change.steps) {
    const v1::Step& kept = contents_.updates.at(key.first).steps[key.second].step;
    BACKFIRE_RETURN_IF_ERROR(
        CheckTransition(absl::StrCat(UpdateName(key.first), ": step ", kept.id()), kept.state(),
                        record.step.state()));
    changes.steps.push_back({key.first, key.second, &record});
  }
  for (const auto& [number, release] : change.releases) {
    const auto kept = contents_.releases.find(number);
    BACKFIRE_RETURN_IF_ERROR(CheckTransition(
        release.name(),
        kept == contents_.releases.end() ? v1::Release::STATE_UNSPECIFIED : kept->second.state(),
        release.state()));
    changes.releases.emplace_back(number, &release);
  }
  for (const store::RequestRecord& request : change.requests) changes.requests.push_back(&request);
  BACKFIRE_RETURN_IF_ERROR(store_->Write(changes));

  if (change.system != nullptr) {
    contents_.systems[change.system->revision] = *change.system;
    graphs_.erase(change.system->revision);
  }
  const auto count_update = [&](const v1::Update& update) {
    spdlog::info("update state={} update={}", v1::Update::State_Name(update.state()),
                 update.name());
    metrics_->updates.Add({{"state", v1::Update::State_Name(update.state())}}).Increment();
  };
  for (store::UpdateRecord& update : change.added) {
    count_update(update.update);
    moved_[update.number] = std::chrono::steady_clock::now();
    contents_.updates[update.number] = std::move(update);
  }
  for (auto& [number, update] : change.updates) {
    v1::Update& kept = contents_.updates.at(number).update;
    if (kept.state() != update.state()) count_update(update);
    if (IsOpen(update)) {
      moved_[number] = std::chrono::steady_clock::now();
    } else {
      moved_.erase(number);
      dependencies_.erase(number);
    }
    kept = std::move(update);
  }
  for (auto& [key, record] : change.steps) {
    store::UpdateRecord& kept = contents_.updates.at(key.first);
    if (IsOpen(kept.update)) moved_[key.first] = std::chrono::steady_clock::now();
    kept.steps[key.second] = std::move(record);
  }
  if (change.system != nullptr || !change.releases.empty()) ++release_changes_;
  for (auto& [number, release] : change.releases) {
    spdlog::info("release state={} release={}", v1::Release::State_Name(release.state()),
                 release.name());
    contents_.releases[number] = std::move(release);
  }
  for (store::RequestRecord& request : change.requests) {
    contents_.requests[request.id] = std::move(request);
  }
  Changed();
  return absl::OkStatus();
}

store::UpdateRecord Engine::NewUpdate(const std::vector<v1::Step>& steps) const {
  store::UpdateRecord record;
  record.number = contents_.updates.empty() ? 1 : contents_.updates.rbegin()->first + 1;
  record.update.set_name(UpdateName(record.number));
  record.update.set_state(v1::Update::PROPOSED);
  *record.update.mutable_create_time() = TimeUtil::GetCurrentTime();
  for (const v1::Step& step : steps) record.steps.emplace_back().step = step;
  return record;
}

absl::StatusOr<v1::ApplySystemResponse> Engine::ApplySystem(const v1::ApplySystemRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const graph::SystemGraph graph,
                            graph::SystemGraph::Build(WithDefaults(request.system())));
  BACKFIRE_ASSIGN_OR_RETURN(auto models,
                            FetchModels(graph, [this](const auto& endpoint, const auto& name) {
                              return client_.GetModel(endpoint, name);
                            }));
  v1::ApplySystemResponse response;
  *response.mutable_system() = graph.system();
  if (request.validate_only()) return response;

  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string known, FindRequest(request));
  if (!known.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t revision, ParseNumber(known, "revisions"));
    const store::SystemRecord& made = contents_.systems.at(revision);
    *response.mutable_system() = made.system;
    response.set_revision(revision);
    response.set_update(UpdateName(made.baseline_update));
    return response;
  }
  Change change;
  store::SystemRecord record;
  change.system = &record;
  record.revision = 1;
  record.system = graph.system();
  record.models = std::move(models);
  if (!contents_.systems.empty()) {
    const store::SystemRecord& current = contents_.systems.rbegin()->second;
    if (SameExperiment(current.system, current.models, record.system, record.models)) {
      if (!SameRules(current.system, record.system)) {
        BACKFIRE_RETURN_IF_ERROR(CheckNoOpenUpdate("alpha, margins or required_slices change"));
      }
      record.revision = current.revision;
      record.baseline_update = current.baseline_update;
      record.seed_rule = current.seed_rule;
      NoteRequest(request, absl::StrCat("revisions/", record.revision), change);
      BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
      response.set_revision(record.revision);
      response.set_update(UpdateName(record.baseline_update));
      return response;
    }
    BACKFIRE_RETURN_IF_ERROR(CheckNoOpenUpdate("another system is applied"));
    record.revision = current.revision + 1;
    // What this revision has in common with the one before need not be trained again.
    if (record.system.seed() == current.system.seed()) record.seed_rule = current.seed_rule;
  }
  store::UpdateRecord update = NewUpdate(PlanBaseline(graph, graph.system().replicates()));
  update.update.set_baseline(true);
  update.update.set_system_revision(record.revision);
  update.update.set_replicates(graph.system().replicates());
  record.baseline_update = update.number;
  response.set_revision(record.revision);
  response.set_update(update.update.name());
  change.added.push_back(std::move(update));
  NoteRequest(request, absl::StrCat("revisions/", record.revision), change);
  BACKFIRE_RETURN_IF_ERROR(Commit(std::move(change)));
  return response;
}

absl::Status Engine::CheckNoOpenUpdate(const std::string& before) const {
  for (const auto& [number, update] : contents_.updates) {
    if (!IsOpen(update.update)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(UpdateName(number), " of the current system is still ",
                     v1::Update::State_Name(update.update.state()),
                     "; wait for its end, or cancel it, before ", before));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::GetSystemResponse> Engine::GetSystem() const {
  MutexLock lock(mutex_);
  if (contents_.systems.empty()) return absl::NotFoundError("no system was applied yet");
  const store::SystemRecord& current = contents_.systems.rbegin()->second;
  v1::GetSystemResponse response;
  *response.mutable_system() = current.system;
  response.set_revision(current.revision);
  response.set_baseline_update(UpdateName(current.baseline_update));
  for (const auto& [vertex, model] : current.models) (*response.mutable_models())[vertex] = model;
  return response;
}

}  // namespace backfire::workflow
