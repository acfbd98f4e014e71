#include "services/runtime/rpc_metrics.h"

#include <google/protobuf/descriptor.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace backfire::runtime {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

const char* TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
    case ServerRpcInfo::Type::UNARY:
      break;
  }
  return "unary";
}

// Whoever can reach a port can call any name, and each would be a series for good: only methods of
// services that this program has a description of keep their names.
prometheus::Labels LabelsOf(const ServerRpcInfo& info) {
  const std::string path = info.method();  // "/package.Service/Method".
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    const std::string service = path.substr(1, slash - 1), method = path.substr(slash + 1);
    const auto* descriptor =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service);
    if (descriptor != nullptr && descriptor->FindMethodByName(method) != nullptr) {
      return {
          {"grpc_type", TypeName(info.type())}, {"grpc_service", service}, {"grpc_method", method}};
    }
  }
  return {{"grpc_type", "unknown"}, {"grpc_service", "unknown"}, {"grpc_method", "unknown"}};
}

struct Families {
  explicit Families(prometheus::Registry& registry)
      : started(prometheus::BuildCounter()
                    .Name("grpc_server_started_total")
                    .Help("Calls that arrived.")
                    .Register(registry)),
        handled(prometheus::BuildCounter()
                    .Name("grpc_server_handled_total")
                    .Help("Calls that ended, by status code.")
                    .Register(registry)),
        seconds(prometheus::BuildHistogram()
                    .Name("grpc_server_handling_seconds")
                    .Help("Time from a call's arrival to its status.")
                    .Register(registry)) {}
  prometheus::Family<prometheus::Counter>& started;
  prometheus::Family<prometheus::Counter>& handled;
  prometheus::Family<prometheus::Histogram>& seconds;
};

class RpcMetricsInterceptor : public grpc::experimental::Interceptor {
 public:
  RpcMetricsInterceptor(Families& families, const ServerRpcInfo& info)
      : families_(families), start_(std::chrono::steady_clock::now()) {
    labels_ = LabelsOf(info);
    families_.started.Add(labels_).Increment();
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      prometheus::Labels ended = labels_;
      ended["grpc_code"] =
          std::string(StatusCodeLabel(static_cast<int>(methods->GetSendStatus().error_code())));
      families_.handled.Add(ended).Increment();
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
      families_.seconds
          .Add(labels_,
               prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                       0.25, 0.5, 1, 2.5, 5, 10, 30, 60})
          .Observe(elapsed.count());
    }
    methods->Proceed();
  }

 private:
  Families& families_;
  prometheus::Labels labels_;
  std::chrono::steady_clock::time_point start_;
};

class RpcMetricsFactory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit RpcMetricsFactory(prometheus::Registry& registry) : families_(registry) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new RpcMetricsInterceptor(families_, *info);  // gRPC deletes it.
  }

 private:
  Families families_;
};

}  // namespace

std::string_view StatusCodeLabel(int code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodeNames.size() ? kCodeNames[index] : "Unknown";
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeRpcMetrics(
    prometheus::Registry& registry) {
  return std::make_unique<RpcMetricsFactory>(registry);
}

}  // namespace backfire::runtime
