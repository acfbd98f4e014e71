#include "orchestrator/records/transitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace backfire::records {
namespace {

using ::testing::HasSubstr;
using v1::Release;
using v1::Step;
using v1::Update;

// All states that can be reached, in any number of transitions.
template <typename State>
std::set<State> ReachableFrom(State start, State last) {
  std::set<State> reached = {start};
  for (bool grew = true; grew;) {
    grew = false;
    for (const State from : std::set<State>(reached)) {
      for (int to = 1; to <= last; ++to) {
        if (IsLegal(from, static_cast<State>(to))) {
          grew = reached.insert(static_cast<State>(to)).second || grew;
        }
      }
    }
  }
  return reached;
}

TEST(TransitionsTest, UpdatesGoThroughTheStagesInOrder) {
  const Update::State stages[] = {
      Update::PROPOSED,   Update::TRAINING_CANDIDATE, Update::EVALUATING_CANDIDATE,
      Update::RETRAINING, Update::EVALUATING,         Update::DECIDED,
      Update::PROMOTED};
  for (size_t i = 0; i + 1 < std::size(stages); ++i) {
    EXPECT_TRUE(IsLegal(stages[i], stages[i + 1])) << stages[i];
    for (size_t j = 0; j < i; ++j) {
      // Work begins anew only where all was evaluated, for another planned look; never the waiting.
      const bool another_look =
          stages[j] != Update::PROPOSED &&
          (stages[i] == Update::EVALUATING || stages[i] == Update::EVALUATING_CANDIDATE);
      EXPECT_EQ(IsLegal(stages[i], stages[j]), another_look) << stages[i] << " " << stages[j];
    }
  }
  EXPECT_FALSE(IsLegal(Update::PROPOSED, Update::DECIDED));
  EXPECT_FALSE(IsLegal(Update::RETRAINING, Update::DECIDED));
}

TEST(TransitionsTest, EndsAreEnds) {
  for (const Update::State end : {Update::PROMOTED, Update::REJECTED, Update::CANCELLED}) {
    EXPECT_EQ(ReachableFrom(end, Update::CANCELLED).size(), 1u) << end;
  }
  EXPECT_EQ(ReachableFrom(Step::CANCELLED, Step::CANCELLED).size(), 1u);
  // Only a retry leaves FAILED, or giving it up.
  for (int to = 1; to <= Update::CANCELLED; ++to) {
    const bool legal = IsLegal(Update::FAILED, static_cast<Update::State>(to));
    EXPECT_EQ(legal, to == Update::PROPOSED || to == Update::FAILED || to == Update::CANCELLED)
        << to;
  }
}

TEST(TransitionsTest, EveryStateIsReached) {
  EXPECT_EQ(ReachableFrom(Update::STATE_UNSPECIFIED, Update::CANCELLED).size(),
            static_cast<size_t>(Update::State_descriptor()->value_count()));
  EXPECT_EQ(ReachableFrom(Step::STATE_UNSPECIFIED, Step::CANCELLED).size(),
            static_cast<size_t>(Step::State_descriptor()->value_count()));
  EXPECT_EQ(ReachableFrom(Release::STATE_UNSPECIFIED, Release::State_MAX).size(),
            static_cast<size_t>(Release::State_descriptor()->value_count()));
}

TEST(TransitionsTest, AFaultSaysWhoseAndWhat) {
  EXPECT_TRUE(CheckTransition("updates/3", Update::PROPOSED, Update::PROPOSED).ok());
  const absl::Status status = CheckTransition("updates/3", Update::CANCELLED, Update::PROPOSED);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("updates/3"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("CANCELLED to PROPOSED"));
}

}  // namespace
}  // namespace backfire::records
