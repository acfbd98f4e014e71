#include "orchestrator/store/memory_repository.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/records/update_state.h"
#include "orchestrator/store/row.h"

namespace backfire::store {
namespace {

using records::StepRef;

bool HasWorkLeft(const records::UpdateRecord& record) {
  return records::IsOpen(record.update) ||
         std::any_of(record.steps.begin(), record.steps.end(),
                     [](const auto& step) { return step.step.state() == v1::Step::RUNNING; });
}

bool Passes(const UpdateFilter& filter, const v1::Update& update) {
  const auto& states = filter.states;
  return (states.empty() ||
          std::find(states.begin(), states.end(), update.state()) != states.end()) &&
         (filter.vertex.empty() || filter.vertex == update.vertex()) &&
         (filter.revision == 0 || filter.revision == update.system_revision());
}

absl::Status Changed(const std::string& what) {
  return absl::AbortedError(absl::StrCat(what, " has changed meanwhile"));
}

}  // namespace

void MemoryRepository::FailWrites(absl::Status status) {
  MutexLock lock(mutex_);
  failure_ = std::move(status);
}

int64_t MemoryRepository::writes() const {
  MutexLock lock(mutex_);
  return writes_;
}

absl::Status MemoryRepository::Check(const records::Change& change) const {
  if (!failure_.ok()) return failure_;
  for (const auto& update : change.added) {
    for (const auto& [number, known] : updates_) {
      const std::string& id = known.record.request_id;
      if (!id.empty() && id == update->request_id()) {
        return absl::InternalError(absl::StrCat("request_id ", id, " is taken"));
      }
    }
  }
  for (const auto& [number, changed] : change.updates) {
    const auto known = updates_.find(number);
    if (known == updates_.end() || known->second.record.update.state() != changed.from) {
      return Changed(changed.update.name());
    }
  }
  for (const auto& [ref, changed] : change.steps) {
    const auto known = updates_.find(ref.update);
    if (known == updates_.end() || ref.position >= known->second.record.steps.size()) {
      return absl::InternalError("a step has no update");
    }
  }
  for (const auto& [number, changed] : change.releases) {
    const auto known = releases_.find(number);
    const auto state =
        known == releases_.end() ? v1::Release::STATE_UNSPECIFIED : known->second.release.state();
    if (state != changed.from) return Changed(changed.record.release.name());
  }
  std::set<std::string> ids;
  for (const records::RequestRecord& request : change.requests) {
    if (requests_.count(request.id) > 0 || !ids.insert(request.id).second) {
      return absl::InternalError(absl::StrCat("request_id ", request.id, " is taken"));
    }
  }
  return absl::OkStatus();
}

absl::Status MemoryRepository::Write(const records::Change& change) {
  MutexLock lock(mutex_);
  if (absl::Status status = Check(change); !status.ok()) return status;
  ++writes_;
  if (change.system != nullptr) {
    systems_[change.system->revision] = {change.system->revision, change.system->system(),
                                         change.system->models, change.system->baseline_update,
                                         change.system->seed_rule};
  }
  for (const auto& update : change.added) {
    records::UpdateRecord record;
    record.number = update->number();
    record.request_id = update->request_id();
    record.update = update->update();
    record.base = update->base() == nullptr ? 0 : update->base()->number();
    for (size_t i = 0; i < update->step_count(); ++i) record.steps.push_back(update->step(i));
    updates_[record.number].record = std::move(record);
  }
  for (const auto& [number, changed] : change.updates) {
    Update& kept = updates_.at(number);
    kept.record.update = changed.update;
    if (changed.base != nullptr) kept.record.base = changed.base->number();
    if (changed.test_split.has_value()) kept.test_split = *changed.test_split;
  }
  for (const auto& [ref, changed] : change.steps) {
    updates_.at(ref.update).record.steps[ref.position] = changed.record;
    if (changed.evaluation.has_value()) evaluations_[ref] = *changed.evaluation;
  }
  for (const auto& [number, changed] : change.releases) releases_[number] = changed.record;
  for (const records::RequestRecord& request : change.requests) requests_[request.id] = request;
  events_.insert(events_.end(), change.events.begin(), change.events.end());
  return absl::OkStatus();
}

absl::StatusOr<Beginning> MemoryRepository::ReadBeginning() const {
  MutexLock lock(mutex_);
  Beginning beginning;
  beginning.identity = "memory00";
  for (const auto& [revision, system] : systems_) beginning.systems.push_back(system);
  for (const auto& [number, update] : updates_) {
    beginning.last_update = number;
    if (HasWorkLeft(update.record)) beginning.updates.push_back(update.record);
  }
  for (const auto& [number, release] : releases_) {
    beginning.last_release = number;
    if (release.release.state() != v1::Release::RETIRED) beginning.releases[number] = release;
  }
  return beginning;
}

absl::StatusOr<records::UpdateRecord> MemoryRepository::ReadUpdate(int64_t number) const {
  MutexLock lock(mutex_);
  const auto found = updates_.find(number);
  if (found != updates_.end()) return found->second.record;
  return absl::NotFoundError(absl::StrCat("there is no updates/", number));
}

bool MemoryRepository::AreJudgedAlike(int64_t one, int64_t other) const {
  const auto a = updates_.find(one), b = updates_.find(other);
  return a != updates_.end() && b != updates_.end() && IsJudged(a->second.record.update) &&
         IsJudged(b->second.record.update) && a->second.test_split == b->second.test_split;
}

absl::StatusOr<std::vector<v1::Update>> MemoryRepository::ListUpdates(const UpdateFilter& filter,
                                                                      const Page& page) const {
  MutexLock lock(mutex_);
  std::vector<v1::Update> updates;
  int64_t skip = page.skip, bytes = 0, before = 0;
  for (auto entry = updates_.rbegin(); entry != updates_.rend(); ++entry) {
    if (!Passes(filter, entry->second.record.update)) continue;
    if (filter.judged_with != 0 && !AreJudgedAlike(entry->first, filter.judged_with)) continue;
    if (skip-- > 0) continue;
    if (static_cast<int64_t>(updates.size()) == page.count || before >= page.bytes) break;
    updates.push_back(entry->second.record.update);
    before = bytes;
    bytes += static_cast<int64_t>(updates.back().ByteSizeLong());
  }
  return updates;
}

absl::StatusOr<std::optional<int64_t>> MemoryRepository::FindProposal(
    const std::string& request_id) const {
  MutexLock lock(mutex_);
  for (const auto& [number, update] : updates_) {
    if (!request_id.empty() && update.record.request_id == request_id) return number;
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<int64_t>> MemoryRepository::FindUpdatesWithVersion(
    const std::string& version) const {
  MutexLock lock(mutex_);
  std::vector<int64_t> numbers;
  for (const auto& [number, update] : updates_) {
    const auto& steps = update.record.steps;
    if (std::any_of(steps.begin(), steps.end(), [&](const auto& record) {
          return !version.empty() && TrainedVersion(record.step) == version;
        })) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

absl::StatusOr<int64_t> MemoryRepository::CountJudged(const std::string& test_split,
                                                      int64_t before) const {
  MutexLock lock(mutex_);
  int64_t count = 0;
  for (const auto& [number, update] : updates_) {
    if (number < before && IsJudged(update.record.update) && update.test_split == test_split) {
      ++count;
    }
  }
  return count;
}

absl::StatusOr<std::map<v1::Update::State, int64_t>> MemoryRepository::CountUpdates() const {
  MutexLock lock(mutex_);
  std::map<v1::Update::State, int64_t> counts;
  for (const auto& [number, update] : updates_) ++counts[update.record.update.state()];
  return counts;
}

absl::StatusOr<std::map<v1::Release::State, int64_t>> MemoryRepository::CountReleases() const {
  MutexLock lock(mutex_);
  std::map<v1::Release::State, int64_t> counts;
  for (const auto& [number, release] : releases_) ++counts[release.release.state()];
  return counts;
}

absl::StatusOr<std::optional<v1::Update>> MemoryRepository::ReadLatestVerdict() const {
  MutexLock lock(mutex_);
  std::optional<v1::Update> latest;
  for (const auto& [number, update] : updates_) {
    const v1::Update& message = update.record.update;
    if (!IsJudged(message)) continue;
    if (!latest.has_value() || DecideTime(*latest) < DecideTime(message)) latest = message;
  }
  return latest;
}

absl::StatusOr<std::shared_ptr<const records::Standing>> MemoryRepository::ReadStanding(
    int64_t update) const {
  MutexLock lock(mutex_);
  std::shared_ptr<records::Standing> standing;
  for (int64_t number = update; number != 0;) {
    const auto found = updates_.find(number);
    if (found == updates_.end()) {
      return absl::NotFoundError(absl::StrCat("there is no updates/", number));
    }
    const records::UpdateRecord& record = found->second.record;
    if (standing == nullptr) {
      standing = std::make_shared<records::Standing>(
          number, std::make_shared<const v1::Update>(record.update));
    }
    for (size_t i = 0; i < record.steps.size(); ++i) {
      const v1::Step& step = record.steps[i].step;
      if (!records::Standing::Keeps(step) || !standing->Inherits(number, step.id())) continue;
      standing->Set({number, i}, step);
    }
    number = record.base;
  }
  return standing;
}

absl::StatusOr<v1::Evaluation> MemoryRepository::ReadEvaluation(StepRef step) const {
  MutexLock lock(mutex_);
  const auto found = evaluations_.find(step);
  if (found != evaluations_.end()) return found->second;
  return absl::NotFoundError(
      absl::StrCat("updates/", step.update, ": step ", step.position, " has no evaluation"));
}

absl::StatusOr<records::ReleaseRecord> MemoryRepository::ReadRelease(int64_t number) const {
  MutexLock lock(mutex_);
  const auto found = releases_.find(number);
  if (found != releases_.end()) return found->second;
  return absl::NotFoundError(absl::StrCat("there is no releases/", number));
}

absl::StatusOr<std::vector<v1::Release>> MemoryRepository::ListReleases(const Page& page) const {
  MutexLock lock(mutex_);
  std::vector<v1::Release> releases;
  int64_t skip = page.skip, bytes = 0, before = 0;
  for (auto entry = releases_.rbegin(); entry != releases_.rend(); ++entry) {
    if (skip-- > 0) continue;
    if (static_cast<int64_t>(releases.size()) == page.count || before >= page.bytes) break;
    releases.push_back(entry->second.release);
    before = bytes;
    bytes += static_cast<int64_t>(releases.back().ByteSizeLong());
  }
  return releases;
}

absl::StatusOr<std::optional<records::RequestRecord>> MemoryRepository::FindRequest(
    const std::string& id) const {
  MutexLock lock(mutex_);
  const auto found = requests_.find(id);
  if (found == requests_.end()) return std::nullopt;
  return found->second;
}

absl::StatusOr<std::vector<v1::Event>> MemoryRepository::ListEvents(const EventFilter& filter,
                                                                    const Page& page) const {
  MutexLock lock(mutex_);
  std::vector<v1::Event> events;
  int64_t skip = page.skip, bytes = 0, before = 0;
  for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
    if (Nanoseconds(event->time()) < filter.since) continue;
    if (!filter.subject.empty() && filter.subject != event->subject()) continue;
    if (skip-- > 0) continue;
    if (static_cast<int64_t>(events.size()) == page.count || before >= page.bytes) break;
    events.push_back(*event);
    before = bytes;
    bytes += static_cast<int64_t>(event->ByteSizeLong());
  }
  return events;
}

}  // namespace backfire::store
