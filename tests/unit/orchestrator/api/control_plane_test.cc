// The orchestrator as a whole, in one process: what it does over restarts, full disks, clocks that
// jump, and services that fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/support/control_plane_fixture.h"

namespace backfire::api {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class ControlPlaneTest : public testing::ControlPlaneFixture {
 protected:
  void SetUp() override { StartPlane(); }
  int64_t CountCalls(const std::string& call) const {
    const std::vector<std::string> calls = services_.calls();
    return std::count(calls.begin(), calls.end(), call);
  }
};

TEST_F(ControlPlaneTest, AnUpdateGoesFromProposalToPromotionAndBack) {
  ApplyBaseline();
  const std::string name = Propose("first", "a");
  const v1::Update decided = AwaitState(name, v1::Update::DECIDED);
  EXPECT_TRUE(decided.verdict().first_look());
  EXPECT_EQ(decided.verdict().candidates_judged(), 1);
  EXPECT_EQ(decided.reuse().versions(), 4) << "a and b, twice";
  EXPECT_EQ(decided.sensitivities_size(), 2);
  EXPECT_EQ(Propose("first", "a"), name) << "the same call";
  EXPECT_TRUE(
      absl::IsAlreadyExists(Call(&Service::ProposeUpdate, Proposal("first", "b", 0)).status()));

  const auto promoted = Promote(name, "promote");
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->state(), v1::Release::LIVE);
  EXPECT_EQ(Get(name).state(), v1::Update::PROMOTED);
  // The old one is unloaded once every lease has run out, and comes back for a rollback.
  const std::string old = "host-a:1 " + GetRelease("releases/1").versions().at("a");
  EXPECT_THAT(services_.loaded(), Contains(old));
  clock_.Advance(absl::Seconds(30));
  Await([&] { return GetRelease("releases/1").state() == v1::Release::RETIRED; });
  EXPECT_THAT(services_.loaded(), Not(Contains(old)));
  EXPECT_THAT(services_.loaded(), Contains(HasSubstr("host-c:1")));
  const auto back = Rollback("releases/1", "back");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->epoch(), 3);
  EXPECT_THAT(services_.loaded(), Contains(old));
  EXPECT_EQ(Rollback("releases/1", "back")->epoch(), 3) << "the same call";

  // What is proposed now is compared with what was rolled back to.
  const v1::Update next = AwaitState(Propose("second", "b"), v1::Update::DECIDED);
  EXPECT_EQ(next.baseline_release(), "releases/1");
  EXPECT_EQ(next.verdict().candidates_judged(), 2);
}

TEST_F(ControlPlaneTest, ValuesAreRefusedWhereTheyAreTyped) {
  v1::ApplySystemRequest apply;
  *apply.mutable_system() = testing::SmallSystem(2);
  v1::Vertex& vertex = *apply.mutable_system()->mutable_vertices(1);
  (*vertex.mutable_recipe()->mutable_parameters()->mutable_fields())["offset"].set_number_value(
      500);
  apply.mutable_system()->set_dataset("typo:20");
  for (const bool only : {true, false}) {
    apply.set_validate_only(only);
    const absl::Status refused = Call(&Service::ApplySystem, apply).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    // The offset comes first, and so hides the dataset from that vertex's check alone.
    EXPECT_THAT(std::string(refused.message()),
                AllOf(HasSubstr(absl::StrCat("vertices[", vertex.name(),
                                             "].recipe.parameters.offset must be at most 100")),
                      HasSubstr("dataset: dataset.uri must be a known one: got typo:20")));
  }
  EXPECT_EQ(plane_->ledger().state()->current_system(), nullptr);

  ApplyBaseline();
  const absl::Status refused = Call(&Service::ProposeUpdate, Proposal("large", "a", 101)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("recipe.parameters.offset"));
  EXPECT_NE(Propose("fine", "a", 99), "");
}

TEST_F(ControlPlaneTest, AClockThatJumpsDelaysNothing) {
  ApplyBaseline();
  services_.Hold("train/c/0");
  const std::string name = Propose("jump", "c");
  services_.AwaitHeld("train/c/0");
  clock_.Jump(-absl::Hours(2));
  services_.Release("train/c/0");
  const v1::Update decided = AwaitState(name, v1::Update::DECIDED);
  EXPECT_LT(decided.end_time().seconds(), decided.create_time().seconds() - 7000);
  ASSERT_TRUE(Promote(name).ok());
  clock_.Jump(absl::Hours(3));
  EXPECT_EQ(GetRelease("releases/1").state(), v1::Release::DRAINING);
  clock_.Advance(absl::Seconds(11));
  Await([&] { return GetRelease("releases/1").state() == v1::Release::RETIRED; });
}

TEST_F(ControlPlaneTest, ARestartGoesOnWithTheSameJobs) {
  ApplyBaseline();
  services_.Hold("train/a/0");
  const std::string name = Propose("held", "a");
  services_.AwaitHeld("train/a/0");
  const v1::Update before = Get(name);
  EXPECT_EQ(StateOf(before, "train/a/0"), v1::Step::RUNNING);
  EXPECT_EQ(before.steps(0).progress().stage(), "held");
  Stop();
  services_.Release("train/a/0");
  StartPlane();
  EXPECT_EQ(AwaitState(name, v1::Update::DECIDED).state(), v1::Update::DECIDED);
  EXPECT_EQ(CountCalls("memory00/updates/2/train/a/0/1"), 2) << "by the same name";
}

TEST_F(ControlPlaneTest, CancellingReachesTheJobAlsoOverARestart) {
  ApplyBaseline();
  services_.Hold("train/a/0");
  for (const bool restarts : {false, true}) {
    const std::string name = Propose(restarts ? "second" : "first", "a");
    services_.AwaitHeld(name + "/train/a/0");
    if (restarts) {
      // The process ends between the call's commit and the end of the job.
      records::Change change;
      const auto state = plane_->ledger().state();
      const records::OpenUpdate& update = *state->updates.rbegin()->second;
      records::ChangeUpdate(update.number(), update.update(), change)
          .update.set_state(v1::Update::CANCELLED);
      Stop();
      ASSERT_TRUE(memory_.Write(change).ok());
      StartPlane();
    } else {
      const auto cancelled = Cancel(name, "stop");
      ASSERT_TRUE(cancelled.ok()) << cancelled.status();
      EXPECT_EQ(cancelled->state(), v1::Update::CANCELLED);
      EXPECT_TRUE(Cancel(name, "stop").ok());
      EXPECT_TRUE(Cancel(name).ok());
    }
    Await([&] { return StateOf(Get(name), "train/a/0") == v1::Step::CANCELLED; });
  }
}

TEST_F(ControlPlaneTest, WhileTheDiskRefusesNothingIsLostAndNothingIsAcknowledged) {
  ApplyBaseline();
  services_.Hold("train/a/0");
  const std::string name = Propose("full", "a");
  services_.AwaitHeld("train/a/0");
  memory_.FailWrites(absl::ResourceExhaustedError("the store: no room"));
  services_.Release("train/a/0");
  EXPECT_TRUE(absl::IsResourceExhausted(
      Call(&Service::ProposeUpdate, Proposal("refused", "c", 0)).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(Cancel(name).status()));
  EXPECT_EQ(StateOf(Get(name), "train/a/0"), v1::Step::RUNNING);
  memory_.FailWrites(absl::OkStatus());
  AwaitState(name, v1::Update::DECIDED);
  EXPECT_EQ(CountCalls("memory00/updates/2/train/a/0/1"), 1) << "its job is not run again";
}

TEST_F(ControlPlaneTest, WhatCannotBeLoadedIsNotMadeLive) {
  ApplyBaseline();
  const std::string name = Propose("first", "a");
  AwaitState(name, v1::Update::DECIDED);
  services_.FailLoading("host-b:1", absl::UnavailableError("away"));
  const absl::Status refused = Promote(name).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("releases/2 can't be made live: loading models/mb/versions/"),
                    HasSubstr("away")));
  EXPECT_EQ(GetRelease("releases/1").state(), v1::Release::LIVE);
  EXPECT_EQ(GetRelease("releases/2").state(), v1::Release::STAGED);
  services_.FailLoading("host-b:1", absl::OkStatus());
  EXPECT_TRUE(Promote(name).ok());
}

TEST_F(ControlPlaneTest, PromotingOneKeepsTheVerdictsThatItDoesNotTouch) {
  ApplyBaseline();
  const std::string a = Propose("a", "a"), b = Propose("b", "b"), c = Propose("c", "c");
  for (const std::string& name : {a, b, c}) AwaitState(name, v1::Update::DECIDED);
  const auto first = Promote(a);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Get(b).state(), v1::Update::REJECTED);
  EXPECT_EQ(Get(c).baseline_release(), first->name());
  const auto second = Promote(c);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->versions().at("a"), first->versions().at("a"));
  EXPECT_NE(second->versions().at("c"), first->versions().at("c"));
}

TEST_F(ControlPlaneTest, ReplicatesThatAnUpdateLeftOutAreTrainedWhenTheyAreNeeded) {
  ApplyBaseline();
  v1::ProposeUpdateRequest request = Proposal("few", "b", -0.5);
  request.set_replicates(1);
  ASSERT_TRUE(Call(&Service::ProposeUpdate, request).ok());
  AwaitState("updates/2", v1::Update::DECIDED);
  ASSERT_TRUE(Promote("updates/2").ok());

  services_.Hold("updates/3/train/b/1");
  EXPECT_EQ(Propose("dropped", "c"), "updates/4");
  EXPECT_EQ(Get("updates/4").waits_for(), "updates/3");
  EXPECT_EQ(Propose("dropped", "c"), "updates/4") << "the same call";
  services_.AwaitHeld("updates/3/train/b/1");
  ASSERT_TRUE(Cancel("updates/3").ok());
  EXPECT_THAT(AwaitState("updates/4", v1::Update::REJECTED).error_message(),
              HasSubstr("was to get more replicates while this update waited, and did not"));

  services_.Hold("updates/5/train/b/1");
  EXPECT_EQ(Propose("next", "c"), "updates/6");
  EXPECT_EQ(Propose("other", "a"), "updates/7") << "one completes them for all";
  services_.AwaitHeld("updates/5/train/b/1");
  Stop();
  StartPlane();
  services_.Release("updates/5/train/b/1");
  const v1::Update all = AwaitState("updates/5", v1::Update::PROMOTED);
  EXPECT_EQ(all.steps_size(), 5) << "b's second replicate, and a load of each vertex";
  const v1::Release before = GetRelease("releases/2");
  const v1::Release after = GetRelease(all.release());
  EXPECT_EQ(after.versions_size(), 3);
  for (const auto& [vertex, version] : after.versions()) {
    EXPECT_EQ(version, before.versions().at(vertex)) << vertex;
  }
  for (const char* name : {"updates/6", "updates/7"}) {
    const v1::Update decided = AwaitState(name, v1::Update::DECIDED);
    EXPECT_EQ(decided.verdict().replicates(), 2);
    EXPECT_EQ(decided.baseline_release(), all.release());
  }
  EXPECT_EQ(Propose("last", "c"), "updates/8") << "nothing is missing";
}

TEST_F(ControlPlaneTest, AGatewayHoldsItsReleaseUntilItReportsOrIsLost) {
  ApplyBaseline();
  const std::string name = Propose("first", "a");
  AwaitState(name, v1::Update::DECIDED);
  clock_.Advance(absl::Minutes(1));
  v1::GatewayReport report;
  report.set_gateway("g");
  report.set_epoch(1);
  plane_->gateways().Report(report);
  ASSERT_TRUE(Promote(name).ok());
  EXPECT_EQ(GetRelease("releases/1").state(), v1::Release::DRAINING);
  report.set_epoch(2);
  plane_->gateways().Report(report);
  Await([&] { return GetRelease("releases/1").state() == v1::Release::RETIRED; });
}

TEST_F(ControlPlaneTest, ListsArePagesOfHistory) {
  ApplyBaseline();
  for (const char* id : {"1", "2", "3"}) AwaitState(Propose(id, "c"), v1::Update::DECIDED);
  v1::ListUpdatesRequest request;
  request.set_page_size(3);
  auto page = Call(&Service::ListUpdates, request);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->updates(0).name(), "updates/4");
  EXPECT_EQ(page->updates_size(), 3);
  request.set_page_token(page->next_page_token());
  page = Call(&Service::ListUpdates, request);
  ASSERT_EQ(page->updates_size(), 1);
  EXPECT_EQ(page->updates(0).name(), "updates/1");
  EXPECT_EQ(page->next_page_token(), "");
  for (const char* token : {"zebra", "-1"}) {
    request.set_page_token(token);
    EXPECT_TRUE(absl::IsInvalidArgument(Call(&Service::ListUpdates, request).status())) << token;
  }
  v1::ListReleasesRequest releases;
  releases.set_page_size(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(Call(&Service::ListReleases, releases).status()));
  releases.set_page_size(2);
  EXPECT_EQ(Call(&Service::ListReleases, releases)->releases(0).name(), "releases/4");
}

TEST_F(ControlPlaneTest, WhatIsNotThereIsNotFoundAndWhatIsMalformedIsSaid) {
  v1::GetUpdateRequest get;
  for (const char* name : {"updates/7", "zebra"}) {
    get.set_name(name);
    const absl::Status status = Call(&Service::GetUpdate, get).status();
    EXPECT_EQ(absl::IsNotFound(status), std::string(name) == "updates/7") << status;
    EXPECT_EQ(absl::IsInvalidArgument(status), std::string(name) == "zebra") << status;
  }
  EXPECT_TRUE(absl::IsNotFound(Call(&Service::GetSystem, v1::GetSystemRequest()).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Call(&Service::ProposeUpdate, Proposal("early", "a", 0)).status()));
  EXPECT_TRUE(absl::IsNotFound(Promote("updates/7").status()));
  ApplyBaseline();
  EXPECT_TRUE(absl::IsNotFound(Call(&Service::ProposeUpdate, Proposal("x", "z", 0)).status()));
  v1::ProposeUpdateRequest proposal = Proposal("y", "a", 0);
  proposal.set_replicates(3);
  EXPECT_TRUE(absl::IsInvalidArgument(Call(&Service::ProposeUpdate, proposal).status()));
}

TEST_F(ControlPlaneTest, AnotherExperimentWaitsForWhatIsUnderWay) {
  ApplyBaseline();
  v1::ApplySystemRequest request;
  *request.mutable_system() = testing::SmallSystem();
  EXPECT_EQ(Call(&Service::ApplySystem, request)->revision(), 1) << "the same system";
  services_.Hold("train/a/0");
  const std::string name = Propose("held", "a");
  services_.AwaitHeld("train/a/0");
  request.mutable_system()->set_alpha(0.2);
  absl::Status refused = Call(&Service::ApplySystem, request).status();
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("before alpha, margins or required_slices change"));
  request.mutable_system()->set_seed(7);
  refused = Call(&Service::ApplySystem, request).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("before another system is applied"));
  services_.Release("train/a/0");
  AwaitState(name, v1::Update::DECIDED);
  request.set_request_id("another");
  const auto applied = Call(&Service::ApplySystem, request);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->revision(), 2);
  EXPECT_EQ(Call(&Service::ApplySystem, request)->update(), applied->update());
  AwaitState(applied->update(), v1::Update::PROMOTED);
  EXPECT_EQ(GetRelease("releases/3").state(), v1::Release::LIVE);
}

TEST_F(ControlPlaneTest, WhatChildrenAreMadeOfIsCommittedToFirst) {
  services_.CommitOutputs();
  ApplyBaseline();
  const v1::Update decided = AwaitState(Propose("first", "a"), v1::Update::DECIDED);
  EXPECT_EQ(StateOf(decided, "commit/a/1/train"), v1::Step::SUCCEEDED);
  EXPECT_EQ(StateOf(decided, "commit/b/0/train"), v1::Step::STATE_UNSPECIFIED) << "it has no child";
  for (const v1::Step& step : decided.steps()) {
    if (step.id() == "train/b/0") {
      ASSERT_EQ(step.version().trained_on_size(), 1);
      EXPECT_EQ(step.version().trained_on(0).split(), "train");
    }
    if (step.id() == "evaluate-swapped/b/0") {
      ASSERT_EQ(step.evaluation().commitments_size(), 1);
      EXPECT_EQ(step.evaluation().commitments(0).split(), "test");
    }
  }
  EXPECT_THAT(decided.verdict().summary(), Not(HasSubstr("Not verified")));
  // An update of the child alone: its parent, which it does not change, commits anew.
  const v1::Update next = AwaitState(Propose("second", "b"), v1::Update::DECIDED);
  EXPECT_EQ(StateOf(next, "commit/a/0/test"), v1::Step::SUCCEEDED);
}

TEST_F(ControlPlaneTest, ServicesThatDoNotCommitAreNamedInTheVerdict) {
  ApplyBaseline();
  const v1::Update decided = AwaitState(Propose("first", "a"), v1::Update::DECIDED);
  EXPECT_THAT(decided.verdict().summary(),
              HasSubstr("Not verified: what passes between a, b and their neighbours"));
  const v1::Update alone = AwaitState(Propose("second", "c"), v1::Update::DECIDED);
  EXPECT_THAT(alone.verdict().summary(), Not(HasSubstr("Not verified"))) << "nobody feeds it";
}

}  // namespace
}  // namespace backfire::api
