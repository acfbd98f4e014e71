#pragma once

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/store/memory_repository.h"
#include "services/rpc/rpc_status.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_services.h"
#include "tests/support/record_kit.h"

namespace backfire::testing {

/// The orchestrator in this process: fake services, a repository in memory, a given clock. Calls
/// are made as gRPC makes them. Waits end by news, not by the passing of time.
class ControlPlaneFixture : public ::testing::Test {
 protected:
  using Service = api::OrchestratorService;

  ~ControlPlaneFixture() override { Stop(); }
  void StartPlane() {
    registry_ = std::make_unique<prometheus::Registry>();
    auto plane = api::ControlPlane::Start({repository(), services_, services_, clock_, *registry_},
                                          std::chrono::seconds(10));
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = *std::move(plane);
    service_ = std::make_unique<Service>(*plane_);
  }
  /// As when the process ends: what is not on disk is lost.
  void Stop() {
    service_.reset();
    plane_.reset();
  }
  virtual store::Repository& repository() { return memory_; }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Service::*method)(grpc::ServerContext*,
                                                                const Request*, Response*),
                                const Request& request) {
    Response response;
    const grpc::Status status = (service_.get()->*method)(nullptr, &request, &response);
    if (!status.ok()) return runtime::FromGrpcStatus(status);
    return response;
  }

  /// Waits until `done`, which is asked whenever there is news.
  void Await(const std::function<bool()>& done) {
    ledger::Signal& news = plane_->ledger().changes();
    while (true) {
      const int64_t seen = news.count();
      if (done()) return;
      ASSERT_TRUE(news.Wait(seen, absl::Minutes(1)));
      ASSERT_TRUE(news.count() != seen || done()) << "nothing happens any more";
    }
  }
  v1::Update Get(const std::string& name) {
    v1::GetUpdateRequest request;
    request.set_name(name);
    const auto update = Call(&Service::GetUpdate, request);
    EXPECT_TRUE(update.ok()) << update.status();
    return update.value_or(v1::Update());
  }
  v1::Update AwaitState(const std::string& name, v1::Update::State state) {
    Await([&] { return Get(name).state() == state; });
    return Get(name);
  }
  static v1::Step::State StateOf(const v1::Update& update, const std::string& id) {
    for (const v1::Step& step : update.steps()) {
      if (step.id() == id) return step.state();
    }
    return v1::Step::STATE_UNSPECIFIED;
  }

  /// Applies the small system, and waits for its baseline.
  void ApplyBaseline(int replicates = 2) {
    v1::ApplySystemRequest request;
    *request.mutable_system() = SmallSystem(replicates);
    const auto applied = Call(&Service::ApplySystem, request);
    ASSERT_TRUE(applied.ok()) << applied.status();
    AwaitState(applied->update(), v1::Update::PROMOTED);
  }
  static v1::ProposeUpdateRequest Proposal(const std::string& id, const std::string& vertex,
                                           double offset) {
    v1::ProposeUpdateRequest request;
    request.set_request_id(id);
    request.set_vertex(vertex);
    request.mutable_recipe()->set_name("fit");
    (*request.mutable_recipe()->mutable_parameters()->mutable_fields())["offset"].set_number_value(
        offset);
    return request;
  }
  std::string Propose(const std::string& id, const std::string& vertex, double offset = -0.5) {
    const auto update = Call(&Service::ProposeUpdate, Proposal(id, vertex, offset));
    EXPECT_TRUE(update.ok()) << update.status();
    return update.ok() ? update->name() : "";
  }
  absl::StatusOr<v1::Update> Cancel(const std::string& name, const std::string& id = "") {
    v1::CancelUpdateRequest request;
    request.set_name(name);
    request.set_request_id(id);
    return Call(&Service::CancelUpdate, request);
  }
  absl::StatusOr<v1::Update> Retry(const std::string& name, const std::string& id = "") {
    v1::RetryUpdateRequest request;
    request.set_name(name);
    request.set_request_id(id);
    return Call(&Service::RetryUpdate, request);
  }
  absl::StatusOr<v1::Release> Promote(const std::string& name, const std::string& id = "") {
    v1::PromoteUpdateRequest request;
    request.set_name(name);
    request.set_override(true);
    request.set_reason("a test");
    request.set_request_id(id);
    return Call(&Service::PromoteUpdate, request);
  }
  absl::StatusOr<v1::Release> Rollback(const std::string& name, const std::string& id = "") {
    v1::RollbackReleaseRequest request;
    request.set_name(name);
    request.set_reason("a test");
    request.set_request_id(id);
    return Call(&Service::RollbackRelease, request);
  }
  v1::Release GetRelease(const std::string& name) {
    v1::GetReleaseRequest request;
    request.set_name(name);
    return Call(&Service::GetRelease, request).value_or(v1::Release());
  }

  FakeClock clock_;
  FakeServices services_;
  store::MemoryRepository memory_;
  std::unique_ptr<prometheus::Registry> registry_;
  std::unique_ptr<api::ControlPlane> plane_;
  std::unique_ptr<Service> service_;
};

}  // namespace backfire::testing
