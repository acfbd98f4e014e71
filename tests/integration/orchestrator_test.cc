// The orchestrator as a process, over real services that come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>

#include "tests/support/orchestrator_fixture.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::ToyClient;

class OrchestratorTest : public testing::OrchestratorFixture {
 protected:
  OrchestratorTest() : OrchestratorFixture(BACKFIRE_TOY_SERVICE, BACKFIRE_ORCHESTRATOR) {}
  void SetUp() override {
    StartService("a");
    StartService("b");
    StartOrchestrator();
  }
  absl::StatusOr<v1::Update> Cancel(const std::string& name, const std::string& id = "") {
    v1::CancelUpdateRequest request;
    request.set_name(name);
    request.set_request_id(id);
    return Call(&Stub::CancelUpdate, request);
  }
  absl::StatusOr<v1::Update> Retry(const std::string& name, const std::string& id = "") {
    v1::RetryUpdateRequest request;
    request.set_name(name);
    request.set_request_id(id);
    return Call(&Stub::RetryUpdate, request);
  }
  absl::StatusOr<v1::Release> Promote(const std::string& name, const std::string& id = "") {
    v1::PromoteUpdateRequest request;
    request.set_name(name);
    request.set_override(true);
    request.set_reason("a test");
    request.set_request_id(id);
    return Call(&Stub::PromoteUpdate, request);
  }
  // The state of a cancelled update's step once its job has stopped, or after a minute. No stream
  // tells of it, as the update has ended.
  v1::Step::State AwaitStepsEnd(const std::string& name, const std::string& id) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    v1::Step::State state = v1::Step::RUNNING;
    while (state == v1::Step::RUNNING && std::chrono::steady_clock::now() < give_up) {
      state = StepOf(Get(name), id).state();
    }
    return state;
  }
  std::vector<v1::Version> VersionsOf(const std::string& service, const std::string& model) {
    v1::ListVersionsRequest request;
    request.set_model("models/" + model);
    const auto response =
        ToyClient(Target(service)).Call(&v1::ModelService::Stub::ListVersions, request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return {response->versions().begin(), response->versions().end()};
  }
};

TEST_F(OrchestratorTest, UpdatesThatMeetQueueAndOthersRunSideBySide) {
  Apply(System());
  const std::string left = Propose("left", "left", 0.5, /*seconds=*/30);
  const std::string sum = Propose("sum", "sum", 0.5);        // Downstream of left.
  const std::string again = Propose("again", "left", 1);     // The same vertex.
  const std::string right = Propose("right", "right", 0.5);  // Meets none of them.
  WaitForStep(left, "train/left/0", v1::Step::RUNNING);
  // It overtakes the one that trains for long.
  EXPECT_EQ(WaitForEnd(right).state(), v1::Update::DECIDED);
  EXPECT_EQ(Get(left).state(), v1::Update::TRAINING_CANDIDATE);
  EXPECT_EQ(Get(sum).state(), v1::Update::PROPOSED);
  EXPECT_EQ(Get(sum).waits_for(), left);
  EXPECT_EQ(Get(again).waits_for(), left);
  EXPECT_EQ(Get(right).waits_for(), "");

  ASSERT_TRUE(Cancel(left).ok());
  EXPECT_EQ(WaitForEnd(sum).state(), v1::Update::DECIDED);
  EXPECT_EQ(WaitForEnd(again).state(), v1::Update::DECIDED);
}

TEST_F(OrchestratorTest, PromotingOneKeepsTheVerdictsThatItDoesNotTouch) {
  Apply(System());
  const std::string left = Propose("left", "left", 0.5);
  const std::string sum = Propose("sum", "sum", 0.25);
  const std::string right = Propose("right", "right", 0.75);
  for (const std::string& update : {left, sum, right}) {
    ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  }
  const std::string slow = Propose("slow", "left", 3, /*seconds=*/30);
  const std::string queued = Propose("queued", "sum", 4);
  WaitForStep(slow, "train/left/0", v1::Step::RUNNING);
  const auto first = Promote(left);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Get(sum).state(), v1::Update::REJECTED);
  ASSERT_EQ(Get(right).state(), v1::Update::DECIDED);
  EXPECT_EQ(Get(right).baseline_release(), first->name());
  const auto second = Promote(right);
  ASSERT_TRUE(second.ok()) << second.status();
  // Both changes are in it: each vertex as its own update made it.
  EXPECT_EQ(second->versions().at("left"), first->versions().at("left"));
  EXPECT_EQ(second->versions().at("sum"), first->versions().at("sum"));
  EXPECT_EQ(second->versions().at("right"), StepOf(Get(right), "train/right/0").version().name());

  // What waited is compared with what is live when it begins.
  ASSERT_TRUE(Cancel(slow).ok());
  const v1::Update done = WaitForEnd(queued);
  ASSERT_EQ(done.state(), v1::Update::DECIDED) << done.error_message();
  EXPECT_EQ(done.baseline_release(), second->name());
}

TEST_F(OrchestratorTest, AnUpdateStopsAtTheFirstPlannedLookThatDecides) {
  StartService("a");
  StartService("b");
  StartOrchestrator();
  v1::System system = System();
  system.set_replicates(10);
  system.set_seed(4);  // Its trainings of sum err to either side.
  Apply(system);

  v1::ProposeUpdateRequest request = Proposal("harm", "sum", /*offset=*/0.5);
  request.set_looks(3);
  const auto refused = Call(&Stub::ProposeUpdate, request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("so 3 need 15: got 10"));
  request.set_looks(4);
  EXPECT_EQ(Call(&Stub::ProposeUpdate, request).status().code(),
            absl::StatusCode::kInvalidArgument);

  request.set_looks(2);
  ASSERT_TRUE(Call(&Stub::ProposeUpdate, request).ok());
  const v1::Update clear = WaitForEnd("updates/2");
  EXPECT_EQ(clear.state(), v1::Update::DECIDED) << clear.error_message();
  EXPECT_EQ(clear.verdict().outcome(), v1::Verdict::NOT_AN_IMPROVEMENT);
  EXPECT_EQ(clear.verdict().replicates(), 5);
  EXPECT_EQ(clear.verdict().look(), 1);
  EXPECT_GT(clear.verdict().look_alpha(), 0);
  EXPECT_LT(clear.verdict().look_alpha(), 0.05);
  EXPECT_EQ(StepOf(clear, "train/sum/4").state(), v1::Step::SUCCEEDED);
  EXPECT_EQ(StepOf(clear, "train/sum/5").state(), v1::Step::CANCELLED);
  EXPECT_FALSE(clear.release().empty());

  // Much less than seeds differ by: five replicates can't tell, and neither can ten.
  request = Proposal("faint", "sum", /*offset=*/2e-4);
  request.set_looks(2);
  ASSERT_TRUE(Call(&Stub::ProposeUpdate, request).ok());
  const v1::Update faint = WaitForEnd("updates/3");
  EXPECT_EQ(faint.state(), v1::Update::DECIDED) << faint.error_message();
  EXPECT_EQ(faint.verdict().outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(faint.verdict().replicates(), 10);
  EXPECT_EQ(faint.verdict().look(), 2);
  ASSERT_EQ(faint.earlier_looks_size(), 1);
  EXPECT_EQ(faint.earlier_looks(0).replicates(), 5);
  EXPECT_EQ(faint.earlier_looks(0).outcome(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(StepOf(faint, "evaluate/sum/9").state(), v1::Step::SUCCEEDED);

  // What stopped early lacks replicates. Once it is live, they are trained when one needs them.
  const v1::Release live = *Promote("updates/2");
  request = Proposal("few", "left", /*offset=*/0.1);
  request.set_replicates(5);
  EXPECT_EQ(Call(&Stub::ProposeUpdate, request)->name(), "updates/4");
  EXPECT_EQ(WaitForEnd("updates/4").verdict().replicates(), 5);

  request = Proposal("next", "left", /*offset=*/0.1);
  const auto next = Call(&Stub::ProposeUpdate, request);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->name(), "updates/6");
  EXPECT_EQ(next->planned_replicates(), 10);
  const v1::Update all = WaitForEnd("updates/5");
  EXPECT_EQ(all.state(), v1::Update::PROMOTED) << all.error_message();
  // Of sum, a load of each vertex, and left's commitments on two splits.
  EXPECT_EQ(all.steps_size(), 2 * 5 + 3 + 2 * 5);
  EXPECT_EQ(StepOf(all, "train/sum/9").version().recipe().name(), clear.recipe().name());
  EXPECT_EQ(StepOf(all, "train/sum/9")
                .version()
                .recipe()
                .parameters()
                .fields()
                .at("offset")
                .number_value(),
            0.5);
  const v1::Update judged = WaitForEnd("updates/6");
  EXPECT_EQ(judged.state(), v1::Update::DECIDED) << judged.error_message();
  EXPECT_EQ(judged.verdict().replicates(), 10);
  EXPECT_EQ(judged.baseline_release(), all.release());
  v1::ListReleasesRequest list;
  const auto releases = Call(&Stub::ListReleases, list);
  ASSERT_TRUE(releases.ok());
  for (const v1::Release& release : releases->releases()) {
    if (release.name() != all.release()) continue;
    EXPECT_EQ(release.state(), v1::Release::LIVE);
    for (const auto& [vertex, version] : live.versions()) {
      EXPECT_EQ(release.versions().at(vertex), version) << vertex;
    }
  }
  // The one of before was compared with the same versions, and can be promoted still.
  EXPECT_TRUE(Promote("updates/4").ok());
}

TEST_F(OrchestratorTest, AVerdictCountsClustersAndSystemsShareNoSeeds) {
  v1::System system = System();
  system.set_dataset("toy:60/6");
  system.set_replicates(2);
  Apply(system);
  const v1::Update update = WaitForEnd(Propose("left", "left", 0.5));
  ASSERT_EQ(update.state(), v1::Update::DECIDED) << update.error_message();
  for (const v1::LossComparison& comparison : update.verdict().comparisons()) {
    EXPECT_EQ(comparison.example_count(), 60);
    EXPECT_EQ(comparison.cluster_count(), 10);
    EXPECT_DOUBLE_EQ(comparison.effective_cluster_count(), 10);
  }
  std::set<int64_t> seeds;
  const auto collect = [&](const std::string& name) {
    const v1::Update baseline = Get(name);
    for (const char* step : {"train/left/0", "train/left/1", "train/sum/0", "train/sum/1"}) {
      seeds.insert(StepOf(baseline, step).version().seed());
    }
  };
  collect("updates/1");
  system.set_seed(system.seed() + 1);
  Apply(system);
  collect("updates/3");
  EXPECT_EQ(seeds.size(), 8u);
}

TEST_F(OrchestratorTest, TheRulesOfAVerdictStandWhileEvidenceComesIn) {
  v1::System system = System();
  Apply(system);
  const std::string name = Propose("slow", "left", 0.5, /*seconds=*/30);
  WaitForStep(name, "train/left/0", v1::Step::RUNNING);
  v1::ApplySystemRequest apply;
  *apply.mutable_system() = system;
  apply.mutable_system()->set_alpha(0.2);
  const absl::Status refused = Call(&Stub::ApplySystem, apply).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              ::testing::HasSubstr("before alpha, margins or required_slices change"));
  // What says where services are may change at any time.
  *apply.mutable_system() = system;
  apply.mutable_system()->mutable_service_timeout()->set_seconds(60);
  EXPECT_TRUE(Call(&Stub::ApplySystem, apply).ok());
  ASSERT_TRUE(Cancel(name).ok());
  apply.mutable_system()->set_alpha(0.2);
  EXPECT_TRUE(Call(&Stub::ApplySystem, apply).ok());
}

TEST_F(OrchestratorTest, AServiceThatStaysAwayFailsTheUpdateWhichGoesOnLater) {
  v1::System system = System();
  Apply(system);
  system.mutable_service_timeout()->set_seconds(1);
  v1::ApplySystemRequest apply;
  *apply.mutable_system() = system;
  ASSERT_TRUE(Call(&Stub::ApplySystem, apply).ok());
  Kill("b");
  const std::string name = Propose("away", "left", 0.5);
  const v1::Update failed = WaitForEnd(name);
  ASSERT_EQ(failed.state(), v1::Update::FAILED);
  // Training sum waits for b, and so does evaluating the old one on the new left.
  EXPECT_THAT(failed.error_message(),
              ::testing::MatchesRegex("step (train|evaluate-swapped)/sum/0: unix:.*/b: did not "
                                      "answer for 1\\.. s, [0-9]+ attempts; the last error: .+"));
  EXPECT_EQ(StepOf(failed, "train/left/0").state(), v1::Step::SUCCEEDED);

  StartService("b");
  ASSERT_TRUE(Retry(name, "once").ok());
  const v1::Update done = WaitForEnd(name);
  EXPECT_EQ(done.state(), v1::Update::DECIDED) << done.error_message();
  EXPECT_EQ(StepOf(done, "train/left/0").version().name(),
            StepOf(failed, "train/left/0").version().name());
  // The same call is known, and does not fail for the state it finds now.
  EXPECT_TRUE(Retry(name, "once").ok());
  EXPECT_EQ(Retry(name, "twice").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(OrchestratorTest, PatienceCountsSinceAServiceWasThereLastAndNotSinceItsJobBegan) {
  v1::System system = System();
  Apply(system);
  system.mutable_service_timeout()->set_seconds(3);
  v1::ApplySystemRequest apply;
  *apply.mutable_system() = system;
  ASSERT_TRUE(Call(&Stub::ApplySystem, apply).ok());
  const std::string name = Propose("long", "left", 0.5, /*seconds=*/8);
  WaitForStep(name, "train/left/0", v1::Step::RUNNING);
  // The training outlasts the timeout before its service dies.
  WaitFor(name, [&](const v1::Update& update) {
    const v1::Step& step = StepOf(update, "train/left/0");
    EXPECT_LE(step.state(), v1::Step::RUNNING);
    return step.progress().stage() == "working" && step.progress().step() >= 35;
  });
  Kill("a");
  StartService("a");
  const v1::Update done = WaitForEnd(name);
  EXPECT_EQ(done.state(), v1::Update::DECIDED) << done.error_message();
}

TEST_F(OrchestratorTest, CancellingReachesTheTrainingAndLeavesNoVersion) {
  Apply(System());
  const size_t before = VersionsOf("a", "first").size();
  const std::string name = Propose("slow", "left", 0.5, /*seconds=*/300);
  WaitForStep(name, "train/left/0", v1::Step::RUNNING);
  ASSERT_TRUE(Cancel(name, "stop").ok());
  EXPECT_EQ(Get(name).state(), v1::Update::CANCELLED);
  // It would train for five minutes.
  EXPECT_EQ(AwaitStepsEnd(name, "train/left/0"), v1::Step::CANCELLED);
  EXPECT_EQ(VersionsOf("a", "first").size(), before);
  EXPECT_TRUE(Cancel(name, "stop").ok());
  EXPECT_TRUE(Cancel(name).ok());
}

TEST_F(OrchestratorTest, ACancellingThatARestartInterruptedIsFinished) {
  Apply(System());
  const std::string name = Propose("slow", "left", 0.5, /*seconds=*/300);
  WaitForStep(name, "train/left/0", v1::Step::RUNNING);
  // The service is stopped, so that the cancelling can't be done before the orchestrator dies.
  processes_.at("a")->Signal(SIGSTOP);
  ASSERT_TRUE(Cancel(name).ok());
  Kill("o");
  processes_.at("a")->Signal(SIGCONT);
  StartOrchestrator();
  EXPECT_EQ(Get(name).state(), v1::Update::CANCELLED);
  EXPECT_EQ(AwaitStepsEnd(name, "train/left/0"), v1::Step::CANCELLED);
}

TEST_F(OrchestratorTest, EveryMutatingCallIsDoneOnce) {
  v1::ApplySystemRequest apply;
  *apply.mutable_system() = System();
  apply.set_request_id("apply");
  const auto applied = Call(&Stub::ApplySystem, apply);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(Call(&Stub::ApplySystem, apply)->update(), applied->update());
  ASSERT_EQ(WaitForEnd(applied->update()).state(), v1::Update::PROMOTED);

  const std::string left = Propose("left", "left", 0.5);
  EXPECT_EQ(Propose("left", "left", 0.5), left);
  EXPECT_EQ(Call(&Stub::ProposeUpdate, Proposal("left", "left", 0.75)).status().code(),
            absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(WaitForEnd(left).state(), v1::Update::DECIDED);
  const auto promoted = Promote(left, "promote");
  ASSERT_TRUE(promoted.ok()) << promoted.status();

  v1::RollbackReleaseRequest rollback;
  rollback.set_name("releases/1");
  rollback.set_reason("a test");
  rollback.set_request_id("rollback");
  ASSERT_TRUE(Call(&Stub::RollbackRelease, rollback).ok());
  // Late repetitions change nothing any more, also over a restart.
  Kill("o");
  StartOrchestrator();
  EXPECT_EQ(Promote(left, "promote")->name(), promoted->name());
  EXPECT_EQ(Call(&Stub::ApplySystem, apply)->update(), applied->update());
  const auto releases = Call(&Stub::ListReleases, v1::ListReleasesRequest());
  ASSERT_EQ(releases->releases_size(), 2);
  EXPECT_EQ(releases->releases(1).state(), v1::Release::LIVE);
  rollback.set_reason("another");
  EXPECT_EQ(Call(&Stub::RollbackRelease, rollback).status().code(),
            absl::StatusCode::kAlreadyExists);
  rollback.set_request_id("not ok");
  EXPECT_EQ(Call(&Stub::RollbackRelease, rollback).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(OrchestratorTest, ListsFilterAndPage) {
  Apply(System());
  for (const char* id : {"1", "2", "3"}) {
    const std::string name = Propose(id, "right", 0.1 * id[0]);
    ASSERT_EQ(WaitForEnd(name).state(), v1::Update::DECIDED);
  }
  v1::ListUpdatesRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    const auto page = Call(&Stub::ListUpdates, request);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->updates_size(), 2);
    for (const v1::Update& update : page->updates()) names.push_back(update.name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ::testing::ElementsAre("updates/4", "updates/3", "updates/2", "updates/1"));

  request.set_page_size(0);
  request.add_states(v1::Update::DECIDED);
  EXPECT_EQ(Call(&Stub::ListUpdates, request)->updates_size(), 3);
  request.set_vertex("left");
  EXPECT_EQ(Call(&Stub::ListUpdates, request)->updates_size(), 0);
  request.set_page_token("zebra");
  EXPECT_EQ(Call(&Stub::ListUpdates, request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(OrchestratorTest, AFullDiskFailsTheUpdateWhichGoesOnOnceThereIsRoom) {
  Apply(System());
  Kill("a");
  // A limit on the size of files stands for a full disk: outputs of a split don't fit.
  Start("a", {"/bin/bash", "-c", "ulimit -f 3; exec \"$@\"", "a", toy_service_,
              "--listen=" + Target("a"), "--data-dir=" + (directory_ / "a.d").string(),
              "--log-level=off"});
  ASSERT_TRUE(testing::WaitUntilReady(Target("a"), *processes_.at("a")));
  const std::string name = Propose("full", "left", 0.5);
  const v1::Update failed = WaitForEnd(name);
  ASSERT_EQ(failed.state(), v1::Update::FAILED);
  // Its own evaluation and its commitments need room at once; either may be the first.
  EXPECT_THAT(failed.error_message(),
              AnyOf(HasSubstr("step evaluate/left/0"), HasSubstr("step commit/left/0/")));
  EXPECT_THAT(failed.error_message(), HasSubstr("File too large"));
  EXPECT_TRUE(std::any_of(failed.steps().begin(), failed.steps().end(), [](const v1::Step& step) {
    return step.state() == v1::Step::FAILED && step.error_code() == 8;
  }));
  Kill("a");
  StartService("a");
  ASSERT_TRUE(Retry(name).ok());
  const v1::Update done = WaitForEnd(name);
  EXPECT_EQ(done.state(), v1::Update::DECIDED) << done.error_message();
}

TEST_F(OrchestratorTest, ADamagedVersionIsNamedAndNothingElseIsLost) {
  Apply(System());
  std::ofstream(directory_ / "a.d/models/first/versions/1/weights.bin") << "3.0";
  const std::string name = Propose("left", "left", 0.5);
  EXPECT_EQ(WaitForEnd(name).state(), v1::Update::DECIDED);  // It needs no old weights of `first`.
  v1::LoadVersionRequest load;
  load.set_name("models/first/versions/1");
  ToyClient client(Target("a"));
  v1::UnloadVersionRequest unload;
  unload.set_name(load.name());
  ASSERT_TRUE(client.Call(&v1::ModelService::Stub::UnloadVersion, unload).ok());
  const absl::Status status = client.Call(&v1::ModelService::Stub::LoadVersion, load).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("versions/1/weights.bin does not match"));
}

}  // namespace
}  // namespace backfire
