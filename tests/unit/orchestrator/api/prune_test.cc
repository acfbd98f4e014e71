// What retention lets go, and what it must never touch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/support/control_plane_fixture.h"

namespace backfire::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PruneTest : public testing::ControlPlaneFixture {
 protected:
  void SetUp() override {
    StartPlane();
    ApplyBaseline();
    // No gateway holds anything: the lease of those that this process can't know has run out.
    clock_.Advance(absl::Minutes(1));
  }
  std::string Decide(const std::string& id, const std::string& vertex, double offset) {
    const std::string name = Propose(id, vertex, offset);
    AwaitState(name, v1::Update::DECIDED);
    return name;
  }
  absl::StatusOr<v1::PruneUpdatesResponse> Prune(int keep_updates, bool dry_run = false,
                                                 absl::Duration keep_for = absl::ZeroDuration()) {
    v1::PruneUpdatesRequest request;
    request.set_dry_run(dry_run);
    request.set_actor("ada");
    request.mutable_retention()->set_keep_updates(keep_updates);
    if (keep_for > absl::ZeroDuration()) {
      request.mutable_retention()->mutable_keep_for()->set_seconds(absl::ToInt64Seconds(keep_for));
    }
    return Call(&Service::PruneUpdates, request);
  }
  static std::vector<std::string> Versions(const v1::PruneUpdatesResponse& response) {
    return {response.versions().begin(), response.versions().end()};
  }
  // Versions that an update trained.
  std::vector<std::string> MadeBy(const std::string& name) {
    std::vector<std::string> versions;
    const v1::Update update = Get(name);
    for (const v1::Step& step : update.steps()) {
      if (step.kind() == v1::Step::TRAIN) versions.push_back(step.version().name());
    }
    return versions;
  }
  std::vector<std::string> Deleted() const {
    std::vector<std::string> deleted;
    for (const std::string& call : services_.calls()) {
      if (absl::StartsWith(call, "delete ")) deleted.push_back(call.substr(call.rfind(' ') + 1));
    }
    return deleted;
  }
};

TEST_F(PruneTest, ADryRunSaysWhatWouldGoAndChangesNothing) {
  const std::string first = Decide("1", "a", -0.1);
  const std::string second = Decide("2", "a", -0.2);
  const auto would = Prune(1, /*dry_run=*/true);
  ASSERT_TRUE(would.ok()) << would.status();
  EXPECT_THAT(would->releases(), ElementsAre(Get(first).release()));
  const std::vector<std::string> made = MadeBy(first);
  EXPECT_THAT(Versions(*would), ::testing::UnorderedElementsAreArray(made));
  EXPECT_EQ(would->bytes(), 1000 * static_cast<int64_t>(made.size()));
  EXPECT_EQ(Get(first).state(), v1::Update::DECIDED);
  EXPECT_THAT(Deleted(), IsEmpty());
}

TEST_F(PruneTest, LetsGoOfAllButTheNewestAndDeletesChildrenFirst) {
  const std::string first = Decide("1", "a", -0.1);
  const std::string second = Decide("2", "a", -0.2);
  const std::string third = Decide("3", "a", -0.3);
  const auto would = Prune(1, /*dry_run=*/true);
  ASSERT_TRUE(would.ok()) << would.status();
  const auto done = Prune(1);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(Versions(*done), Versions(*would)) << "a dry run tells the truth";
  EXPECT_EQ(Deleted(), Versions(*done));
  EXPECT_EQ(Deleted().size(), 8u) << "a and b, two replicates, two updates";
  const std::vector<std::string> deleted = Deleted();
  EXPECT_TRUE(std::is_partitioned(deleted.begin(), deleted.end(), [](const std::string& name) {
    return absl::StartsWith(name, "models/mb/");
  })) << "b is fed by a";
  for (const std::string& name : {first, second}) {
    const v1::Update update = Get(name);
    EXPECT_EQ(update.state(), v1::Update::REJECTED);
    EXPECT_EQ(update.end_actor(), "ada");
    EXPECT_EQ(update.end_reason(), "retention keeps the newest 1");
    EXPECT_EQ(GetRelease(update.release()).state(), v1::Release::RETIRED);
  }
  EXPECT_EQ(Get(third).state(), v1::Update::DECIDED);
  EXPECT_TRUE(Promote(third).ok()) << "all that it needs is there";
  EXPECT_TRUE(Rollback("releases/1").ok());
  const auto again = Prune(1);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->versions(), IsEmpty());
}

TEST_F(PruneTest, WhatWasPromotedStaysHoweverOldItIs) {
  const std::string promoted = Decide("1", "a", -0.1);
  ASSERT_TRUE(Promote(promoted).ok());
  const std::string turned_down = Decide("2", "b", -0.2);
  ASSERT_TRUE(Cancel(turned_down).ok());
  ASSERT_TRUE(Rollback("releases/1").ok());
  clock_.Advance(absl::Hours(24 * 400));
  const auto done = Prune(0, false, absl::Hours(24));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_THAT(Versions(*done), ::testing::UnorderedElementsAreArray(MadeBy(turned_down)));
  EXPECT_TRUE(Rollback(Get(promoted).release()).ok());
}

TEST_F(PruneTest, AnUpdateGoesOnlyIfItIsBeyondBothLimits) {
  Decide("1", "a", -0.1);
  clock_.Advance(absl::Hours(48));
  Decide("2", "a", -0.2);
  Decide("3", "a", -0.3);
  EXPECT_THAT(Prune(1, true, absl::Hours(24))->releases(), ElementsAre("releases/2"))
      << "the second is among the last day's";
  EXPECT_THAT(Prune(2, true, absl::Hours(1))->releases(), ElementsAre("releases/2"));
  EXPECT_THAT(Prune(3, true)->releases(), IsEmpty());
}

TEST_F(PruneTest, AModelThatIsTrainedNowKeepsItsVersions) {
  const std::string old = Decide("1", "a", -0.1);
  services_.Hold("train/b");
  const std::string open = Propose("2", "a", -0.2);
  services_.AwaitHeld("train/b");
  EXPECT_TRUE(absl::IsInvalidArgument(Prune(0).status())) << "no limit at all is no retention";
  clock_.Advance(absl::Hours(2));
  const auto later = Prune(0, false, absl::Hours(1));
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_THAT(later->releases(), ElementsAre(Get(old).release()));
  EXPECT_THAT(later->versions(), IsEmpty()) << "b is trained now, and a feeds what b has";
  services_.Release("train/b");
  AwaitState(open, v1::Update::DECIDED);
  EXPECT_THAT(Versions(*Prune(0, false, absl::Hours(1))),
              ::testing::UnorderedElementsAreArray(MadeBy(old)));
}

TEST_F(PruneTest, TheSystemsOwnRetentionIsNoOtherExperiment) {
  const std::string old = Decide("1", "c", -0.1);
  const std::string kept = Decide("2", "a", -0.3);
  v1::ApplySystemRequest request;
  *request.mutable_system() = plane_->ledger().state()->current_system()->system();
  request.mutable_system()->mutable_retention()->set_keep_updates(1);
  ASSERT_TRUE(Call(&Service::ApplySystem, request).ok());
  EXPECT_EQ(plane_->ledger().state()->current_system()->revision, 1);
  const auto done = Call(&Service::PruneUpdates, v1::PruneUpdatesRequest());
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_THAT(Versions(*done), ::testing::UnorderedElementsAreArray(MadeBy(old)));
  EXPECT_EQ(Get(kept).state(), v1::Update::DECIDED);
}

TEST_F(PruneTest, WithoutARetentionItSaysWhereToPutOne) {
  const absl::Status status = Call(&Service::PruneUpdates, v1::PruneUpdatesRequest()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("retention"));
  EXPECT_TRUE(absl::IsInvalidArgument(Prune(-1).status()));
}

}  // namespace
}  // namespace backfire::api
