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
  // Applies a retention; all else stays.
  void Retain(int keep_updates, absl::Duration keep_for = absl::ZeroDuration()) {
    v1::ApplySystemRequest request;
    *request.mutable_system() = plane_->ledger().state()->current_system()->system();
    v1::Retention& retention = *request.mutable_system()->mutable_retention();
    retention.set_keep_updates(keep_updates);
    if (keep_for > absl::ZeroDuration()) {
      retention.mutable_keep_for()->set_seconds(absl::ToInt64Seconds(keep_for));
    }
    const auto applied = Call(&Service::ApplySystem, request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  void AwaitRetired(const std::string& update) {
    const std::string release = Get(update).release();
    Await([&] { return GetRelease(release).state() == v1::Release::RETIRED; });
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

TEST_F(PruneTest, TheSystemsOwnRetentionIsObeyedWithNobodyAsking) {
  Retain(1);
  EXPECT_EQ(plane_->ledger().state()->current_system()->revision, 1) << "no other experiment";
  const std::string old = Decide("1", "a", -0.1);
  plane_->retention().RunOnce();
  EXPECT_EQ(Get(old).state(), v1::Update::DECIDED) << "the newest one is kept";
  const std::string kept = Decide("2", "a", -0.3);
  AwaitState(old, v1::Update::REJECTED);
  EXPECT_EQ(Get(old).end_actor(), "") << "nobody asked";
  EXPECT_EQ(Get(old).end_reason(), "retention keeps the newest 1");
  AwaitRetired(old);
  plane_->retention().RunOnce();
  const std::vector<std::string> deleted = Deleted();
  EXPECT_THAT(deleted, ::testing::UnorderedElementsAreArray(MadeBy(old)));
  const auto place = [&](const std::string& name) {
    return std::find(deleted.begin(), deleted.end(), name) - deleted.begin();
  };
  int children = 0;
  const v1::Update ended = Get(old);
  for (const v1::Step& step : ended.steps()) {
    if (step.kind() != v1::Step::TRAIN || step.vertex() != "b") continue;
    const std::string& parent = step.version().lineage(0).version();
    EXPECT_LT(place(step.version().name()), place(parent)) << "children first";
    ++children;
  }
  EXPECT_EQ(children, 2);
  EXPECT_EQ(Get(kept).state(), v1::Update::DECIDED);
  EXPECT_TRUE(Promote(kept).ok()) << "all that it needs is there";
  EXPECT_TRUE(Rollback("releases/1").ok());
}

TEST_F(PruneTest, WhatGrowsTooOldGoesByTheClockAlsoWhileNobodyRan) {
  Retain(0, absl::Hours(24));
  const std::string first = Decide("1", "a", -0.1);
  clock_.Advance(absl::Hours(23));
  plane_->retention().RunOnce();
  EXPECT_EQ(Get(first).state(), v1::Update::DECIDED);
  const std::string second = Decide("2", "a", -0.2);
  clock_.Advance(absl::Hours(1));
  plane_->retention().RunOnce();
  EXPECT_EQ(Get(first).state(), v1::Update::REJECTED);
  EXPECT_EQ(Get(second).state(), v1::Update::DECIDED);
  Stop();
  clock_.Advance(absl::Hours(48));
  StartPlane();
  plane_->retention().RunOnce();
  EXPECT_EQ(Get(second).state(), v1::Update::REJECTED);
}

TEST_F(PruneTest, AServiceThatIsAwayHoldsItUpUntilItIsBack) {
  const std::string old = Decide("1", "a", -0.1);
  Decide("2", "a", -0.2);
  services_.FailListing(absl::UnavailableError("away"));
  Retain(1);
  AwaitState(old, v1::Update::REJECTED);
  AwaitRetired(old);
  plane_->retention().RunOnce();
  EXPECT_THAT(Deleted(), IsEmpty());
  services_.FailListing(absl::OkStatus());
  clock_.Advance(absl::Minutes(1));
  plane_->retention().RunOnce();
  EXPECT_THAT(Deleted(), ::testing::UnorderedElementsAreArray(MadeBy(old)));
}

class UndeletableChildTest : public PruneTest {
 protected:
  void SetUp() override {
    services_.Forbid("models/mb", v1::DELETE_VERSION);
    PruneTest::SetUp();
  }
};

TEST_F(UndeletableChildTest, WhatFeedsItsVersionsStays) {
  const std::string a = Decide("1", "a", -0.1), c = Decide("2", "c", -0.2);
  clock_.Advance(absl::Hours(2));
  const auto done = Prune(0, false, absl::Hours(1));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_THAT(Versions(*done), ::testing::UnorderedElementsAreArray(MadeBy(c)));
  EXPECT_EQ(Get(a).state(), v1::Update::REJECTED);
}

TEST_F(PruneTest, WithoutARetentionItSaysWhereToPutOne) {
  const absl::Status status = Call(&Service::PruneUpdates, v1::PruneUpdatesRequest()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("retention"));
  EXPECT_TRUE(absl::IsInvalidArgument(Prune(-1).status()));
}

}  // namespace
}  // namespace backfire::api
