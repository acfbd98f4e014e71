// A model service as a process of its own: what it promises over RPC, over restarts and kills.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <regex>
#include <thread>

#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/runtime/recipe.h"
#include "services/runtime/version_file.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using testing::ChildProcess;
using ::testing::HasSubstr;
using testing::ToyClient;

class ModelServiceTest : public ::testing::Test {
 protected:
  // A service with a data directory and a socket of that name.
  std::unique_ptr<ChildProcess> Start(const std::string& name) {
    auto process = StartWithoutWaiting(name);
    EXPECT_TRUE(testing::WaitUntilReady(Target(name), *process)) << process->Log();
    return process;
  }
  std::unique_ptr<ChildProcess> StartWithoutWaiting(const std::string& name,
                                                    const std::vector<std::string>& flags = {}) {
    std::vector<std::string> command = {BACKFIRE_TOY_SERVICE, "--listen=" + Target(name),
                                        "--data-dir=" + DataDirectory(name)};
    command.insert(command.end(), flags.begin(), flags.end());
    return std::make_unique<ChildProcess>(command, directory_ / (name + ".log"));
  }
  std::string Target(const std::string& name) { return "unix:" + (directory_ / name).string(); }
  std::string DataDirectory(const std::string& name) { return directory_ / (name + ".data"); }

  testing::TemporaryDirectory directory_;
};

TEST_F(ModelServiceTest, TrainingWhatWasTrainedReturnsIt) {
  const auto service = Start("a");
  ToyClient client(Target("a"));
  const auto first = client.Train(ToyClient::TrainRequest("one", "first"));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->state(), v1::Job::SUCCEEDED) << first->error_message();
  EXPECT_EQ(first->version().name(), "models/first/versions/1");
  const auto again = client.Train(ToyClient::TrainRequest("two", "first"));
  EXPECT_EQ(again->version().digest(), first->version().digest());
  EXPECT_EQ(again->version().name(), first->version().name());
  EXPECT_EQ(again->compute_seconds(), 0);
  const auto other = client.Train(ToyClient::TrainRequest("three", "first", 0.5));
  EXPECT_EQ(other->version().name(), "models/first/versions/2");
  EXPECT_NE(other->version().digest(), first->version().digest());
}

TEST_F(ModelServiceTest, StartsFromWeightsThatComeWithTheModel) {
  const auto service = Start("a");
  ToyClient client(Target("a"));
  const auto train = [&](const std::string& id, const std::string& start) {
    v1::TrainRequest request = ToyClient::TrainRequest(id, "first");
    (*request.mutable_recipe()->mutable_parameters()->mutable_fields())[runtime::kInitializeFrom]
        .set_string_value(start);
    return client.Train(request);
  };
  const auto scratch = train("scratch", ""), steep = train("steep", "pretrained:steep");
  ASSERT_TRUE(steep.ok()) << steep.status();
  ASSERT_EQ(steep->state(), v1::Job::SUCCEEDED) << steep->error_message();
  EXPECT_EQ(steep->version().initial_digest(), Sha256Hex("10"));
  EXPECT_NE(steep->version().input_key(), scratch->version().input_key());
  EXPECT_NE(steep->version().digest(), scratch->version().digest());

  const auto unknown = train("unknown", "pretrained:flat");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()),
              HasSubstr("recipe.parameters.initialize_from: there are steep and damaged"));
  const auto damaged = train("damaged", "pretrained:damaged");
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr("initialize_from"));
}

TEST_F(ModelServiceTest, AChildIsFedByItsLineageFromAnotherProcess) {
  const auto parent_service = Start("parent");
  const auto child_service = Start("child");
  ToyClient parent(Target("parent"));
  ToyClient child(Target("child"));
  const auto good = parent.Train(ToyClient::TrainRequest("good", "first"));
  const auto bad = parent.Train(ToyClient::TrainRequest("bad", "first", 2.0));
  ASSERT_TRUE(good.ok() && bad.ok());

  v1::TrainRequest train = ToyClient::TrainRequest("child", "second");
  *train.add_lineage() = ToyClient::ParentOf(good->version());
  EXPECT_EQ(child.Train(train)->error_code(), 9) << "no endpoint: FAILED_PRECONDITION";
  train.set_request_id("child-2");
  (*train.mutable_endpoints()->mutable_by_model())["models/first"] = parent.target();
  const auto trained = child.Train(train);
  ASSERT_EQ(trained->state(), v1::Job::SUCCEEDED) << trained->error_message();

  v1::EvaluateRequest evaluate = ToyClient::EvaluateRequest("e", trained->version().name());
  *evaluate.mutable_endpoints() = train.endpoints();
  const auto own = child.Evaluate(evaluate);
  ASSERT_EQ(own->state(), v1::Job::SUCCEEDED) << own->error_message();
  EXPECT_LT(own->evaluation().losses(0).value(), 0.01);
  EXPECT_EQ(own->evaluation().losses(0).resampled_size(), 3);
  EXPECT_EQ(own->evaluation().example_count(), 50);

  // Slope 4 instead of 2: without retraining the child is off by a factor of 2.
  evaluate.set_request_id("swapped");
  *evaluate.add_swapped_parents() = ToyClient::ParentOf(bad->version());
  const auto swapped = child.Evaluate(evaluate);
  ASSERT_EQ(swapped->state(), v1::Job::SUCCEEDED) << swapped->error_message();
  EXPECT_GT(swapped->evaluation().losses(0).value(), 0.5);
  // The exception left no trace in what belongs to the lineage.
  evaluate.set_request_id("again");
  evaluate.clear_swapped_parents();
  EXPECT_EQ(child.Evaluate(evaluate)->evaluation().losses(0).value(),
            own->evaluation().losses(0).value());

  // A parent whose digest is not the lineage's is refused.
  v1::TrainRequest forged = train;
  forged.set_request_id("forged");
  forged.mutable_lineage(0)->set_digest(std::string(64, '0'));
  const auto refused = child.Train(forged);
  EXPECT_EQ(refused->state(), v1::Job::FAILED);
  EXPECT_EQ(refused->error_code(), static_cast<int>(absl::StatusCode::kDataLoss));
}

TEST_F(ModelServiceTest, AParentThatIsAwayForAWhileIsWaitedFor) {
  auto parent_service = Start("parent");
  const auto child_service = Start("child");
  ToyClient parent(Target("parent"));
  ToyClient child(Target("child"));
  const auto first = parent.Train(ToyClient::TrainRequest("p", "first"));
  parent_service->Kill();
  v1::TrainRequest train = ToyClient::TrainRequest("c", "second");
  *train.add_lineage() = ToyClient::ParentOf(first->version());
  (*train.mutable_endpoints()->mutable_by_model())["models/first"] = parent.target();
  ASSERT_TRUE(child.Call(&v1::ModelService::Stub::Train, train).ok());
  parent_service = Start("parent");
  const auto job = child.Wait("jobs/c");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::Job::SUCCEEDED) << job->error_message();
}

TEST_F(ModelServiceTest, KilledHalfWayItGivesTheSameVersion) {
  const auto undisturbed_service = Start("undisturbed");
  ToyClient undisturbed(Target("undisturbed"));
  const v1::TrainRequest request = ToyClient::TrainRequest("r", "first", 0.25, 1.0);
  auto service = Start("killed");
  ToyClient client(Target("killed"));
  ASSERT_TRUE(client.Call(&v1::ModelService::Stub::Train, request).ok());
  service->Kill();
  service = Start("killed");
  ToyClient restarted(Target("killed"));
  const auto job = restarted.Wait("jobs/r");
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_EQ(job->state(), v1::Job::SUCCEEDED) << job->error_message();
  EXPECT_EQ(job->version().digest(), undisturbed.Train(request)->version().digest());
}

TEST_F(ModelServiceTest, CancelReachesATraining) {
  const auto service = Start("a");
  ToyClient client(Target("a"));
  ASSERT_TRUE(
      client.Call(&v1::ModelService::Stub::Train, ToyClient::TrainRequest("long", "first", 0, 500))
          .ok());
  v1::CancelJobRequest cancel;
  cancel.set_name("jobs/long");
  ASSERT_TRUE(client.Call(&v1::ModelService::Stub::CancelJob, cancel).ok());
  EXPECT_EQ(client.Wait("jobs/long")->state(), v1::Job::CANCELLED);
}

TEST_F(ModelServiceTest, LoadedVersionsServeAlsoAfterARestart) {
  auto service = Start("a");
  std::string name;
  {
    ToyClient client(Target("a"));
    name = client.Train(ToyClient::TrainRequest("t", "first"))->version().name();
    EXPECT_TRUE(absl::IsNotFound(client.Infer("first", "", "x", 1).status()));
    EXPECT_TRUE(absl::IsUnavailable(client.Infer("first", "1", "x", 1).status()));
    EXPECT_TRUE(absl::IsNotFound(client.Infer("first", "2", "x", 1).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(client.Infer("first", "latest", "x", 1).status()));
    EXPECT_TRUE(absl::IsNotFound(client.Infer("third", "1", "x", 1).status()));
    ASSERT_TRUE(client.Load(name).ok());
    const auto response = client.Infer("first", "", "x", 3);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->model_version(), "1");
    EXPECT_EQ(response->id(), "test");
    EXPECT_NEAR(ToyClient::Number(*response), 6, 0.1);
    EXPECT_TRUE(absl::IsInvalidArgument(client.Infer("first", "", "x", std::nan("")).status()));
    v1::DeleteVersionRequest remove;
    remove.set_name(name);
    EXPECT_TRUE(absl::IsFailedPrecondition(
        client.Call(&v1::ModelService::Stub::DeleteVersion, remove).status()));
  }
  service->Kill();
  service = Start("a");
  ToyClient client(Target("a"));
  EXPECT_TRUE(client.Infer("first", "1", "x", 3).ok());
  EXPECT_TRUE(client.Unload(name).ok());
  EXPECT_TRUE(client.Unload(name).ok());
  EXPECT_TRUE(absl::IsUnavailable(client.Infer("first", "1", "x", 3).status()));
}

TEST_F(ModelServiceTest, AVersionThatKnowsNothingOfANewParameterIsLoadedByItsDefault) {
  auto service = Start("a");
  ToyClient client(Target("a"));
  ASSERT_EQ(client.Train(ToyClient::TrainRequest("one", "first"))->state(), v1::Job::SUCCEEDED);
  ASSERT_TRUE(client.Load("models/first/versions/1").ok());
  service.reset();
  // As if a program had trained it whose recipe had no such parameter yet.
  const std::filesystem::path folder =
      std::filesystem::path(DataDirectory("a")) / "models/first/versions/1";
  auto version = runtime::ReadVersionFile(folder, "models/first", 1, runtime::Unsealed::kRefuse);
  ASSERT_TRUE(version.ok()) << version.status();
  const auto weights = runtime::ReadWeightsFile(folder, *version);
  ASSERT_TRUE(weights.ok()) << weights.status();
  ASSERT_EQ(version->mutable_recipe()->mutable_parameters()->mutable_fields()->erase("offset"), 1u);
  version->set_input_key(runtime::ComputeInputKey("models/first", *version));
  version->set_digest(runtime::ComputeDigest(version->input_key(), *weights));
  ASSERT_TRUE(runtime::WriteVersionFile(folder, *version).ok());

  service = Start("a");
  const auto response = ToyClient(Target("a")).Infer("first", "1", "x", 2);
  EXPECT_TRUE(response.ok()) << response.status() << service->Log();
  const auto evaluation =
      ToyClient(Target("a")).Evaluate(ToyClient::EvaluateRequest("e", "models/first/versions/1"));
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_EQ(evaluation->state(), v1::Job::SUCCEEDED) << evaluation->error_message();
}

TEST_F(ModelServiceTest, TruncatedWeightsAreRefusedAndNameTheFile) {
  const auto service = Start("a");
  ToyClient client(Target("a"));
  const std::string name = client.Train(ToyClient::TrainRequest("t", "first"))->version().name();
  std::filesystem::resize_file(
      std::filesystem::path(DataDirectory("a")) / "models/first/versions/1/weights.bin", 2);
  const absl::Status status = client.Load(name);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("versions/1/weights.bin"));
  EXPECT_TRUE(client.Train(ToyClient::TrainRequest("u", "first", 1)).ok()) << "and goes on";
}

TEST_F(ModelServiceTest, BadRequestsAreAnsweredBeforeAJobStarts) {
  const auto service = Start("a");
  ToyClient client(Target("a"));
  const auto fault = [&](const v1::TrainRequest& request) {
    return client.Call(&v1::ModelService::Stub::Train, request).status();
  };
  v1::TrainRequest request = ToyClient::TrainRequest("r", "first");
  request.mutable_recipe()->set_name("alchemy");
  EXPECT_TRUE(absl::IsInvalidArgument(fault(request)));
  EXPECT_THAT(std::string(fault(request).message()), HasSubstr("least-squares"));
  EXPECT_TRUE(absl::IsNotFound(fault(ToyClient::TrainRequest("r", "third"))));
  request = ToyClient::TrainRequest("r", "first");
  request.mutable_dataset()->clear_uri();
  EXPECT_TRUE(absl::IsInvalidArgument(fault(request)));
  request = ToyClient::TrainRequest("r", "first");
  request.set_seed(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(fault(request)));
  request = ToyClient::TrainRequest("r", "second");
  request.add_lineage()->set_input("z");
  EXPECT_THAT(std::string(fault(request).message()), HasSubstr("lineage[0].input"));
  v1::EvaluateRequest evaluate = ToyClient::EvaluateRequest("e", "models/first/versions/9");
  EXPECT_TRUE(absl::IsNotFound(client.Call(&v1::ModelService::Stub::Evaluate, evaluate).status()));
  v1::GetJobRequest job;
  job.set_name("jobs/none");
  EXPECT_TRUE(absl::IsNotFound(client.Call(&v1::ModelService::Stub::GetJob, job).status()));
}

TEST_F(ModelServiceTest, OneProcessPerDataDirectoryAndPerAddress) {
  const auto service = Start("a");
  ChildProcess same_directory(
      {BACKFIRE_TOY_SERVICE, "--listen=" + Target("b"), "--data-dir=" + DataDirectory("a")},
      directory_ / "b.log");
  EXPECT_EQ(same_directory.Wait(), 1);
  EXPECT_THAT(same_directory.Log(), HasSubstr("another process uses the data directory"));
  ChildProcess same_address(
      {BACKFIRE_TOY_SERVICE, "--listen=" + Target("a"), "--data-dir=" + DataDirectory("c")},
      directory_ / "c.log");
  EXPECT_EQ(same_address.Wait(), 1);
  EXPECT_THAT(same_address.Log(), HasSubstr("already listens on unix:"));
  ChildProcess unknown_flag({BACKFIRE_TOY_SERVICE, "--data-dir=x", "--colour=red"},
                            directory_ / "d.log");
  EXPECT_EQ(unknown_flag.Wait(), 2);
  EXPECT_THAT(unknown_flag.Log(), HasSubstr("--colour=red"));
}

TEST_F(ModelServiceTest, SigtermInterruptsATrainingThatGoesOnLater) {
  auto service = Start("a");
  {
    ToyClient client(Target("a"));
    ASSERT_TRUE(
        client.Call(&v1::ModelService::Stub::Train, ToyClient::TrainRequest("t", "first", 0, 1.0))
            .ok());
  }
  service->Signal(SIGTERM);
  EXPECT_EQ(service->Wait(), 0) << service->Log();
  service = Start("a");
  ToyClient client(Target("a"));
  EXPECT_EQ(client.Wait("jobs/t")->state(), v1::Job::SUCCEEDED);
}

// Returns once a job opens its dataset; false: it ended.
bool WaitUntilItOpens(const std::string& target, const std::string& job) {
  const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(target));
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Minutes(1));
  v1::WatchJobRequest request;
  request.set_name(job);
  const auto reader = stub->WatchJob(&context, request);
  v1::Job seen;
  bool opens = false;
  while (!opens && reader->Read(&seen)) opens = seen.progress().stage() == "opening the dataset";
  context.TryCancel();
  EXPECT_TRUE(opens) << seen.ShortDebugString();
  return opens;
}

TEST_F(ModelServiceTest, ADatasetThatIsOpenedForeverKeepsNothingFromEnding) {
  auto service = StartWithoutWaiting("a", {"--drain-seconds=1", "--jobs=1"});
  ASSERT_TRUE(testing::WaitUntilReady(Target("a"), *service)) << service->Log();
  ToyClient client(Target("a"));
  const v1::Version version = client.Train(ToyClient::TrainRequest("t", "first"))->version();
  v1::TrainRequest train = ToyClient::TrainRequest("endless/train", "first");
  train.mutable_dataset()->set_uri("toy:endless");
  v1::EvaluateRequest evaluate = ToyClient::EvaluateRequest("endless/evaluate", version.name());
  *evaluate.mutable_dataset() = train.dataset();
  v1::CommitOutputsRequest commit;
  commit.set_request_id("endless/commit");
  commit.set_version(version.name());
  commit.set_split("test");
  *commit.mutable_dataset() = train.dataset();
  // The only worker is free again each time.
  const auto cancelled = [&](const absl::StatusOr<v1::Job>& job) {
    ASSERT_TRUE(job.ok()) << job.status();
    ASSERT_TRUE(WaitUntilItOpens(Target("a"), job->name()));
    v1::CancelJobRequest request;
    request.set_name(job->name());
    ASSERT_TRUE(client.Call(&v1::ModelService::Stub::CancelJob, request).ok());
    const auto ended = client.Wait(job->name());
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_EQ(ended->state(), v1::Job::CANCELLED) << ended->ShortDebugString();
  };
  cancelled(client.Call(&v1::ModelService::Stub::Train, train));
  cancelled(client.Call(&v1::ModelService::Stub::Evaluate, evaluate));
  cancelled(client.Call(&v1::ModelService::Stub::CommitOutputs, commit));

  // Calls end with their caller's patience, and the process with a job and two calls under way.
  train.set_request_id("endless/again");
  ASSERT_TRUE(client.Call(&v1::ModelService::Stub::Train, train).ok());
  ASSERT_TRUE(WaitUntilItOpens(Target("a"), "jobs/endless/again"));
  const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(Target("a")));
  v1::ResolveRecipeRequest resolve;
  resolve.set_model("models/first");
  *resolve.mutable_recipe() = train.recipe();
  *resolve.mutable_dataset() = train.dataset();
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(runtime::UnaryCall(*stub, &v1::ModelService::Stub::ResolveRecipe,
                                                  resolve, absl::Milliseconds(200))
                                   .status()));
  std::thread resolving(
      [&] { EXPECT_FALSE(client.Call(&v1::ModelService::Stub::ResolveRecipe, resolve).ok()); });
  v1::MaterializeRequest materialize;
  materialize.set_version(version.name());
  materialize.set_split("test");
  *materialize.mutable_dataset() = train.dataset();
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Minutes(1));
  const auto reader = stub->Materialize(&context, materialize);
  service->Signal(SIGTERM);
  EXPECT_EQ(service->Wait(), 0) << service->Log();
  resolving.join();
  v1::MaterializeResponse none;
  EXPECT_FALSE(reader->Read(&none));
  EXPECT_FALSE(reader->Finish().ok());
  // It goes on later, as a job does that was interrupted.
  service = Start("a");
  EXPECT_TRUE(WaitUntilItOpens(Target("a"), "jobs/endless/again"));
  service->Signal(SIGTERM);
  EXPECT_EQ(service->Wait(), 0) << service->Log();
}

TEST_F(ModelServiceTest, FilesOfDatasetsAreReadFromTheRootsAlone) {
  std::filesystem::create_directories(directory_ / "data");
  std::filesystem::create_directory_symlink("data", directory_ / "linked");
  const auto write = [&](const std::string& name) {
    EXPECT_TRUE(WriteFileAtomically(directory_ / name, "50").ok());
    return "toy:@" + (directory_ / name).string();
  };
  const std::string inside = write("data/size"), outside = write("size");
  ASSERT_TRUE(WriteFileAtomically(directory_ / "token", std::string(64, 'a')).ok());
  std::filesystem::permissions(directory_ / "token", std::filesystem::perms::owner_read);
  // What a service that is started so says of a recipe with this dataset.
  const auto resolve = [](const std::string& target, const std::string& uri,
                          const std::string& token = "") {
    const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(target));
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    v1::ResolveRecipeRequest request;
    request.set_model("models/first");
    request.mutable_recipe()->set_name("least-squares");
    request.mutable_dataset()->set_uri(uri);
    v1::ResolveRecipeResponse response;
    return runtime::FromGrpcStatus(stub->ResolveRecipe(&context, request, &response));
  };
  const auto given = [&](const std::string& name, const std::vector<std::string>& flags) {
    auto service = StartWithoutWaiting(name, flags);
    EXPECT_TRUE(testing::WaitUntilReady(Target(name), *service)) << service->Log();
    return service;
  };
  {
    // Nobody but the owner reaches a socket.
    const auto service = given("a", {});
    EXPECT_TRUE(resolve(Target("a"), outside).ok());
  }
  for (const std::string& root :
       {(directory_ / "data").string(), (directory_ / "linked").string(),
        (directory_ / "a.data").string() + ":" + (directory_ / "data").string()}) {
    const auto service = given("b", {"--dataset-root=" + root});
    EXPECT_TRUE(resolve(Target("b"), inside).ok()) << root;
    const absl::Status refused = resolve(Target("b"), outside);
    EXPECT_TRUE(absl::IsPermissionDenied(refused)) << root << ": " << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr((directory_ / "size").string()));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("--dataset-root"));
    EXPECT_TRUE(resolve(Target("b"), "toy:50").ok()) << "which has no file";
    // A job fails by it as well.
    v1::TrainRequest train = ToyClient::TrainRequest("t", "first");
    train.mutable_dataset()->set_uri(outside);
    const auto job = ToyClient(Target("b")).Train(train);
    ASSERT_TRUE(job.ok()) << job.status();
    EXPECT_EQ(job->error_code(), static_cast<int>(absl::StatusCode::kPermissionDenied));
  }
  ChildProcess no_root({BACKFIRE_TOY_SERVICE, "--data-dir=" + DataDirectory("d"),
                        "--dataset-root=" + (directory_ / "nothing").string()},
                       directory_ / "d.log");
  EXPECT_EQ(no_root.Wait(), 1);
  EXPECT_THAT(no_root.Log(), HasSubstr("--dataset-root: " + (directory_ / "nothing").string()));

  // On a port anybody of this machine calls, unless there is a token.
  const auto on_port = [&](const std::string& name, const std::vector<std::string>& flags) {
    std::vector<std::string> all = {"--listen=localhost:0"};
    all.insert(all.end(), flags.begin(), flags.end());
    all.insert(all.begin(), {BACKFIRE_TOY_SERVICE, "--data-dir=" + DataDirectory(name)});
    return std::make_unique<ChildProcess>(all, directory_ / (name + ".log"));
  };
  const auto endpoint = [](const ChildProcess& service) {
    std::smatch found;
    const std::regex said("state=LISTENING endpoint=(\\S+)");
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    std::string log;
    while (!std::regex_search(log, found, said) && std::chrono::steady_clock::now() < give_up) {
      log = service.Log();
    }
    return found.empty() ? std::string("localhost:1") : found[1].str();
  };
  const auto open = on_port("e", {});
  EXPECT_TRUE(absl::IsPermissionDenied(resolve(endpoint(*open), inside)));
  const auto guarded = on_port("f", {"--token-file=" + (directory_ / "token").string()});
  const absl::Status shown = resolve(endpoint(*guarded), outside, std::string(64, 'a'));
  EXPECT_TRUE(shown.ok()) << shown;
}

}  // namespace
}  // namespace backfire
