// The commands against an orchestrator that says what it is told to.
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "orchestrator/cli/command_line.h"
#include "services/base/mutex.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Keeps updates in memory; what a proposal becomes is set by the test.
class FakeOrchestrator final : public v1::Orchestrator::Service {
 public:
  v1::Update template_update;   ///< What a new proposal becomes.
  int proposals_to_cancel = 0;  ///< New proposals that are cancelled at once.
  int streams_to_break = 0;     ///< Watches that end with UNAVAILABLE after one message.

  grpc::Status GetSystem(grpc::ServerContext*, const v1::GetSystemRequest*,
                         v1::GetSystemResponse* response) override {
    response->mutable_system()->set_name("stereo");
    response->set_revision(3);
    response->set_baseline_update("updates/1");
    return grpc::Status::OK;
  }
  grpc::Status ProposeUpdate(grpc::ServerContext*, const v1::ProposeUpdateRequest* request,
                             v1::Update* response) override {
    MutexLock lock(mutex_);
    auto [found, is_new] = by_request_.emplace(request->request_id(), "");
    if (is_new) {
      found->second = "updates/" + std::to_string(updates_.size() + 1);
      v1::Update& update = updates_[found->second];
      update = template_update;
      if (proposals_to_cancel > 0) {
        --proposals_to_cancel;
        update.set_state(v1::Update::CANCELLED);
      }
      update.set_name(found->second);
      update.set_vertex(request->vertex());
      *update.mutable_recipe() = request->recipe();
    }
    *response = updates_[found->second];
    return grpc::Status::OK;
  }
  grpc::Status GetUpdate(grpc::ServerContext*, const v1::GetUpdateRequest* request,
                         v1::Update* response) override {
    MutexLock lock(mutex_);
    const auto found = updates_.find(request->name());
    if (found == updates_.end()) {
      return {grpc::StatusCode::NOT_FOUND, "no update " + request->name()};
    }
    *response = found->second;
    return grpc::Status::OK;
  }
  grpc::Status WatchUpdate(grpc::ServerContext* context, const v1::WatchUpdateRequest* request,
                           grpc::ServerWriter<v1::Update>* writer) override {
    v1::GetUpdateRequest get;
    get.set_name(request->name());
    v1::Update update;
    if (const grpc::Status status = GetUpdate(context, &get, &update); !status.ok()) return status;
    MutexLock lock(mutex_);
    if (streams_to_break > 0) {
      --streams_to_break;
      update.set_state(v1::Update::RETRAINING);
      writer->Write(update);
      return {grpc::StatusCode::UNAVAILABLE, "draining"};
    }
    writer->Write(update);
    return grpc::Status::OK;
  }
  grpc::Status RetryUpdate(grpc::ServerContext*, const v1::RetryUpdateRequest* request,
                           v1::Update* response) override {
    MutexLock lock(mutex_);
    v1::Update& update = updates_[request->name()];
    update.set_state(v1::Update::DECIDED);
    update.mutable_verdict()->set_outcome(v1::Verdict::SAFE);
    *response = update;
    return grpc::Status::OK;
  }
  grpc::Status ListUpdates(grpc::ServerContext*, const v1::ListUpdatesRequest* request,
                           v1::ListUpdatesResponse* response) override {
    MutexLock lock(mutex_);
    // A page each, newest first.
    std::vector<v1::Update> newest_first;
    for (const auto& [name, update] : updates_) newest_first.insert(newest_first.begin(), update);
    const size_t page = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    if (page < newest_first.size()) *response->add_updates() = newest_first[page];
    if (page + 1 < newest_first.size()) response->set_next_page_token(std::to_string(page + 1));
    return grpc::Status::OK;
  }
  grpc::Status ListReleases(grpc::ServerContext*, const v1::ListReleasesRequest*,
                            v1::ListReleasesResponse* response) override {
    v1::Release& release = *response->add_releases();
    release.set_name("releases/1");
    release.set_state(v1::Release::LIVE);
    return grpc::Status::OK;
  }
  grpc::Status PromoteUpdate(grpc::ServerContext*, const v1::PromoteUpdateRequest* request,
                             v1::Release* response) override {
    if (!request->override()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "the verdict is not SAFE"};
    }
    response->set_name("releases/2");
    response->set_reason(request->reason());
    return grpc::Status::OK;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::string> by_request_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::Update> updates_ ABSL_GUARDED_BY(mutex_);
};

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() : endpoint_("unix:" + (directory_ / "orchestrator").string()) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(endpoint_, grpc::InsecureServerCredentials());
    builder.RegisterService(&orchestrator_);
    server_ = builder.BuildAndStart();
    orchestrator_.template_update.set_state(v1::Update::DECIDED);
    orchestrator_.template_update.set_release("releases/2");
    orchestrator_.template_update.mutable_verdict()->set_outcome(v1::Verdict::SAFE);
  }
  ExitCode Run(std::vector<std::string> arguments) {
    out_.str("");
    err_.str("");
    Session session;
    session.out = &out_;
    session.err = &err_;
    session.data_directory = directory_ / "data";
    arguments.push_back("--orchestrator=" + endpoint_);
    return RunCommandLine(session, arguments);
  }
  ExitCode Propose(const std::string& flag = "--watch") {
    return Run(
        {"update", "propose", "--vertex", "disparity", "--recipe", "r", "--set", "steps=5", flag});
  }

  testing::TemporaryDirectory directory_;
  std::string endpoint_;
  FakeOrchestrator orchestrator_;
  std::unique_ptr<grpc::Server> server_;
  std::ostringstream out_, err_;
};

TEST_F(CommandsTest, ProposingTheSameAgainFindsTheSameUpdate) {
  EXPECT_EQ(Propose(), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("updates/1: disparity -> r (steps=5), DECIDED"));
  EXPECT_THAT(out_.str(), HasSubstr("Verdict: SAFE"));
  EXPECT_EQ(Propose(), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("updates/1: "));
}

TEST_F(CommandsTest, ProposingAgainWhatWasCancelledIsANewUpdate) {
  orchestrator_.proposals_to_cancel = 2;
  EXPECT_EQ(Run({"update", "propose", "--vertex", "v", "--recipe", "r"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("updates/3: v -> r, DECIDED"));
  EXPECT_EQ(Run({"update", "show", "1"}), ExitCode::kUndecided);
  EXPECT_THAT(out_.str(), HasSubstr("CANCELLED"));
}

TEST_F(CommandsTest, TheGateTurnsVerdictsIntoExitCodes) {
  EXPECT_EQ(Propose("--gate"), ExitCode::kOk);
  orchestrator_.template_update.mutable_verdict()->set_outcome(v1::Verdict::SELF_DEFEATING);
  orchestrator_.template_update.mutable_verdict()->set_harmed(true);
  EXPECT_EQ(Run({"update", "propose", "--vertex", "v", "--recipe", "a", "--gate"}),
            ExitCode::kRefused);
  EXPECT_THAT(out_.str(), HasSubstr("SELF_DEFEATING"));
  orchestrator_.template_update.mutable_verdict()->set_outcome(v1::Verdict::INCONCLUSIVE);
  orchestrator_.template_update.mutable_verdict()->set_harmed(false);
  EXPECT_EQ(Run({"update", "propose", "--vertex", "v", "--recipe", "b", "--gate"}),
            ExitCode::kUndecided);
}

TEST_F(CommandsTest, WatchingOutlastsARestartOfTheOrchestrator) {
  orchestrator_.streams_to_break = 2;
  EXPECT_EQ(Propose(), ExitCode::kOk);
  EXPECT_THAT(err_.str(), HasSubstr("RETRAINING"));
  EXPECT_THAT(out_.str(), HasSubstr("Verdict: SAFE"));
}

TEST_F(CommandsTest, AFailedUpdateFailsUnlessItIsRetried) {
  orchestrator_.template_update.set_state(v1::Update::FAILED);
  orchestrator_.template_update.set_error_message("train/car/0: out of disk");
  orchestrator_.template_update.clear_verdict();
  EXPECT_EQ(Propose(), ExitCode::kFailed);
  EXPECT_THAT(out_.str(), HasSubstr("Failed: train/car/0: out of disk"));
  EXPECT_EQ(Run({"update", "watch", "latest", "--retry"}), ExitCode::kOk);
  EXPECT_THAT(err_.str(), HasSubstr("going on"));
}

TEST_F(CommandsTest, ListsEveryPage) {
  for (const char* recipe : {"a", "b", "c"}) {
    EXPECT_EQ(Run({"update", "propose", "--vertex", "v", "--recipe", recipe}), ExitCode::kOk);
  }
  EXPECT_EQ(Run({"update", "list"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("updates/3"));
  EXPECT_THAT(out_.str(), HasSubstr("updates/1"));
  EXPECT_EQ(Run({"update", "list", "--format", "json"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"name\": \"updates/2\""));
}

TEST_F(CommandsTest, NamesOfUpdatesAreResolved) {
  EXPECT_EQ(Propose(), ExitCode::kOk);
  EXPECT_EQ(Run({"update", "show", "baseline", "--field", "name"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "updates/1\n");
  EXPECT_EQ(Run({"update", "show", "1", "--field", "release"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "releases/2\n");
  EXPECT_EQ(Run({"update", "show", "9"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no update updates/9"));
}

TEST_F(CommandsTest, PromotingNeedsAReasonAgainstTheVerdict) {
  EXPECT_EQ(Run({"update", "promote", "1"}), ExitCode::kWrongState);
  EXPECT_THAT(err_.str(), HasSubstr("the verdict is not SAFE"));
  EXPECT_EQ(Run({"update", "promote", "1", "--override", "--reason", "known"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "releases/2 is live\n");
}

TEST_F(CommandsTest, StatusShowsTheSystemWithoutALocalMesh) {
  EXPECT_EQ(Run({"status"}), ExitCode::kUnavailable) << "no process of a mesh is here";
  EXPECT_THAT(out_.str(), HasSubstr("system stereo, revision 3; live: releases/1"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("no system")));
}

}  // namespace
}  // namespace backfire::cli
