#include "orchestrator/workflow/engine.h"

#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine_state.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/records.h"
#include "orchestrator/workflow/system_revision.h"
#include "orchestrator/workflow/version_use.h"
#include "services/base/status.h"

namespace backfire::workflow {

using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::TimeUtil;

Engine::Metrics::Metrics(prometheus::Registry& registry)
    : steps(prometheus::BuildCounter()
                .Name("backfire_steps_total")
                .Help("Steps of updates that ended, by kind and state.")
                .Register(registry)),
      step_seconds(prometheus::BuildHistogram()
                       .Name("backfire_step_seconds")
                       .Help("From a step's start to its end, waiting included.")
                       .Register(registry)),
      updates(prometheus::BuildCounter()
                  .Name("backfire_updates_total")
                  .Help("Updates that reached a state, and verdicts, since the start.")
                  .Register(registry)),
      live_release(prometheus::BuildGauge()
                       .Name("backfire_live_release")
                       .Help("Number of the live release; 0: none.")
                       .Register(registry)
                       .Add({})),
      epoch(prometheus::BuildGauge()
                .Name("backfire_epoch")
                .Help("Epoch of the live release.")
                .Register(registry)
                .Add({})) {}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(const std::string& store_path,
                                                     prometheus::Registry& registry) {
  BACKFIRE_ASSIGN_OR_RETURN(auto store, store::Store::Open(store_path));
  BACKFIRE_ASSIGN_OR_RETURN(store::Contents contents, store->ReadAll());
  for (auto& [number, update] : contents.updates) {
    for (store::StepRecord& record : update.steps) {
      // It was under way when the process ended; its job has the same name again.
      if (record.step.state() == v1::Step::RUNNING) record.step.set_state(v1::Step::WAITING);
    }
  }
  return std::unique_ptr<Engine>(new Engine(std::move(store), std::move(contents), registry));
}

Engine::Engine(std::unique_ptr<store::Store> store, store::Contents contents,
               prometheus::Registry& registry)
    : metrics_(std::make_unique<Metrics>(registry)),
      store_(std::move(store)),
      contents_(std::move(contents)) {
  {
    MutexLock lock(mutex_);
    Changed();
  }
  scheduler_ = std::thread([this] { Schedule(); });
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

bool Engine::WaitForChange(int64_t seen, absl::Duration timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  MutexLock lock(mutex_);
  while (changes_ == seen && !stopping_) {
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

int64_t Engine::LiveRelease() const {
  for (const auto& [number, release] : contents_.releases) {
    if (release.state() == v1::Release::LIVE) return number;
  }
  return 0;
}

absl::StatusOr<store::UpdateRecord*> Engine::FindUpdate(const std::string& name) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, ParseNumber(name, "updates"));
  const auto found = contents_.updates.find(number);
  if (found != contents_.updates.end()) return &found->second;
  return absl::NotFoundError(absl::StrCat("there is no ", name));
}

v1::Update Engine::Show(const store::UpdateRecord& update) const {
  v1::Update shown = update.update;
  for (const store::StepRecord& record : update.steps) *shown.add_steps() = record.step;
  return shown;
}

absl::Status Engine::Commit(const std::vector<store::UpdateRecord>& updates,
                            const std::map<int64_t, v1::Release>& releases,
                            const store::SystemRecord* system) {
  store::Changes changes;
  if (system != nullptr) changes.systems.push_back(system);
  for (const store::UpdateRecord& update : updates) {
    changes.updates.push_back(&update);
    for (size_t i = 0; i < update.steps.size(); ++i) changes.steps.emplace_back(&update, i);
  }
  for (const auto& [number, release] : releases) changes.releases.emplace_back(number, &release);
  BACKFIRE_RETURN_IF_ERROR(store_->Write(changes));
  if (system != nullptr) {
    contents_.systems[system->revision] = *system;
    graphs_.erase(system->revision);
  }
  for (const store::UpdateRecord& update : updates) {
    store::UpdateRecord& kept = contents_.updates[update.number];
    if (kept.update.state() != update.update.state()) {
      spdlog::info("update state={} update={}", v1::Update::State_Name(update.update.state()),
                   update.update.name());
      metrics_->updates.Add({{"state", v1::Update::State_Name(update.update.state())}}).Increment();
    }
    kept = update;
  }
  for (const auto& [number, release] : releases) contents_.releases[number] = release;
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
  store::SystemRecord record;
  record.revision = 1;
  record.system = graph.system();
  record.models = std::move(models);
  if (!contents_.systems.empty()) {
    const store::SystemRecord& current = contents_.systems.rbegin()->second;
    if (SameExperiment(current.system, current.models, record.system, record.models)) {
      record.revision = current.revision;
      record.baseline_update = current.baseline_update;
      BACKFIRE_RETURN_IF_ERROR(Commit({}, {}, &record));
      response.set_revision(record.revision);
      response.set_update(UpdateName(record.baseline_update));
      return response;
    }
    for (const auto& [number, update] : contents_.updates) {
      if (!IsOpen(update.update)) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("updates/", number, " of the current system is still ",
                       v1::Update::State_Name(update.update.state()),
                       "; wait for its end, or cancel it, before another system is applied"));
    }
    record.revision = current.revision + 1;
  }
  store::UpdateRecord update = NewUpdate(PlanBaseline(graph, graph.system().replicates()));
  update.update.set_baseline(true);
  update.update.set_system_revision(record.revision);
  update.update.set_replicates(graph.system().replicates());
  record.baseline_update = update.number;
  BACKFIRE_RETURN_IF_ERROR(Commit({update}, {}, &record));
  response.set_revision(record.revision);
  response.set_update(update.update.name());
  return response;
}

absl::StatusOr<v1::GetSystemResponse> Engine::GetSystem() const {
  MutexLock lock(mutex_);
  if (contents_.systems.empty()) return absl::NotFoundError("no system was applied yet");
  const store::SystemRecord& current = contents_.systems.rbegin()->second;
  v1::GetSystemResponse response;
  *response.mutable_system() = current.system;
  response.set_revision(current.revision);
  response.set_baseline_update(UpdateName(current.baseline_update));
  return response;
}

absl::StatusOr<v1::Update> Engine::ProposeUpdate(const v1::ProposeUpdateRequest& request) {
  if (request.request_id().empty() || request.request_id().size() > 128) {
    return absl::InvalidArgumentError("request_id must have 1 to 128 characters");
  }
  v1::Recipe recipe = request.recipe();
  v1::Version proposed;
  if (!request.version().empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(proposed, ProposedVersion(request));
    recipe = proposed.recipe();
  }
  MutexLock lock(mutex_);
  for (const auto& [number, known] : contents_.updates) {
    if (known.request_id != request.request_id()) continue;
    if (known.update.vertex() == request.vertex() && known.update.version() == request.version() &&
        MessageDifferencer::Equals(known.update.recipe(), recipe)) {
      return Show(known);
    }
    return absl::AlreadyExistsError(absl::StrCat("request_id \"", request.request_id(), "\" names ",
                                                 known.update.name(),
                                                 ", which has other arguments"));
  }
  const int64_t live = LiveRelease();
  if (contents_.systems.empty() || live == 0) {
    return absl::FailedPreconditionError("there is no live release to compare with yet");
  }
  const store::SystemRecord& system = contents_.systems.rbegin()->second;
  const v1::Release& release = contents_.releases.at(live);
  BACKFIRE_ASSIGN_OR_RETURN(const store::UpdateRecord* baseline, FindUpdate(release.update()));
  if (baseline->update.system_revision() != system.revision) {
    return absl::FailedPreconditionError(
        absl::StrCat("the live release belongs to revision ", baseline->update.system_revision(),
                     " of the system; wait for the baseline of revision ", system.revision));
  }
  const graph::SystemGraph& graph = GraphOf(system.revision);
  if (!graph.Has(request.vertex())) {
    std::string known;
    for (const std::string& vertex : graph.order()) absl::StrAppend(&known, " ", vertex);
    return absl::NotFoundError(
        absl::StrCat("there is no vertex \"", request.vertex(), "\"; there are", known));
  }
  if (request.version().empty()) {
    BACKFIRE_RETURN_IF_ERROR(graph::CheckRecipe(system.models.at(request.vertex()), recipe));
  } else {
    BACKFIRE_RETURN_IF_ERROR(
        CheckProposedLineage(proposed, graph, request.vertex(), baseline->number));
  }
  const int replicates =
      request.replicates() == 0 ? baseline->update.replicates() : request.replicates();
  if (replicates < 1 || replicates > baseline->update.replicates()) {
    return absl::InvalidArgumentError(
        absl::StrCat("replicates must be in [1, ", baseline->update.replicates(),
                     "], the baseline's: got ", request.replicates()));
  }
  std::set<std::string> transforms;
  for (const auto& [vertex, model] : system.models) {
    if (model.kind() == v1::Model::TRANSFORM) transforms.insert(vertex);
  }
  const bool servable = !graph::IsUnservable(system.models.at(request.vertex()), recipe);
  store::UpdateRecord update =
      NewUpdate(PlanUpdate(graph, request.vertex(), transforms, replicates, servable));
  if (!request.version().empty()) TakeProposedVersion(request.vertex(), proposed, update);
  update.request_id = request.request_id();
  update.update.set_vertex(request.vertex());
  *update.update.mutable_recipe() = recipe;
  update.update.set_version(request.version());
  update.update.set_system_revision(system.revision);
  update.update.set_baseline_release(release.name());
  update.update.set_replicates(replicates);
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Sensitivity> sensitivities,
                            BuildSensitivities(contents_, graph, update));
  for (const v1::Sensitivity& sensitivity : sensitivities) {
    *update.update.add_sensitivities() = sensitivity;
  }
  BACKFIRE_RETURN_IF_ERROR(Commit({update}, {}, nullptr));
  return Show(update);
}

absl::StatusOr<v1::Update> Engine::GetUpdate(const std::string& name) const {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, ParseNumber(name, "updates"));
  MutexLock lock(mutex_);
  const auto found = contents_.updates.find(number);
  if (found == contents_.updates.end()) {
    return absl::NotFoundError(absl::StrCat("there is no ", name));
  }
  return Show(found->second);
}

std::vector<v1::Update> Engine::ListUpdates() const {
  MutexLock lock(mutex_);
  std::vector<v1::Update> updates;
  for (auto record = contents_.updates.rbegin(); record != contents_.updates.rend(); ++record) {
    updates.push_back(record->second.update);
  }
  return updates;
}

absl::StatusOr<v1::Update> Engine::CancelUpdate(const std::string& name) {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(store::UpdateRecord * found, FindUpdate(name));
  if (found->update.state() == v1::Update::CANCELLED) return Show(*found);
  if (!IsOpen(found->update)) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " is ", v1::Update::State_Name(found->update.state()),
                     ": only an open update can ", "be cancelled"));
  }
  store::UpdateRecord update = *found;
  update.update.set_state(v1::Update::CANCELLED);
  *update.update.mutable_end_time() = TimeUtil::GetCurrentTime();
  for (store::StepRecord& record : update.steps) {
    if (record.step.state() == v1::Step::WAITING) record.step.set_state(v1::Step::CANCELLED);
  }
  BACKFIRE_RETURN_IF_ERROR(Commit({update}, {}, nullptr));
  for (auto& [key, running] : running_) {
    if (key.first == update.number) running->cancel = true;
  }
  return Show(*found);
}

absl::StatusOr<v1::Update> Engine::RetryUpdate(const std::string& name) {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(store::UpdateRecord * found, FindUpdate(name));
  if (found->update.state() != v1::Update::FAILED) {
    return absl::FailedPreconditionError(absl::StrCat(name, " is ",
                                                      v1::Update::State_Name(found->update.state()),
                                                      ": only a FAILED update can ", "be retried"));
  }
  store::UpdateRecord update = *found;
  update.update.set_state(v1::Update::PROPOSED);
  update.update.clear_error_message();
  update.update.clear_end_time();
  const bool none_failed = std::none_of(
      update.steps.begin(), update.steps.end(),
      [](const store::StepRecord& record) { return record.step.state() == v1::Step::FAILED; });
  // What failed then is what follows the last step; it is done again, and so is what follows.
  if (none_failed) update.steps.back().step.set_state(v1::Step::FAILED);
  for (store::StepRecord& record : update.steps) {
    if (record.step.state() != v1::Step::FAILED) continue;
    record.step.set_state(v1::Step::WAITING);
    record.step.clear_error_code();
    record.step.clear_error_message();
    // The failed job keeps its name for ever.
    ++record.attempt;
  }
  BACKFIRE_RETURN_IF_ERROR(Commit({update}, {}, nullptr));
  return Show(*found);
}

std::map<int64_t, v1::Release> Engine::WithLive(int64_t number, const std::string& reason,
                                                std::map<int64_t, v1::Release> releases) const {
  int64_t epoch = 0;
  for (const auto& [other, release] : contents_.releases) {
    epoch = std::max(epoch, release.epoch());
    if (release.state() != v1::Release::LIVE || other == number) continue;
    v1::Release& retired = releases.emplace(other, release).first->second;
    retired.set_state(v1::Release::RETIRED);
  }
  if (releases.count(number) == 0) releases[number] = contents_.releases.at(number);
  releases[number].set_state(v1::Release::LIVE);
  releases[number].set_reason(reason);
  releases[number].set_epoch(epoch + 1);
  return releases;
}

absl::StatusOr<v1::Release> Engine::PromoteUpdate(const v1::PromoteUpdateRequest& request) {
  MutexLock lock(mutex_);
  BACKFIRE_ASSIGN_OR_RETURN(store::UpdateRecord * found, FindUpdate(request.name()));
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number,
                            found->update.release().empty()
                                ? absl::StatusOr<int64_t>(0)
                                : ParseNumber(found->update.release(), "releases"));
  if (found->update.state() == v1::Update::PROMOTED && number == LiveRelease()) {
    return contents_.releases.at(number);
  }
  if (found->update.state() != v1::Update::DECIDED) {
    return absl::FailedPreconditionError(absl::StrCat(request.name(), " is ",
                                                      v1::Update::State_Name(found->update.state()),
                                                      ": only a DECIDED update can be promoted"));
  }
  if (number == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " has no release: recipe \"", found->update.recipe().name(),
                     "\" of ", found->update.vertex(), " can be evaluated, not served"));
  }
  if (found->update.baseline_release() != ReleaseName(LiveRelease())) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was compared with ", found->update.baseline_release(),
                     ", and ", ReleaseName(LiveRelease()), " is live now: propose it again"));
  }
  const v1::Verdict::Outcome outcome = found->update.verdict().outcome();
  if (outcome != v1::Verdict::SAFE && !request.override()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the verdict of ", request.name(), " is ", v1::Verdict::Outcome_Name(outcome),
                     ": promoting it needs an override, with a reason"));
  }
  if (request.override() && request.reason().empty()) {
    return absl::InvalidArgumentError("reason must not be empty with override");
  }
  std::vector<store::UpdateRecord> updates = {*found};
  updates[0].update.set_state(v1::Update::PROMOTED);
  for (const auto& [other, update] : contents_.updates) {
    if (other == found->number || update.update.state() != v1::Update::DECIDED) continue;
    updates.push_back(update);
    updates.back().update.set_state(v1::Update::REJECTED);
  }
  const std::string reason =
      request.reason().empty()
          ? absl::StrCat("verdict of ", request.name(), ": ", v1::Verdict::Outcome_Name(outcome))
          : request.reason();
  std::map<int64_t, v1::Release> releases = WithLive(number, reason, {});
  for (size_t i = 1; i < updates.size(); ++i) {
    if (updates[i].update.release().empty()) continue;
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t rejected,
                              ParseNumber(updates[i].update.release(), "releases"));
    releases[rejected] = contents_.releases.at(rejected);
    releases[rejected].set_state(v1::Release::RETIRED);
  }
  BACKFIRE_RETURN_IF_ERROR(Commit(updates, releases, nullptr));
  return contents_.releases.at(number);
}

absl::StatusOr<v1::Release> Engine::RollbackRelease(const v1::RollbackReleaseRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t number, ParseNumber(request.name(), "releases"));
  MutexLock lock(mutex_);
  const auto found = contents_.releases.find(number);
  if (found == contents_.releases.end()) {
    return absl::NotFoundError(absl::StrCat("there is no ", request.name()));
  }
  if (found->second.state() == v1::Release::LIVE) return found->second;
  if (found->second.epoch() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(request.name(), " was never live: promote its update instead"));
  }
  BACKFIRE_RETURN_IF_ERROR(Commit({}, WithLive(number, request.reason(), {}), nullptr));
  return contents_.releases.at(number);
}

std::vector<v1::Release> Engine::ListReleases() const {
  MutexLock lock(mutex_);
  std::vector<v1::Release> releases;
  for (auto release = contents_.releases.rbegin(); release != contents_.releases.rend();
       ++release) {
    releases.push_back(release->second);
  }
  return releases;
}

v1::ReleaseSnapshot Engine::Snapshot() const {
  MutexLock lock(mutex_);
  v1::ReleaseSnapshot snapshot;
  if (contents_.systems.empty()) return snapshot;
  // Until another revision has a release, the old one's is served, on the old one's graph.
  const auto revision_of = [&](const v1::Release& release) -> int64_t {
    const auto number = ParseNumber(release.update(), "updates");
    return number.ok() ? contents_.updates.at(*number).update.system_revision() : 0;
  };
  const int64_t live = LiveRelease();
  const int64_t revision =
      live == 0 ? contents_.systems.rbegin()->first : revision_of(contents_.releases.at(live));
  const store::SystemRecord& system = contents_.systems.at(revision);
  *snapshot.mutable_system() = system.system;
  for (const auto& [vertex, model] : system.models) (*snapshot.mutable_models())[vertex] = model;
  for (const auto& [number, release] : contents_.releases) {
    if (release.state() == v1::Release::PREPARING || revision_of(release) != revision) continue;
    *snapshot.add_releases() = release;
  }
  snapshot.set_live(live);
  if (live != 0) snapshot.set_epoch(contents_.releases.at(live).epoch());
  return snapshot;
}

}  // namespace backfire::workflow
