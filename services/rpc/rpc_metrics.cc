#include "services/rpc/rpc_metrics.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/mutex.h"
#include "services/rpc/sampled_family.h"

namespace backfire::runtime {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

// By name, `/package.Service/Method`; null: this program has no description of it.
const google::protobuf::MethodDescriptor* FindMethod(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return nullptr;
  const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
      path.substr(1, slash - 1));
  return service == nullptr ? nullptr : service->FindMethodByName(path.substr(slash + 1));
}

const char* TypeName(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? "bidi_stream" : "client_stream";
  }
  return method.server_streaming() ? "server_stream" : "unary";
}

struct Families {
  Families(prometheus::Registry& registry, const std::string& side)
      : started(prometheus::BuildCounter()
                    .Name(absl::StrCat("grpc_", side, "_started_total"))
                    .Help("Calls that began.")
                    .Register(registry)),
        handled(prometheus::BuildCounter()
                    .Name(absl::StrCat("grpc_", side, "_handled_total"))
                    .Help("Calls that ended, by status code.")
                    .Register(registry)),
        seconds(prometheus::BuildHistogram()
                    .Name(absl::StrCat("grpc_", side, "_handling_seconds"))
                    .Help("Time from a call's beginning to its status.")
                    .Register(registry)),
        in_flight(prometheus::BuildGauge()
                      .Name(absl::StrCat("grpc_", side, "_in_flight"))
                      .Help("Calls that have begun and not ended.")
                      .Register(registry)),
        received(prometheus::BuildCounter()
                     .Name(absl::StrCat("grpc_", side, "_msg_received_bytes_total"))
                     .Help("Bytes of messages that came.")
                     .Register(registry)),
        sent(prometheus::BuildCounter()
                 .Name(absl::StrCat("grpc_", side, "_msg_sent_bytes_total"))
                 .Help("Bytes of messages that went.")
                 .Register(registry)) {}
  prometheus::Family<prometheus::Counter>& started;
  prometheus::Family<prometheus::Counter>& handled;
  prometheus::Family<prometheus::Histogram>& seconds;
  prometheus::Family<prometheus::Gauge>& in_flight;
  prometheus::Family<prometheus::Counter>& received;
  prometheus::Family<prometheus::Counter>& sent;
};

/// The series of a method. Thread-safe.
class MethodMetrics {
 public:
  /// @param method  Null: any that is not known.
  MethodMetrics(Families& families, const google::protobuf::MethodDescriptor* method)
      : labels_({{"grpc_type", method == nullptr ? "unknown" : TypeName(*method)},
                 {"grpc_service", method == nullptr ? "unknown" : method->service()->full_name()},
                 {"grpc_method", method == nullptr ? "unknown" : method->name()}}),
        started_(families.started.Add(labels_)),
        seconds_(families.seconds.Add(labels_, SecondsBuckets())),
        in_flight_(families.in_flight.Add(labels_)) {
    // From the first call on, with every code: a rate over a series that begins with its first
    // failure misses that failure.
    for (size_t code = 0; code < kCodeNames.size(); ++code) {
      prometheus::Labels labels = labels_;
      labels["grpc_code"] = std::string(kCodeNames[code]);
      handled_[code] = &families.handled.Add(labels);
    }
    // Only of our own contracts is a message that came known to be a message of Protobuf's: gRPC's
    // health service has bytes.
    if (method == nullptr || !(absl::StartsWith(method->full_name(), "backfire.") ||
                               absl::StartsWith(method->full_name(), "inference."))) {
      return;
    }
    received_ = &families.received.Add(labels_);
    sent_ = &families.sent.Add(labels_);
  }

  void Begin() {
    started_.Increment();
    in_flight_.Increment();
  }
  void End(int code, std::chrono::duration<double> elapsed) {
    const bool known = code >= 0 && static_cast<size_t>(code) < handled_.size();
    handled_[static_cast<size_t>(known ? code : grpc::StatusCode::UNKNOWN)]->Increment();
    seconds_.Observe(elapsed.count());
    in_flight_.Decrement();
  }
  void Sending(InterceptorBatchMethods& methods) {
    if (sent_ == nullptr) return;
    // Serialises it, which gRPC would do next.
    if (const auto* bytes = methods.GetSerializedSendMessage(); bytes != nullptr) {
      sent_->Increment(static_cast<double>(bytes->Length()));
    }
  }
  void Received(InterceptorBatchMethods& methods) {
    if (received_ == nullptr) return;
    // Null: it could not be parsed, or a stream has ended.
    const auto* message =
        static_cast<const google::protobuf::MessageLite*>(methods.GetRecvMessage());
    if (message != nullptr) received_->Increment(static_cast<double>(message->ByteSizeLong()));
  }

 private:
  const prometheus::Labels labels_;
  prometheus::Counter& started_;
  std::array<prometheus::Counter*, kCodeNames.size()> handled_;
  prometheus::Histogram& seconds_;
  prometheus::Gauge& in_flight_;
  prometheus::Counter* received_ = nullptr;
  prometheus::Counter* sent_ = nullptr;
};

/// The series of all methods. Thread-safe.
class CallMetrics {
 public:
  CallMetrics(prometheus::Registry& registry, const std::string& side)
      : families_(registry, side) {}

  // Whoever can reach a port can call any name, and each would be a series for good: only methods
  // of services that this program has a description of keep their names.
  MethodMetrics& Of(const std::string& path) {
    MutexLock lock(mutex_);
    if (const auto found = methods_.find(path); found != methods_.end()) return *found->second;
    const auto* method = FindMethod(path);
    std::unique_ptr<MethodMetrics>& metrics = methods_[method == nullptr ? "" : path];
    if (metrics == nullptr) metrics = std::make_unique<MethodMetrics>(families_, method);
    return *metrics;
  }

 private:
  Families families_;
  Mutex mutex_;
  std::map<std::string, std::unique_ptr<MethodMetrics>> methods_ ABSL_GUARDED_BY(mutex_);
};

/// One call, of either side.
class RpcMetricsInterceptor final : public grpc::experimental::Interceptor {
 public:
  /// @param context  Of a server's call; null: a client's.
  RpcMetricsInterceptor(MethodMetrics& metrics, const grpc::ServerContextBase* context)
      : metrics_(metrics), context_(context), start_(std::chrono::steady_clock::now()) {
    metrics_.Begin();
  }
  ~RpcMetricsInterceptor() override { End(grpc::StatusCode::CANCELLED); }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      metrics_.Sending(*methods);
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      metrics_.Received(*methods);
      came_ |= methods->GetRecvMessage() != nullptr;
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      int code = methods->GetSendStatus().error_code();
      // gRPC itself says INTERNAL of a request that did not come whole, which is the caller's
      // doing; and its health service UNKNOWN of a watch that the caller has left.
      const bool incomplete = code == grpc::StatusCode::INTERNAL && !came_;
      if ((incomplete || code == grpc::StatusCode::UNKNOWN) && context_->IsCancelled()) {
        code = grpc::StatusCode::CANCELLED;
      } else if (incomplete) {
        code = grpc::StatusCode::INVALID_ARGUMENT;
      }
      End(code);
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      End(methods->GetRecvStatus()->error_code());
    }
    methods->Proceed();
  }

 private:
  void End(int code) {
    if (ended_) return;
    ended_ = true;
    metrics_.End(code, std::chrono::steady_clock::now() - start_);
  }

  MethodMetrics& metrics_;
  const grpc::ServerContextBase* context_;
  const std::chrono::steady_clock::time_point start_;
  bool came_ = false;  ///< A message.
  bool ended_ = false;
};

class ServerFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit ServerFactory(prometheus::Registry& registry) : metrics_(registry, "server") {
    metrics_.Of(
        "/inference.GRPCInferenceService/ModelInfer");  // Which alerts watch: from the start.
  }
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new RpcMetricsInterceptor(metrics_.Of(info->method()),
                                     info->server_context());  // gRPC deletes it.
  }

 private:
  CallMetrics metrics_;
};

class ClientFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit ClientFactory(CallMetrics& metrics) : metrics_(metrics) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* info) override {
    return new RpcMetricsInterceptor(metrics_.Of(info->method()), nullptr);  // gRPC deletes it.
  }

 private:
  CallMetrics& metrics_;
};

}  // namespace

std::string_view StatusCodeLabel(int code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodeNames.size() ? kCodeNames[index] : "Unknown";
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeServerRpcMetrics(
    prometheus::Registry& registry) {
  return std::make_unique<ServerFactory>(registry);
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeClientRpcMetrics() {
  // Never destroyed: calls may end after main has.
  static auto& metrics = *new CallMetrics(*ClientRpcRegistry(), "client");
  return std::make_unique<ClientFactory>(metrics);
}

const std::shared_ptr<prometheus::Registry>& ClientRpcRegistry() {
  static const auto& registry =
      *new std::shared_ptr<prometheus::Registry>(std::make_shared<prometheus::Registry>());
  return registry;
}

}  // namespace backfire::runtime
