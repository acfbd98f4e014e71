// What every server shows on /metrics.
#include "services/rpc/rpc_metrics.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/support/byte_buffer.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "grpc/health/v1/health.grpc.pb.h"
#include "services/rpc/channel.h"
#include "services/rpc/process_metrics.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/sampled_family.h"
#include "services/rpc/unary_call.h"
#include "services/runtime/inference_service.h"
#include "tests/support/metrics_page.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using backfire::testing::GetMetrics;
using backfire::testing::MetricsPage;
using backfire::testing::ParseMetricsPage;
using backfire::testing::ScrapeMetrics;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RpcMetricsTest : public ::testing::Test {
 protected:
  void Start(const std::vector<grpc::Service*>& services = {}) {
    RpcServerOptions options;
    options.name = "metrics-test";
    options.listen = target_;
    options.metrics_listen = "localhost:0";
    auto server = RpcServer::Start(options, services);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_NE(server_->metrics_endpoint(), "localhost:0");
  }
  MetricsPage Scrape() {
    auto page = ScrapeMetrics(server_->metrics_endpoint());
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(MetricsPage());
  }
  // Calls a method that nobody declared, as a scanner of ports does.
  grpc::Status CallByName(const std::string& method) {
    grpc::ClientContext context;
    SetDeadline(context, absl::Minutes(1));
    const grpc::internal::RpcMethod rpc(method.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    grpc::health::v1::HealthCheckResponse response;
    return grpc::internal::BlockingUnaryCall(MakeChannel(target_).get(), rpc, &context,
                                             grpc::health::v1::HealthCheckRequest(), &response);
  }

  backfire::testing::TemporaryDirectory directory_;
  const std::string target_ = "unix:" + (directory_ / "server").string();
  std::unique_ptr<RpcServer> server_;
};

// Answers with the second of two versions, and fails when told to.
class Backend final : public InferenceBackend, public InferenceTarget {
 public:
  absl::Status Ready() const override { return absl::OkStatus(); }
  std::vector<std::string> Models() const override { return {"m"}; }
  absl::StatusOr<std::shared_ptr<const InferenceTarget>> Find(
      const std::string&, std::optional<int64_t>) const override {
    return std::shared_ptr<const InferenceTarget>(std::shared_ptr<void>(), this);
  }
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string& model) const override {
    if (model != "m") return absl::NotFoundError(model);
    return versions;
  }
  int64_t version() const override { return 2; }
  const TensorSignatures& inputs() const override { return none_; }
  const TensorSignatures& outputs() const override { return none_; }
  absl::StatusOr<TensorMap> Infer(TensorMap, const std::vector<std::string>&,
                                  InferenceCall&) const override {
    return TensorMap();
  }
  std::vector<int64_t> versions = {1, 2};

 private:
  const TensorSignatures none_;
};

TEST_F(RpcMetricsTest, LabelsAreOfMethodsThatTheServerHas) {
  const Backend backend;
  InferenceService service({"s"}, backend);
  Start({&service});
  EXPECT_EQ(CallByName("/attack.Service/Guess1").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(CallByName("/attack.Service/Guess2").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_FALSE(CallByName("nonsense").ok());
  EXPECT_EQ(CallByName("/inference.GRPCInferenceService/Guess3").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  const auto stub = inference::GRPCInferenceService::NewStub(MakeChannel(target_));
  ASSERT_TRUE(UnaryCall(*stub, &inference::GRPCInferenceService::Stub::ServerLive,
                        inference::ServerLiveRequest(), absl::Minutes(1))
                  .ok());
  const MetricsPage page = Scrape();
  const std::string known =
      "grpc_method=\"ServerLive\",grpc_service=\"inference.GRPCInferenceService\","
      "grpc_type=\"unary\"";
  EXPECT_EQ(page.Value("grpc_server_started_total{" + known + "}"), 1);
  EXPECT_EQ(page.Value("grpc_server_handled_total{grpc_code=\"OK\"," + known + "}"), 1);
  EXPECT_EQ(page.Value("grpc_server_handling_seconds_count{" + known + "}"), 1);
  EXPECT_THAT(page.Samples("Guess"), IsEmpty());
  EXPECT_THAT(page.Samples("attack"), IsEmpty());
  EXPECT_THAT(page.Samples("nonsense"), IsEmpty());
  const std::string unknown =
      "grpc_method=\"unknown\",grpc_service=\"unknown\",grpc_type=\"unknown\"";
  EXPECT_GE(page.Value("grpc_server_handled_total{grpc_code=\"Unimplemented\"," + unknown + "}"),
            2);
}

// gRPC answers Internal; that it is not the service's fault is the metric's to say.
TEST_F(RpcMetricsTest, ARequestThatIsNoneIsItsCallersFault) {
  const Backend backend;
  InferenceService service({"s"}, backend);
  Start({&service});
  grpc::ClientContext context;
  SetDeadline(context, absl::Minutes(1));
  const grpc::internal::RpcMethod rpc("/inference.GRPCInferenceService/ModelInfer",
                                      grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Slice no_message("\x0a", 1);  // A field that begins, and does not go on.
  const grpc::ByteBuffer request(&no_message, 1);
  grpc::ByteBuffer response;
  const auto channel = grpc::CreateChannel(target_, grpc::InsecureChannelCredentials());
  EXPECT_EQ(grpc::internal::BlockingUnaryCall(channel.get(), rpc, &context, request, &response)
                .error_code(),
            grpc::StatusCode::INTERNAL);
  EXPECT_EQ(Scrape().Value("grpc_server_handled_total{grpc_code=\"InvalidArgument\","
                           "grpc_method=\"ModelInfer\","
                           "grpc_service=\"inference.GRPCInferenceService\","
                           "grpc_type=\"unary\"}"),
            1);
}

// Both ends of a call are in this process: what one sends the other receives.
TEST_F(RpcMetricsTest, ClientsCountAsServersDo) {
  const Backend backend;
  InferenceService service({"s"}, backend);
  Start({&service});
  const MetricsPage before = Scrape();  // The client's counts are the process's.
  const auto stub = inference::GRPCInferenceService::NewStub(MakeChannel(target_));
  const auto infer = [&](const std::string& model, const std::string& version) {
    inference::ModelInferRequest request;
    request.set_model_name(model);
    request.set_model_version(version);
    const auto response = UnaryCall(*stub, &inference::GRPCInferenceService::Stub::ModelInfer,
                                    request, absl::Minutes(1));
    return std::pair(request.ByteSizeLong(), response);
  };
  const auto [sent_well, good] = infer("m", "");
  ASSERT_TRUE(good.ok()) << good.status();
  const auto [sent_badly, bad] = infer("m", "minus one");
  ASSERT_TRUE(absl::IsInvalidArgument(bad.status())) << bad.status();
  const double sent = static_cast<double>(sent_well + sent_badly);
  const double received = static_cast<double>(good->ByteSizeLong());
  const MetricsPage page = Scrape();
  const std::string method =
      "grpc_method=\"ModelInfer\",grpc_service=\"inference.GRPCInferenceService\","
      "grpc_type=\"unary\"}";
  const auto since = [&](const std::string& sample) {
    const double earlier = before.Value(sample);
    return page.Value(sample) - (std::isnan(earlier) ? 0 : earlier);
  };
  for (const std::string side : {"client", "server"}) {
    SCOPED_TRACE(side);
    EXPECT_EQ(since("grpc_" + side + "_started_total{" + method), 2);
    EXPECT_EQ(since("grpc_" + side + "_handled_total{grpc_code=\"OK\"," + method), 1);
    EXPECT_EQ(since("grpc_" + side + "_handled_total{grpc_code=\"InvalidArgument\"," + method), 1);
    EXPECT_EQ(since("grpc_" + side + "_handling_seconds_count{" + method), 2);
    EXPECT_EQ(page.Value("grpc_" + side + "_in_flight{" + method), 0);
  }
  EXPECT_EQ(since("grpc_client_msg_sent_bytes_total{" + method), sent);
  EXPECT_EQ(since("grpc_server_msg_received_bytes_total{" + method), sent);
  EXPECT_EQ(since("grpc_server_msg_sent_bytes_total{" + method), received);
  EXPECT_EQ(since("grpc_client_msg_received_bytes_total{" + method), received);
}

// A watch stays open; its caller leaves it without asking for its status.
TEST_F(RpcMetricsTest, ACallIsInFlightUntilItsEnd) {
  Start();
  const std::string method =
      "grpc_method=\"Watch\",grpc_service=\"grpc.health.v1.Health\","
      "grpc_type=\"server_stream\"}";
  const std::string canceled = "grpc_client_handled_total{grpc_code=\"Canceled\"," + method;
  const double before = Scrape().Value(canceled);
  const auto stub = grpc::health::v1::Health::NewStub(MakeChannel(target_));
  {
    grpc::ClientContext context;
    SetDeadline(context, absl::Minutes(1));
    const auto reader = stub->Watch(&context, grpc::health::v1::HealthCheckRequest());
    grpc::health::v1::HealthCheckResponse response;
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(Scrape().Value("grpc_client_in_flight{" + method), 1);
    EXPECT_EQ(Scrape().Value("grpc_server_in_flight{" + method), 1);
    context.TryCancel();
  }
  EXPECT_EQ(Scrape().Value("grpc_client_in_flight{" + method), 0);
  EXPECT_EQ(Scrape().Value(canceled), (std::isnan(before) ? 0 : before) + 1);
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (Scrape().Value("grpc_server_in_flight{" + method) > 0 &&
         std::chrono::steady_clock::now() < patience) {
  }
  const MetricsPage page = Scrape();
  EXPECT_EQ(page.Value("grpc_server_in_flight{" + method), 0);
  EXPECT_EQ(page.Value("grpc_server_handled_total{grpc_code=\"Canceled\"," + method), 1);
  EXPECT_EQ(page.Value("grpc_server_handled_total{grpc_code=\"Unknown\"," + method), 0);
}

TEST_F(RpcMetricsTest, ACodeIsThereBeforeItHasComeOnce) {
  Start();
  const std::string method =
      "grpc_method=\"ModelInfer\",grpc_service=\"inference.GRPCInferenceService\","
      "grpc_type=\"unary\"}";
  for (const char* code : {"OK", "Unavailable", "DataLoss", "Unauthenticated"}) {
    EXPECT_EQ(
        Scrape().Value(absl::StrCat("grpc_server_handled_total{grpc_code=\"", code, "\",", method)),
        0)
        << code;
  }
}

TEST_F(RpcMetricsTest, SaysWhichProcessItIsAndWhatItUses) {
  Start();
  const MetricsPage page = Scrape();
  EXPECT_EQ(page.Samples("backfire_build_info{").size(), 1u);
  EXPECT_EQ(page.Samples("program=\"metrics-test\"").size(), 1u);
  const auto now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  // The kernel's boot time has whole seconds.
  EXPECT_NEAR(page.Value("process_start_time_seconds"), now, 120);
  EXPECT_LE(page.Value("process_start_time_seconds"), now + 2);
  EXPECT_GT(page.Value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_LT(page.Value("process_resident_memory_bytes"),
            page.Value("process_virtual_memory_bytes"));
  EXPECT_GE(page.Value("process_threads"), 2);
  EXPECT_LE(page.Value("process_open_fds"), page.Value("process_max_fds"));
  EXPECT_GE(page.Value("process_cpu_seconds_total"), 0);

  const double descriptors = page.Value("process_open_fds");
  int pipes[2];
  ASSERT_EQ(::pipe(pipes), 0);
  EXPECT_EQ(Scrape().Value("process_open_fds"), descriptors + 2);
  ::close(pipes[0]);
  ::close(pipes[1]);
}

TEST_F(RpcMetricsTest, WhatIsSampledIsAskedForAtEachScrape) {
  Start();
  double room = 1;
  server_->AddMetrics([&room] {
    prometheus::MetricFamily family = GaugeFamily("room", "Of a test.");
    AddSample(family, {{"b", "2"}, {"a", "1"}}, room);
    return std::vector<prometheus::MetricFamily>{family};
  });
  EXPECT_EQ(Scrape().Value("room{a=\"1\",b=\"2\"}"), 1);
  room = 7;
  EXPECT_EQ(Scrape().Value("room{a=\"1\",b=\"2\"}"), 7);
  server_->Drain();
  EXPECT_TRUE(absl::IsUnavailable(GetMetrics(server_->metrics_endpoint()).status()));
}

TEST_F(RpcMetricsTest, RoomOnADisk) {
  const auto families = DiskMetrics(directory_.path());
  ASSERT_EQ(families.size(), 2u);
  EXPECT_GT(families[0].metric.at(0).gauge.value, 0);
  EXPECT_LE(families[1].metric.at(0).gauge.value, families[0].metric.at(0).gauge.value);
  EXPECT_THAT(DiskMetrics(directory_ / "nowhere"), IsEmpty());
}

TEST_F(RpcMetricsTest, AVersionThatIsServedNoMoreHasNoSeries) {
  Backend backend;
  InferenceService service({"s"}, backend);
  Start({&service});
  server_->AddMetrics([&service] { return service.Metrics(); });
  const auto stub = inference::GRPCInferenceService::NewStub(MakeChannel(target_));
  inference::ModelInferRequest request;
  request.set_model_name("m");
  for (int i = 0; i < 3; ++i) {
    const auto response = UnaryCall(*stub, &inference::GRPCInferenceService::Stub::ModelInfer,
                                    request, absl::Minutes(1));
    ASSERT_TRUE(response.ok()) << response.status();
  }
  const std::string count = "backfire_inference_seconds_count{model=\"m\",version=\"2\"}";
  EXPECT_EQ(Scrape().Value(count), 3);
  EXPECT_EQ(Scrape().Value("backfire_inference_running"), 0);
  EXPECT_EQ(Scrape().Value("backfire_inference_waiting"), 0);
  backend.versions = {1};
  EXPECT_TRUE(std::isnan(Scrape().Value(count)));
  // Loaded again, it is counted anew.
  backend.versions = {1, 2};
  EXPECT_TRUE(std::isnan(Scrape().Value(count)));
}

TEST_F(RpcMetricsTest, PagesAreReadAsTheyAreWritten) {
  const auto page = ParseMetricsPage(
      "# HELP a What a is.\n# TYPE a histogram\na_bucket{x=\"1\",le=\"+Inf\"} 3\na_sum{x=\"1\"} "
      "4.5\n");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->Value("a_sum{x=\"1\"}"), 4.5);
  EXPECT_THAT(page->families.at("a").labels, ElementsAre("x"));
  EXPECT_EQ(page->families.at("a").help, "What a is.");
  EXPECT_FALSE(ParseMetricsPage("b 1\n").ok());
}

}  // namespace
}  // namespace backfire::runtime
