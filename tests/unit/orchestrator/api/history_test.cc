// Who did what, when and why: of every call, as the control plane keeps it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/control_plane_fixture.h"

namespace backfire::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class HistoryTest : public testing::ControlPlaneFixture {
 protected:
  void SetUp() override { StartPlane(); }
  // Oldest first.
  std::vector<v1::Event> Events(v1::ListEventsRequest request = {}) {
    const auto listed = Call(&Service::ListEvents, request);
    EXPECT_TRUE(listed.ok()) << listed.status();
    std::vector<v1::Event> events(listed->events().begin(), listed->events().end());
    std::reverse(events.begin(), events.end());
    return events;
  }
  std::vector<v1::Event> EventsOf(const std::string& subject) {
    v1::ListEventsRequest request;
    request.set_subject(subject);
    return Events(request);
  }
  static std::vector<std::string> Kinds(const std::vector<v1::Event>& events) {
    std::vector<std::string> kinds;
    for (const v1::Event& event : events) kinds.push_back(event.kind());
    return kinds;
  }
  std::string ProposeAs(const std::string& actor, const std::string& id, const std::string& vertex,
                        const std::string& reason = "") {
    v1::ProposeUpdateRequest request = Proposal(id, vertex, -0.5);
    request.set_actor(actor);
    request.set_reason(reason);
    const auto update = Call(&Service::ProposeUpdate, request);
    EXPECT_TRUE(update.ok()) << update.status();
    return update.value_or(v1::Update()).name();
  }
  absl::StatusOr<v1::Update> CancelAs(const std::string& actor, const std::string& name,
                                      const std::string& reason) {
    v1::CancelUpdateRequest request;
    request.set_name(name);
    request.set_actor(actor);
    request.set_reason(reason);
    return Call(&Service::CancelUpdate, request);
  }
  absl::StatusOr<v1::Release> PromoteAs(const std::string& actor, const std::string& name,
                                        const std::string& reason) {
    v1::PromoteUpdateRequest request;
    request.set_name(name);
    request.set_override(true);
    request.set_actor(actor);
    request.set_reason(reason);
    return Call(&Service::PromoteUpdate, request);
  }
};

TEST_F(HistoryTest, ABaselineHasAStoryFromItsSystemOn) {
  v1::ApplySystemRequest request;
  *request.mutable_system() = testing::SmallSystem();
  request.set_actor("ada");
  ASSERT_TRUE(Call(&Service::ApplySystem, request).ok());
  AwaitState("updates/1", v1::Update::PROMOTED);
  const std::vector<v1::Event> events = Events();
  EXPECT_THAT(Kinds(events), ElementsAre("SYSTEM_APPLIED", "PROPOSED", "STARTED",
                                         "EVALUATING_CANDIDATE", "EVALUATING", "PROMOTED", "LIVE"));
  EXPECT_EQ(events[0].actor(), "ada");
  EXPECT_EQ(events[1].actor(), "ada");
  EXPECT_EQ(events[0].time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  ASSERT_TRUE(Call(&Service::ApplySystem, request).ok());
  EXPECT_THAT(Events(), SizeIs(events.size())) << "applied again, and nothing is new";
}

TEST_F(HistoryTest, APromotionSaysWhoWhenAndWhyAndRejectsOthersInItsName) {
  ApplyBaseline();
  const std::string first = ProposeAs("ada", "first", "a", "nightly");
  AwaitState(first, v1::Update::DECIDED);
  clock_.Advance(absl::Hours(1));
  // It waits until the first is decided, and is compared with the same release.
  const std::string second = ProposeAs("bob", "second", "b");
  const v1::Update decided = AwaitState(second, v1::Update::DECIDED);
  EXPECT_EQ(decided.decide_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  clock_.Advance(absl::Hours(1));
  ASSERT_TRUE(PromoteAs("carol", first, "better at night").ok());

  const v1::Update promoted = Get(first);
  EXPECT_EQ(promoted.actor(), "ada");
  EXPECT_EQ(promoted.reason(), "nightly");
  EXPECT_EQ(promoted.end_actor(), "carol");
  EXPECT_EQ(promoted.end_reason(), "better at night");
  EXPECT_EQ(promoted.end_time().seconds() - promoted.decide_time().seconds(), 7200);
  const v1::Update rejected = Get(second);
  EXPECT_EQ(rejected.state(), v1::Update::REJECTED);
  EXPECT_EQ(rejected.end_actor(), "carol");
  EXPECT_THAT(rejected.end_reason(), HasSubstr(first + " was promoted"));
  EXPECT_EQ(rejected.end_time().seconds() - rejected.decide_time().seconds(), 3600);
  const std::vector<v1::Event> of_second = EventsOf(second);
  ASSERT_FALSE(of_second.empty());
  EXPECT_EQ(of_second.back().kind(), "REJECTED");
  EXPECT_EQ(of_second.back().actor(), "carol");
  EXPECT_THAT(of_second.back().message(), HasSubstr(first));
  const std::vector<v1::Event> of_release = EventsOf(promoted.release());
  EXPECT_EQ(of_release.back().kind(), "LIVE");
  EXPECT_EQ(of_release.back().message(), "in place of releases/1: better at night");

  clock_.Advance(absl::Hours(1));
  v1::RollbackReleaseRequest rollback;
  rollback.set_name("releases/1");
  rollback.set_actor("dan");
  rollback.set_reason("false alarms");
  ASSERT_TRUE(Call(&Service::RollbackRelease, rollback).ok());
  v1::ListEventsRequest recent;
  recent.mutable_since()->set_seconds(absl::ToUnixSeconds(clock_.Now()));
  std::vector<v1::Event> events = Events(recent);
  events.erase(std::remove_if(events.begin(), events.end(),
                              [](const v1::Event& event) { return event.kind() == "RETIRED"; }),
               events.end());
  EXPECT_THAT(Kinds(events), ElementsAre("ROLLED_BACK_TO", "REPLACED"));
  EXPECT_EQ(events[0].actor(), "dan");
  EXPECT_EQ(events[0].message(), "in place of " + promoted.release() + ": false alarms");
}

TEST_F(HistoryTest, CancellingFailingAndRetryingAreKept) {
  ApplyBaseline();
  // Of one replicate: another's may fail after the retry.
  services_.Fail("evaluate/b/0", absl::ResourceExhaustedError("disk full"));
  const std::string name = ProposeAs("ada", "first", "a");
  AwaitState(name, v1::Update::FAILED);
  services_.Fail("evaluate/b/0", absl::OkStatus());
  v1::RetryUpdateRequest retry;
  retry.set_name(name);
  retry.set_actor("bob");
  ASSERT_TRUE(Call(&Service::RetryUpdate, retry).ok());
  AwaitState(name, v1::Update::DECIDED);
  ASSERT_TRUE(CancelAs("carol", name, "superseded").ok());
  const v1::Update ended = Get(name);
  EXPECT_EQ(ended.state(), v1::Update::REJECTED);
  EXPECT_EQ(ended.end_actor(), "carol");
  EXPECT_EQ(ended.end_reason(), "superseded");
  const std::vector<v1::Event> events = EventsOf(name);
  const std::vector<std::string> kinds = Kinds(events);
  for (const char* kind : {"PROPOSED", "STEP_FAILED", "RETRIED", "DECIDED", "REJECTED"}) {
    EXPECT_EQ(std::count(kinds.begin(), kinds.end(), kind), 1) << kind;
  }
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "STARTED"), 2) << "once more after the retry";
  for (const v1::Event& event : events) {
    if (event.kind() == "STEP_FAILED") {
      EXPECT_THAT(event.message(), HasSubstr("disk full"));
    } else if (event.kind() == "RETRIED") {
      EXPECT_EQ(event.actor(), "bob");
    }
  }
  EXPECT_THAT(EventsOf(ended.release()).front().message(), HasSubstr("superseded"));
}

TEST_F(HistoryTest, AnOpenUpdateThatIsCancelledSaysWhy) {
  ApplyBaseline();
  services_.Hold("train/a");
  const std::string name = ProposeAs("ada", "first", "a");
  services_.AwaitHeld("train/a");
  ASSERT_TRUE(CancelAs("bob", name, "a typo").ok());
  services_.Release("train/a");
  EXPECT_EQ(Get(name).end_reason(), "a typo");
  const std::vector<v1::Event> events = EventsOf(name);
  EXPECT_EQ(events.back().kind(), "CANCELLED");
  EXPECT_EQ(events.back().actor(), "bob");
}

TEST_F(HistoryTest, EventsOutlastARestartAndComeByPage) {
  ApplyBaseline();
  const std::vector<std::string> all = Kinds(Events());
  Stop();
  StartPlane();
  EXPECT_EQ(Kinds(Events()), all);
  std::vector<std::string> paged;
  v1::ListEventsRequest request;
  request.set_page_size(2);
  do {
    const auto page = Call(&Service::ListEvents, request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->events_size(), 2);
    for (const v1::Event& event : page->events()) paged.push_back(event.kind());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  std::reverse(paged.begin(), paged.end());
  EXPECT_EQ(paged, all);
  request.set_page_token("x");
  EXPECT_TRUE(absl::IsInvalidArgument(Call(&Service::ListEvents, request).status()));
}

TEST_F(HistoryTest, UpdatesAreListedByTheTestSplitThatJudgedThem) {
  ApplyBaseline();
  const std::string first = Propose("first", "a");
  AwaitState(first, v1::Update::DECIDED);
  const std::string second = Propose("second", "c");
  AwaitState(second, v1::Update::DECIDED);
  v1::ListUpdatesRequest request;
  request.set_judged_with(second);
  const auto listed = Call(&Service::ListUpdates, request);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->updates_size(), 2);
  EXPECT_EQ(listed->updates(0).name(), second);
  EXPECT_EQ(listed->updates(1).name(), first);
  request.set_judged_with("updates/1");
  EXPECT_TRUE(absl::IsFailedPrecondition(Call(&Service::ListUpdates, request).status()));
  request.set_judged_with("updates/77");
  EXPECT_TRUE(absl::IsNotFound(Call(&Service::ListUpdates, request).status()));
}

TEST_F(HistoryTest, AVertexThatNoSystemHadIsRefusedInsteadOfAnEmptyList) {
  ApplyBaseline();
  v1::ListUpdatesRequest request;
  request.set_vertex("a");
  EXPECT_THAT(Call(&Service::ListUpdates, request)->updates(), IsEmpty());
  request.set_vertex("nope");
  const absl::Status status = Call(&Service::ListUpdates, request).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("a, b, c"));
}

}  // namespace
}  // namespace backfire::api
