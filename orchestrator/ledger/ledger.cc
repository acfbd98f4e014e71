#include "orchestrator/ledger/ledger.h"

#include <map>
#include <utility>

#include "orchestrator/planning/step_plan.h"
#include "orchestrator/planning/timestamp.h"
#include "orchestrator/records/events.h"
#include "orchestrator/records/resource_name.h"
#include "services/base/status.h"

namespace backfire::ledger {
namespace {

using StandingPointer = std::shared_ptr<const records::Standing>;

// What updates stand on, each read once.
class Standings {
 public:
  explicit Standings(const store::Repository& repository) : repository_(repository) {}

  // Null for 0.
  absl::StatusOr<StandingPointer> Of(int64_t update) {
    if (update == 0) return nullptr;
    StandingPointer& standing = standings_[update];
    if (standing == nullptr) {
      BACKFIRE_ASSIGN_OR_RETURN(standing, repository_.ReadStanding(update));
    }
    return standing;
  }

 private:
  const store::Repository& repository_;
  std::map<int64_t, StandingPointer> standings_;
};

absl::StatusOr<records::State> ReadState(const store::Repository& repository) {
  BACKFIRE_ASSIGN_OR_RETURN(store::Beginning beginning, repository.ReadBeginning());
  records::Change change;  // All of it, as if it happened now.
  records::State state;
  state.identity = beginning.identity;
  const auto systems = std::make_shared<records::State::Systems>();
  for (const records::SystemRecord& record : beginning.systems) {
    BACKFIRE_ASSIGN_OR_RETURN((*systems)[record.revision], records::MakeSystemRevision(record));
  }
  state.systems = systems;
  Standings standings(repository);
  for (records::UpdateRecord& record : beginning.updates) {
    BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                              state.FindSystem(record.update.system_revision()));
    BACKFIRE_ASSIGN_OR_RETURN(StandingPointer base, standings.Of(record.base));
    change.reopened.push_back(
        planning::OpenUpdate(std::move(record), system->graph, std::move(base)));
  }
  for (auto& [number, record] : beginning.releases) {
    if (record.release.state() == v1::Release::LIVE) {
      BACKFIRE_ASSIGN_OR_RETURN(const int64_t update,
                                records::ParseNumber(record.release.update(), "updates"));
      BACKFIRE_ASSIGN_OR_RETURN(change.live_standing, standings.Of(update));
    }
    change.releases[number] = {record.release.state(), std::move(record)};
  }
  state = records::Apply(state, change);
  state.last_update = beginning.last_update;
  state.last_release = beginning.last_release;
  return state;
}

}  // namespace

Ledger::Ledger(store::Repository& repository, const Clock& clock, records::State state)
    : repository_(repository),
      clock_(clock),
      state_(std::make_shared<const records::State>(std::move(state))) {}

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(store::Repository& repository,
                                                     const Clock& clock) {
  BACKFIRE_ASSIGN_OR_RETURN(records::State state, ReadState(repository));
  return std::unique_ptr<Ledger>(new Ledger(repository, clock, std::move(state)));
}

Ledger::StatePointer Ledger::state() const {
  MutexLock lock(reading_);
  return state_;
}

void Ledger::Observe(Observer observer) {
  MutexLock lock(writing_);
  observers_.push_back(std::move(observer));
}

absl::StatusOr<Ledger::StatePointer> Ledger::Commit(const Decide& decide,
                                                    const std::function<void()>& written) {
  MutexLock lock(writing_);
  const StatePointer before = state();
  BACKFIRE_ASSIGN_OR_RETURN(records::Change change, decide(*before));
  if (change.empty()) return before;
  BACKFIRE_RETURN_IF_ERROR(records::Check(*before, change));
  for (v1::Event& event : records::EventsOf(*before, change)) {
    change.events.push_back(std::move(event));
  }
  const google::protobuf::Timestamp now = planning::ToTimestamp(clock_.Now());
  for (v1::Event& event : change.events) *event.mutable_time() = now;
  auto after = std::make_shared<const records::State>(records::Apply(*before, change));
  BACKFIRE_RETURN_IF_ERROR(repository_.Write(change));
  if (written) written();
  {
    MutexLock reader(reading_);
    state_ = after;
  }
  for (const Observer& observer : observers_) observer({change, *before, *after});
  if (change.system != nullptr || !change.releases.empty()) release_changes_.Notify();
  changes_.Notify();
  return after;
}

void Ledger::Stop() {
  changes_.Stop();
  release_changes_.Stop();
}

}  // namespace backfire::ledger
