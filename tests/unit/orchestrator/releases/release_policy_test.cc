#include "orchestrator/releases/release_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/record_kit.h"

namespace backfire::releases {
namespace {

using records::State;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using v1::Release;

State WithRelease(const State& state, int64_t number, Release::State is, int64_t epoch = 0) {
  records::Change change;
  change.releases[number].record = testing::SmallRelease(number, is, epoch);
  change.releases[number].record.release.set_drain_epoch(epoch);
  if (is == Release::LIVE) change.live_standing = state.live_standing;
  return records::Apply(state, change);
}

// A live release 1, and a release 2 in each state.
struct RetireCase {
  std::string name;
  Release::State state;
  bool wanted, postponed;
  int64_t beyond;  // Gateways serve this epoch.
  bool overdue;
  bool retires;
};

class NextToRetireTest : public ::testing::TestWithParam<RetireCase> {};

TEST_P(NextToRetireTest, IsDrainedUnwantedAndServedByNobody) {
  const RetireCase& row = GetParam();
  const State state = WithRelease(testing::LiveState(), 2, row.state, 3);
  const Circumstances circumstances{
      [&](int64_t) { return row.wanted; }, [&](int64_t) { return row.postponed; },
      [&](int64_t epoch) { return row.beyond >= epoch; }, [&](int64_t) { return row.overdue; }};
  EXPECT_EQ(NextToRetire(state, circumstances), row.retires ? 2 : 0);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NextToRetireTest,
    ::testing::Values(RetireCase{"Drained", Release::DRAINING, false, false, 3, false, true},
                      RetireCase{"StillServed", Release::DRAINING, false, false, 2, false, false},
                      RetireCase{"ServedForTooLong", Release::DRAINING, false, false, 2, true,
                                 true},
                      RetireCase{"Wanted", Release::DRAINING, true, false, 3, true, false},
                      RetireCase{"Postponed", Release::DRAINING, false, true, 3, true, false},
                      RetireCase{"Staged", Release::STAGED, false, false, 3, true, false},
                      RetireCase{"Preparing", Release::PREPARING, false, false, 3, true, false}),
    [](const auto& info) { return info.param.name; });

TEST(NeededVersionsTest, AreThoseOfAllReleasesThatAreNotRetired) {
  State state = testing::LiveState();
  EXPECT_THAT(NeededVersions(state, 0),
              UnorderedElementsAre(ServedVersion("host-a:1", "models/ma/versions/100"),
                                   ServedVersion("host-b:1", "models/mb/versions/100"),
                                   ServedVersion("host-c:1", "models/mc/versions/100")));
  EXPECT_THAT(NeededVersions(state, 1), IsEmpty());
  for (const auto is : {Release::PREPARING, Release::STAGED, Release::DRAINING}) {
    const State more = WithRelease(state, 2, is);
    EXPECT_THAT(NeededVersions(more, 1),
                Contains(ServedVersion("host-a:1", "models/ma/versions/200")));
  }
  state = WithRelease(state, 2, Release::RETIRED);
  EXPECT_THAT(NeededVersions(state, 0),
              Not(Contains(ServedVersion("host-a:1", "models/ma/versions/200"))));
}

TEST(ChangedVerticesTest, AreThoseThatTheLiveReleaseServesOtherwise) {
  const State live = testing::LiveState();
  EXPECT_THAT(ChangedVertices(live, 1), IsEmpty());
  EXPECT_THAT(ChangedVertices(live, 7), IsEmpty()) << "there is none";
  const auto with = [&](const std::function<void(v1::Release&)>& edit) {
    records::Change change;
    records::ReleaseRecord& record = change.releases[2].record;
    record = *live.FindRelease(1);
    record.release.set_name("releases/2");
    record.release.set_state(Release::STAGED);
    edit(record.release);
    return records::Apply(live, change);
  };
  EXPECT_THAT(ChangedVertices(with([](v1::Release&) {}), 2), IsEmpty());
  EXPECT_THAT(ChangedVertices(with([](v1::Release& release) {
                                (*release.mutable_versions())["b"] = "models/mb/versions/7";
                              }),
                              2),
              UnorderedElementsAre("b"));
  EXPECT_THAT(ChangedVertices(with([](v1::Release& release) {
                                (*release.mutable_digests())["c"] = "other weights";
                              }),
                              2),
              UnorderedElementsAre("c"));
  // With replicas that the live one does not have.
  records::Change moved;
  v1::System system = testing::SmallSystem();
  system.mutable_vertices(0)->add_replicas("near-a:1");
  moved.system = *records::MakeSystemRevision({2, system, {}, 1});
  moved.releases[2].record = *live.FindRelease(1);
  moved.releases[2].record.release.set_state(Release::STAGED);
  moved.releases[2].record.revision = 2;
  EXPECT_THAT(ChangedVertices(records::Apply(live, moved), 2), UnorderedElementsAre("a"));
}

TEST(VersionsOfReplicasTest, AreWhatIsLiveOrStaged) {
  v1::System system = testing::SmallSystem();
  system.mutable_vertices(0)->add_replicas("near-a:1");
  records::Change change;
  change.system = *records::MakeSystemRevision({1, system, {}, 1});
  State state = records::Apply(testing::LiveState(), change);
  state = WithRelease(state, 2, Release::STAGED);
  state = WithRelease(state, 3, Release::DRAINING);
  records::Change digested;
  digested.releases[2].from = Release::STAGED;
  digested.releases[2].record = *state.FindRelease(2);
  (*digested.releases[2].record.release.mutable_digests())["a"] = "digest of a";
  state = records::Apply(state, digested);
  const auto wanted = VersionsOfReplicas(state);
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_THAT(wanted.at("near-a:1"),
              UnorderedElementsAre(Pair("models/ma/versions/100", ""),
                                   Pair("models/ma/versions/200", "digest of a")));
  EXPECT_THAT(VersionsOf(state, 1), Contains(ServedVersion("near-a:1", "models/ma/versions/100")));
}

TEST(HindersRetirementTest, WhatIsGoneOrAwayForGoodHindersNothing) {
  const absl::Status away = absl::UnavailableError(""), broken = absl::InternalError("");
  EXPECT_FALSE(HindersRetirement(absl::OkStatus(), false));
  EXPECT_FALSE(HindersRetirement(absl::NotFoundError(""), false));
  EXPECT_FALSE(HindersRetirement(absl::UnimplementedError(""), false));
  EXPECT_TRUE(HindersRetirement(away, /*is_replica=*/false));
  EXPECT_FALSE(HindersRetirement(away, /*is_replica=*/true));
  EXPECT_TRUE(HindersRetirement(broken, /*is_replica=*/true));
}

TEST(RetireTest, OnlyWhatDrains) {
  const State state = WithRelease(testing::LiveState(), 2, Release::DRAINING, 3);
  const auto change = Retire(state, 2);
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(change->releases.at(2).record.release.state(), Release::RETIRED);
  EXPECT_EQ(change->releases.at(2).record.release.drain_epoch(), 0);
  EXPECT_TRUE(absl::IsAborted(Retire(state, 1).status()));
  EXPECT_TRUE(absl::IsAborted(Retire(state, 7).status()));
}

TEST(LetGoTest, APreparationThatNobodyWantsAnyMoreDrains) {
  const State preparing = WithRelease(testing::LiveState(), 2, Release::PREPARING);
  const auto dropped = LetGo(preparing, 2, v1::Update::PROMOTED);
  EXPECT_EQ(dropped.releases.at(2).record.release.state(), Release::DRAINING);
  EXPECT_EQ(dropped.releases.at(2).record.release.drain_epoch(), 1);
  // An update's own preparation goes on, or may be tried again.
  EXPECT_TRUE(LetGo(preparing, 2, v1::Update::EVALUATING).empty());
  EXPECT_TRUE(LetGo(preparing, 2, v1::Update::FAILED).empty());
  EXPECT_TRUE(LetGo(preparing, 1, v1::Update::PROMOTED).empty()) << "it is live";
  EXPECT_TRUE(LetGo(preparing, 7, v1::Update::PROMOTED).empty());
}

}  // namespace
}  // namespace backfire::releases
