#pragma once

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/open_inference.grpc.pb.h"
#include "services/base/memory.h"
#include "services/base/mutex.h"
#include "services/rpc/byte_budget.h"
#include "services/runtime/inference_statistics.h"
#include "services/runtime/inference_tensor.h"

namespace backfire::runtime {

/// What a request brings besides its tensors, and what its response carries besides them.
struct InferenceCall {
  std::string id;                                  ///< The client's; for logs.
  std::chrono::steady_clock::time_point deadline;  ///< Of the whole request.
  std::function<bool()> cancelled;                 ///< Whether the client has gone.
  std::map<std::string, inference::InferParameter> response_parameters;  ///< To be filled.
  std::optional<int64_t> served_version;  ///< Set if another version than the target's answered.
};

/// Response parameter of model services: the digest of the version that answered, by which a
/// gateway knows it for what the release was made of.
inline constexpr char kVersionDigest[] = "version_digest";

/// Trailing metadata of ServerReady and ModelReady that answer `false`: why, for people. The
/// protocol's messages have no room for it.
inline constexpr char kNotReady[] = "backfire-not-ready";

/// One version of one model, ready to run. Thread-safe; keeps what it needs alive.
class InferenceTarget {
 public:
  virtual ~InferenceTarget() = default;
  virtual int64_t version() const = 0;
  virtual const TensorSignatures& inputs() const = 0;
  virtual const TensorSignatures& outputs() const = 0;
  /// UNAVAILABLE: it can't run now; says why.
  virtual absl::Status Ready() const { return absl::OkStatus(); }
  /// Bytes of memory that running it on these inputs takes beside them, at its peak and roughly.
  /// As it is here, it only hands them on.
  virtual int64_t PeakBytes(const TensorMap&) const { return 0; }
  /// Runs it; `inputs` match the signature. Returns at least the outputs called `outputs`.
  virtual absl::StatusOr<TensorMap> Infer(TensorMap inputs, const std::vector<std::string>& outputs,
                                          InferenceCall& call) const = 0;
};

/// Finds what a request names. Thread-safe.
class InferenceBackend {
 public:
  virtual ~InferenceBackend() = default;
  /// Whether every model that should serve can serve. UNAVAILABLE: names those that can't.
  virtual absl::Status Ready() const = 0;
  /// Without a version, the backend's own choice. NOT_FOUND: no such model or version. UNAVAILABLE:
  /// it exists, and can't serve now.
  virtual absl::StatusOr<std::shared_ptr<const InferenceTarget>> Find(
      const std::string& model, std::optional<int64_t> version) const = 0;
  /// Names of all models that a request may name.
  virtual std::vector<std::string> Models() const = 0;
  /// Versions that a request may name, ascending. NOT_FOUND: no such model.
  virtual absl::StatusOr<std::vector<int64_t>> Versions(const std::string& model) const = 0;
};

/// The Open Inference Protocol, version 2, over a backend: parsing, checking, limits, answers.
/// See protos/inference/open_inference.proto for the status codes.
class InferenceService final : public inference::GRPCInferenceService::Service {
 public:
  struct Options {
    std::string server_name;
    int running = 1;   ///< Requests that run at once.
    int waiting = 64;  ///< Requests that may wait; more get RESOURCE_EXHAUSTED.
    /// Whether `running` and `waiting` count for each model by itself, so that requests for one
    /// that hangs take no place from those for others.
    bool per_model = false;
    /// Bytes of memory for requests that run (InferenceTarget::PeakBytes), all together. One that
    /// takes more gets RESOURCE_EXHAUSTED at once; others wait for it as for a place. Half of what
    /// the process may take: a model, its trainings and gRPC need theirs.
    int64_t memory_bytes = MemoryLimit() / 2;
    /// Of what requests bring, from their first line to their answer. Borrowed; null: no bound but
    /// the places'.
    ByteBudget* received = nullptr;
    /// For requests without a deadline.
    std::chrono::seconds default_deadline{60};
  };
  /// @param backend  Borrowed.
  InferenceService(const Options& options, const InferenceBackend& backend);

  /// For /metrics: `backfire_inference_seconds{model,version}`, of versions that a request may
  /// still name, and `backfire_inference_running{model}` and `backfire_inference_waiting{model}`,
  /// without the model where all share their places. Thread-safe.
  std::vector<prometheus::MetricFamily> Metrics();

  grpc::Status ServerLive(grpc::ServerContext* context, const inference::ServerLiveRequest* request,
                          inference::ServerLiveResponse* response) override;
  grpc::Status ServerReady(grpc::ServerContext* context,
                           const inference::ServerReadyRequest* request,
                           inference::ServerReadyResponse* response) override;
  grpc::Status ModelReady(grpc::ServerContext* context, const inference::ModelReadyRequest* request,
                          inference::ModelReadyResponse* response) override;
  grpc::Status ServerMetadata(grpc::ServerContext* context,
                              const inference::ServerMetadataRequest* request,
                              inference::ServerMetadataResponse* response) override;
  grpc::Status ModelMetadata(grpc::ServerContext* context,
                             const inference::ModelMetadataRequest* request,
                             inference::ModelMetadataResponse* response) override;
  grpc::Status ModelInfer(grpc::ServerContext* context, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* response) override;
  grpc::Status ModelConfig(grpc::ServerContext* context,
                           const inference::ModelConfigRequest* request,
                           inference::ModelConfigResponse* response) override;
  grpc::Status ModelStatistics(grpc::ServerContext* context,
                               const inference::ModelStatisticsRequest* request,
                               inference::ModelStatisticsResponse* response) override;

 private:
  absl::StatusOr<std::shared_ptr<const InferenceTarget>> Find(const std::string& model,
                                                              const std::string& version) const;
  absl::Status Admit(const std::string& model, int64_t bytes, const InferenceCall& call);
  void Leave(const std::string& model, int64_t bytes);
  /// Notes that a version took so long to answer, or to fail.
  void Took(const std::string& model, int64_t version, double seconds);

  const Options options_;
  const InferenceBackend& backend_;
  Mutex mutex_;
  CondVar place_free_;
  struct Places {
    int running = 0;
    int waiting = 0;
  };
  // By model; all under "" if they share. Only models that exist get here.
  std::map<std::string, Places> places_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_in_use_ ABSL_GUARDED_BY(mutex_) = 0;  // Of requests that run.
  using ModelVersion = std::pair<std::string, int64_t>;
  std::map<ModelVersion, std::shared_ptr<prometheus::Histogram>> seconds_ ABSL_GUARDED_BY(mutex_);
  InferenceStatistics statistics_;
};

}  // namespace backfire::runtime
