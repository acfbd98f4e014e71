#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"
#include "services/runtime/recipe.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_system.h"

namespace backfire::testing {

/// The toy system (toy_system.h) on real processes. Tests that need more start them; each call
/// waits at most a minute.
class OrchestratorFixture : public ::testing::Test {
 protected:
  using Stub = v1::Orchestrator::Stub;

  /// @param toy_service, orchestrator  Paths of the programs.
  OrchestratorFixture(std::string toy_service, std::string orchestrator)
      : toy_service_(std::move(toy_service)), orchestrator_(std::move(orchestrator)) {}

  std::string Target(const std::string& name) const {
    return "unix:" + (directory_ / name).string();
  }

  void StartService(const std::string& name) {
    Start(name, {toy_service_, "--listen=" + Target(name),
                 "--data-dir=" + (directory_ / (name + ".d")).string()});
    ASSERT_TRUE(WaitUntilReady(Target(name), *processes_.at(name))) << processes_.at(name)->Log();
  }
  void StartOrchestrator(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> command = {orchestrator_, "--listen=" + Target("o"),
                                        "--data-dir=" + (directory_ / "o.d").string()};
    command.insert(command.end(), flags.begin(), flags.end());
    Start("o", command);
    stub_ = v1::Orchestrator::NewStub(runtime::MakeChannel(Target("o")));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::ListUpdatesResponse response;
    ASSERT_TRUE(stub_->ListUpdates(&context, {}, &response).ok()) << processes_.at("o")->Log();
  }
  void Start(const std::string& name, const std::vector<std::string>& command) {
    processes_.erase(name);
    processes_[name] = std::make_unique<ChildProcess>(command, directory_ / (name + ".log"));
  }
  /// SIGKILL.
  void Kill(const std::string& name) { processes_.at(name)->Kill(); }

  v1::System System() const {
    v1::System system = ToySystem([this](const std::string& name) { return Target(name); });
    system.set_parallel_jobs(4);
    system.mutable_bootstrap()->set_resample_count(50);
    return system;
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    return runtime::UnaryCall(*stub_, method, request, absl::Minutes(1));
  }

  /// Applies a system, and waits until its baseline is live.
  void Apply(const v1::System& system) {
    v1::ApplySystemRequest request;
    *request.mutable_system() = system;
    const auto response = Call(&Stub::ApplySystem, request);
    ASSERT_TRUE(response.ok()) << response.status();
    const v1::Update baseline = WaitForEnd(response->update());
    ASSERT_EQ(baseline.state(), v1::Update::PROMOTED) << baseline.error_message();
  }

  static v1::ProposeUpdateRequest Proposal(const std::string& id, const std::string& vertex,
                                           double offset, double seconds = 0) {
    v1::ProposeUpdateRequest request;
    request.set_request_id(id);
    request.set_vertex(vertex);
    request.mutable_recipe()->set_name("least-squares");
    runtime::SetParameter(*request.mutable_recipe(), "offset", offset);
    runtime::SetParameter(*request.mutable_recipe(), "seconds_of_work", seconds);
    return request;
  }
  std::string Propose(const std::string& id, const std::string& vertex, double offset,
                      double seconds = 0) {
    const auto update = Call(&Stub::ProposeUpdate, Proposal(id, vertex, offset, seconds));
    EXPECT_TRUE(update.ok()) << update.status();
    return update.ok() ? update->name() : "";
  }
  /// Whatever the verdict.
  absl::StatusOr<v1::Release> Promote(const std::string& update) {
    v1::PromoteUpdateRequest request;
    request.set_name(update);
    request.set_override(true);
    request.set_reason("a test");
    request.set_actor("ada");
    return Call(&Stub::PromoteUpdate, request);
  }
  v1::Update Get(const std::string& name) {
    v1::GetUpdateRequest request;
    request.set_name(name);
    const auto update = Call(&Stub::GetUpdate, request);
    EXPECT_TRUE(update.ok()) << update.status();
    return update.value_or(v1::Update());
  }

  /// The update as it is once `done` says so; as it is after a minute, or once the stream ends,
  /// otherwise.
  v1::Update WaitFor(const std::string& name, const std::function<bool(const v1::Update&)>& done) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::WatchUpdateRequest request;
    request.set_name(name);
    const auto reader = stub_->WatchUpdate(&context, request);
    v1::Update update;
    while (reader->Read(&update)) {
      if (done(update)) break;
    }
    context.TryCancel();
    reader->Finish();
    return update;
  }
  v1::Update WaitForEnd(const std::string& name) {
    return WaitFor(name, [](const v1::Update&) { return false; });
  }
  static const v1::Step& StepOf(const v1::Update& update, const std::string& id) {
    for (const v1::Step& step : update.steps()) {
      if (step.id() == id) return step;
    }
    static const v1::Step none;
    return none;
  }
  v1::Update WaitForStep(const std::string& name, const std::string& id, v1::Step::State state) {
    return WaitFor(name,
                   [&](const v1::Update& update) { return StepOf(update, id).state() == state; });
  }

  const TemporaryDirectory directory_;
  const std::string toy_service_;
  const std::string orchestrator_;
  std::map<std::string, std::unique_ptr<ChildProcess>> processes_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace backfire::testing
