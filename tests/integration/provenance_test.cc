// What a child is made of, and what answers by a version's name, over real processes: a caller that
// names itself as a parent's endpoint, and a service that lost its disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "services/rpc/rpc_server.h"
#include "tests/support/orchestrator_fixture.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ToyClient;

// Says that it is a version's service, and gives one number for every example of `toy:50`.
class Liar final : public v1::ModelService::Service {
 public:
  grpc::Status Materialize(grpc::ServerContext*, const v1::MaterializeRequest*,
                           grpc::ServerWriter<v1::MaterializeResponse>* writer) override {
    for (int example = 0; example < 50; ++example) {
      const double y = 0.25;
      v1::MaterializeResponse piece;
      piece.set_example(example);
      piece.set_output("y");
      piece.set_datatype("FP64");
      piece.add_shape(1);
      piece.set_data(&y, sizeof(y));
      piece.set_last_piece(true);
      writer->Write(piece);
    }
    return grpc::Status::OK;
  }
};

class ProvenanceTest : public testing::OrchestratorFixture {
 protected:
  ProvenanceTest() : OrchestratorFixture(BACKFIRE_TOY_SERVICE, BACKFIRE_ORCHESTRATOR) {}
  void SetUp() override {
    runtime::RpcServerOptions options;
    options.listen = Target("liar");
    auto server = runtime::RpcServer::Start(options, {&liar_});
    ASSERT_TRUE(server.ok()) << server.status();
    liar_server_ = *std::move(server);
    StartService("a");
    StartService("b");
    StartOrchestrator();
    Apply(System());
  }
  v1::Endpoints LyingEndpoints() const {
    v1::Endpoints endpoints;
    (*endpoints.mutable_by_model())["models/first"] = Target("liar");
    return endpoints;
  }
  // Of the baseline, as anybody can read it.
  v1::Version VersionOf(const std::string& vertex) {
    return StepOf(Get("updates/1"), "train/" + vertex + "/0").version();
  }
  static double LossOf(const v1::Update& update, const std::string& step) {
    return StepOf(update, step).evaluation().losses(0).value();
  }

  Liar liar_;
  std::unique_ptr<runtime::RpcServer> liar_server_;
};

TEST_F(ProvenanceTest, AVerdictStandsWhateverAnonymousCallersLeftBehind) {
  // Whoever knows what will be proposed can train it first: the same inputs are the same version.
  ToyClient a(Target("a")), b(Target("b"));
  v1::TrainRequest first = ToyClient::TrainRequest("evil/first", "first", /*offset=*/0.3);
  first.set_seed(VersionOf("left").seed());
  const auto candidate = a.Train(first);
  ASSERT_TRUE(candidate.ok()) << candidate.status();
  v1::TrainRequest second = ToyClient::TrainRequest("evil/second", "second");
  *second.mutable_recipe() = VersionOf("sum").recipe();
  second.set_seed(VersionOf("sum").seed());
  *second.add_lineage() = ToyClient::ParentOf(candidate->version());
  *second.mutable_endpoints() = LyingEndpoints();
  const auto poisoned = b.Train(second);
  ASSERT_TRUE(poisoned.ok()) << poisoned.status();
  ASSERT_EQ(poisoned->state(), v1::Job::SUCCEEDED) << poisoned->error_message();
  // The same for the splits that verdicts are made of, by the version that is and that will be.
  for (const std::string& version : {poisoned->version().name(), VersionOf("sum").name()}) {
    v1::EvaluateRequest request = ToyClient::EvaluateRequest("evil/" + version, version);
    *request.add_swapped_parents() = ToyClient::ParentOf(candidate->version());
    *request.mutable_endpoints() = LyingEndpoints();
    const auto evaluated = b.Evaluate(request);
    ASSERT_TRUE(evaluated.ok()) << evaluated.status();
    ASSERT_EQ(evaluated->state(), v1::Job::SUCCEEDED) << evaluated->error_message();
    EXPECT_GT(evaluated->evaluation().losses(0).value(), 0.2) << "it would show";
  }

  const v1::Update update = WaitForEnd(Propose("p", "left", /*offset=*/0.3));
  ASSERT_EQ(update.state(), v1::Update::DECIDED) << update.error_message();
  EXPECT_EQ(StepOf(update, "train/left/0").version().name(), candidate->version().name())
      << "else nothing was poisoned";
  const v1::Version retrained = StepOf(update, "train/sum/0").version();
  EXPECT_NE(retrained.name(), poisoned->version().name());
  ASSERT_EQ(retrained.trained_on_size(), 1);
  EXPECT_EQ(retrained.trained_on(0).outputs_digest(),
            StepOf(update, "commit/left/0/train").commitment().outputs_digest());
  // On its own outputs the child makes up for the offset, and without retraining it is off by it.
  EXPECT_LT(LossOf(update, "evaluate/sum/0"), 0.05);
  EXPECT_NEAR(LossOf(update, "evaluate-swapped/sum/0"), 0.15, 0.1);
}

TEST_F(ProvenanceTest, AParentThatLiesIsCaughtWhereItIsHeldToItsCommitment) {
  const v1::Update baseline = Get("updates/1");
  // What it has verified before it would find, and not ask for again.
  Kill("b");
  std::filesystem::remove_all(directory_ / "b.d" / "outputs");
  StartService("b");
  ToyClient b(Target("b"));
  v1::TrainRequest request = ToyClient::TrainRequest("held", "second");
  request.set_seed(77);
  *request.add_lineage() = ToyClient::ParentOf(VersionOf("left"));
  *request.add_commitments() = StepOf(baseline, "commit/left/0/train").commitment();
  *request.mutable_endpoints() = LyingEndpoints();
  const auto trained = b.Train(request);
  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_EQ(trained->state(), v1::Job::FAILED);
  EXPECT_EQ(trained->error_code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_THAT(trained->error_message(),
              AllOf(HasSubstr(VersionOf("left").name()), HasSubstr("split train"),
                    HasSubstr(Target("liar")), HasSubstr("retry the update")));
}

TEST_F(ProvenanceTest, AServiceThatLostItsDiskDoesNotAnswerForTheLiveRelease) {
  Start("g",
        {BACKFIRE_GATEWAY, "--listen=" + Target("g"), "--orchestrator=" + Target("o"), "--name=g"});
  ASSERT_TRUE(testing::WaitUntilReady(Target("g"), *processes_.at("g")))
      << processes_.at("g")->Log();
  ToyClient gateway(Target("g"));
  const auto before = gateway.Infer("left", "", "x", 1);
  ASSERT_TRUE(before.ok()) << before.status();

  Kill("a");
  std::filesystem::remove_all(directory_ / "a.d");
  StartService("a");
  const v1::Update refused = WaitForEnd(Propose("again", "left", /*offset=*/0.3));
  ASSERT_EQ(refused.state(), v1::Update::FAILED);
  EXPECT_THAT(refused.error_message(),
              AllOf(HasSubstr(VersionOf("left").name()), HasSubstr("restore it from a backup")));

  // Loaded by its name, it is another than what the release was made of.
  ToyClient a(Target("a"));
  v1::LoadVersionRequest load;
  load.set_name(VersionOf("left").name());
  load.set_digest(VersionOf("left").digest());
  EXPECT_TRUE(absl::IsDataLoss(a.Call(&v1::ModelService::Stub::LoadVersion, load).status()));
  ASSERT_TRUE(a.Load(VersionOf("left").name()).ok()) << "by whoever knows no digest";
  const auto after = gateway.Infer("left", "", "x", 1);
  EXPECT_TRUE(absl::IsDataLoss(after.status())) << after.status();

  // Another baseline serves again.
  v1::System system = System();
  system.set_seed(5);
  Apply(system);
  // The gateway hears of it by its stream.
  absl::StatusOr<inference::ModelInferResponse> again = gateway.Infer("left", "2", "x", 1);
  while (absl::IsNotFound(again.status())) again = gateway.Infer("left", "2", "x", 1);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NEAR(ToyClient::Number(*again), ToyClient::Number(*before), 0.1);
}

}  // namespace
}  // namespace backfire
