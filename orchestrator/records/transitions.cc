#include "orchestrator/records/transitions.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire::records {
namespace {

using v1::Release;
using v1::Step;
using v1::Update;

constexpr std::pair<Update::State, Update::State> kUpdates[] = {
    {Update::STATE_UNSPECIFIED, Update::PROPOSED},
    // It begins; after a retry, where it had stopped.
    {Update::PROPOSED, Update::TRAINING_CANDIDATE},
    {Update::PROPOSED, Update::EVALUATING_CANDIDATE},
    {Update::PROPOSED, Update::RETRAINING},
    {Update::PROPOSED, Update::EVALUATING},
    // Stages follow one another; one without steps is skipped.
    {Update::TRAINING_CANDIDATE, Update::EVALUATING_CANDIDATE},
    {Update::TRAINING_CANDIDATE, Update::RETRAINING},
    {Update::TRAINING_CANDIDATE, Update::EVALUATING},
    {Update::EVALUATING_CANDIDATE, Update::RETRAINING},
    {Update::EVALUATING_CANDIDATE, Update::EVALUATING},
    {Update::RETRAINING, Update::EVALUATING},
    // The evidence did not say, and another look was planned.
    {Update::EVALUATING, Update::TRAINING_CANDIDATE},
    {Update::EVALUATING, Update::EVALUATING_CANDIDATE},
    {Update::EVALUATING, Update::RETRAINING},
    {Update::EVALUATING_CANDIDATE, Update::TRAINING_CANDIDATE},
    {Update::EVALUATING, Update::DECIDED},
    {Update::EVALUATING_CANDIDATE, Update::DECIDED},  // Nothing follows, and nothing is loaded.
    {Update::EVALUATING, Update::PROMOTED},           // A baseline has no verdict.
    {Update::DECIDED, Update::PROMOTED},
    {Update::DECIDED, Update::REJECTED},
    {Update::PROPOSED,
     Update::REJECTED},  // It waited, and what it would be compared with has gone.
    {Update::PROPOSED, Update::FAILED},
    {Update::TRAINING_CANDIDATE, Update::FAILED},
    {Update::EVALUATING_CANDIDATE, Update::FAILED},
    {Update::RETRAINING, Update::FAILED},
    {Update::EVALUATING, Update::FAILED},
    {Update::PROPOSED, Update::CANCELLED},
    {Update::TRAINING_CANDIDATE, Update::CANCELLED},
    {Update::EVALUATING_CANDIDATE, Update::CANCELLED},
    {Update::RETRAINING, Update::CANCELLED},
    {Update::EVALUATING, Update::CANCELLED},
    {Update::FAILED, Update::PROPOSED},   // Retried.
    {Update::FAILED, Update::CANCELLED},  // Given up.
};

constexpr std::pair<Step::State, Step::State> kSteps[] = {
    {Step::STATE_UNSPECIFIED, Step::WAITING},
    {Step::WAITING, Step::RUNNING},
    {Step::RUNNING, Step::SUCCEEDED},
    {Step::RUNNING, Step::FAILED},
    {Step::RUNNING, Step::CANCELLED},
    {Step::RUNNING, Step::WAITING},  // Begun anew, after its update was retried.
    {Step::WAITING, Step::CANCELLED},
    {Step::FAILED, Step::WAITING},     // Retried.
    {Step::SUCCEEDED, Step::WAITING},  // Done again, because what had to follow it failed.
};

constexpr std::pair<Release::State, Release::State> kReleases[] = {
    {Release::STATE_UNSPECIFIED, Release::PREPARING},
    {Release::STATE_UNSPECIFIED, Release::STAGED},  // Of versions that are all loaded already.
    {Release::PREPARING, Release::STAGED},
    {Release::PREPARING, Release::LIVE},
    {Release::STAGED, Release::LIVE},
    {Release::LIVE, Release::DRAINING},
    {Release::STAGED, Release::DRAINING},
    {Release::PREPARING,
     Release::DRAINING},                 // Its update came to nothing, or a rollback to it did.
    {Release::DRAINING, Release::LIVE},  // Rolled back to while it was still loaded.
    {Release::DRAINING, Release::RETIRED},
    {Release::RETIRED, Release::PREPARING},  // Rolled back to.
};

template <typename State, size_t n>
bool Contains(const std::pair<State, State> (&table)[n], State from, State to) {
  return from == to || std::find(table, table + n, std::make_pair(from, to)) != table + n;
}

std::string Name(Update::State state) { return Update::State_Name(state); }
std::string Name(Step::State state) { return Step::State_Name(state); }
std::string Name(Release::State state) { return Release::State_Name(state); }

}  // namespace

bool IsLegal(Update::State from, Update::State to) { return Contains(kUpdates, from, to); }
bool IsLegal(Step::State from, Step::State to) { return Contains(kSteps, from, to); }
bool IsLegal(Release::State from, Release::State to) { return Contains(kReleases, from, to); }

template <typename State>
absl::Status CheckTransition(const std::string& what, State from, State to) {
  if (IsLegal(from, to)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, " can't go from ", Name(from), " to ", Name(to)));
}

template absl::Status CheckTransition(const std::string&, Update::State, Update::State);
template absl::Status CheckTransition(const std::string&, Step::State, Step::State);
template absl::Status CheckTransition(const std::string&, Release::State, Release::State);

}  // namespace backfire::records
