#include "services/runtime/inference_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/exceptions.h"
#include "services/base/excerpt.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/sampled_family.h"
#include "services/runtime/request_bounds.h"
#include "services/runtime/version_name.h"
#include "services/runtime/version_number.h"

namespace backfire::runtime {
namespace {

constexpr char kPlatform[] = "backfire_model";
constexpr char kSoftwareVersion[] = "1";
constexpr size_t kLoggedBytes = 2000;  // Of an error.

inference::DataType ConfigType(const std::string& datatype) {
  inference::DataType type = inference::TYPE_INVALID;
  inference::DataType_Parse(absl::StrCat("TYPE_", datatype == "BYTES" ? "STRING" : datatype),
                            &type);
  return type;
}

// The message is this call's own, although gRPC hands it out const; taking its tensors instead of
// copying them halves the work on an 11 MB request.
inference::ModelInferRequest& Owned(const inference::ModelInferRequest& request) {
  return const_cast<inference::ModelInferRequest&>(request);
}

template <typename Metadata>
void FillMetadata(const v1::TensorSignature& signature, Metadata& metadata) {
  metadata.set_name(signature.name());
  metadata.set_datatype(signature.datatype());
  *metadata.mutable_shape() = signature.shape();
}

template <typename Config>
void FillConfig(const v1::TensorSignature& signature, Config& config) {
  config.set_name(signature.name());
  config.set_data_type(ConfigType(signature.datatype()));
  *config.mutable_dims() = signature.shape();
}

// Whether `ready` is OK; else the client is told why.
bool Tell(const absl::Status& ready, grpc::ServerContext& context) {
  if (ready.ok()) return true;
  std::string reason(ready.message().substr(0, kLoggedBytes));
  for (char& c : reason) {
    if (c < ' ' || c > '~') c = '?';  // Metadata is printable ASCII.
  }
  context.AddTrailingMetadata(kNotReady, reason);
  return false;
}

}  // namespace

InferenceService::InferenceService(const Options& options, const InferenceBackend& backend)
    : options_(options), backend_(backend) {}

absl::StatusOr<std::shared_ptr<const InferenceTarget>> InferenceService::Find(
    const std::string& model, const std::string& version) const {
  if (version.empty()) return backend_.Find(model, std::nullopt);
  const std::optional<int64_t> number = ParseVersionNumber(version);
  if (!number.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("version must be a positive integer as it is printed, or empty: got \"",
                     Excerpt(version), "\""));
  }
  return backend_.Find(model, number);
}

grpc::Status InferenceService::ServerLive(grpc::ServerContext*, const inference::ServerLiveRequest*,
                                          inference::ServerLiveResponse* response) {
  response->set_live(true);
  return grpc::Status::OK;
}

grpc::Status InferenceService::ServerReady(grpc::ServerContext* context,
                                           const inference::ServerReadyRequest*,
                                           inference::ServerReadyResponse* response) {
  response->set_ready(Tell(backend_.Ready(), *context));
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelReady(grpc::ServerContext* context,
                                          const inference::ModelReadyRequest* request,
                                          inference::ModelReadyResponse* response) {
  const auto target = Find(request->name(), request->version());
  if (!target.ok()) return ToGrpcStatus(target.status());
  response->set_ready(Tell((*target)->Ready(), *context));
  return grpc::Status::OK;
}

grpc::Status InferenceService::ServerMetadata(grpc::ServerContext*,
                                              const inference::ServerMetadataRequest*,
                                              inference::ServerMetadataResponse* response) {
  response->set_name(options_.server_name);
  response->set_version(kSoftwareVersion);
  response->add_extensions("model_configuration");
  response->add_extensions("statistics");
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelMetadata(grpc::ServerContext*,
                                             const inference::ModelMetadataRequest* request,
                                             inference::ModelMetadataResponse* response) {
  const auto target = Find(request->name(), request->version());
  if (!target.ok()) return ToGrpcStatus(target.status());
  const auto versions = backend_.Versions(request->name());
  if (!versions.ok()) return ToGrpcStatus(versions.status());
  response->set_name(request->name());
  response->set_platform(kPlatform);
  for (const int64_t version : *versions) response->add_versions(absl::StrCat(version));
  for (const auto& input : (*target)->inputs()) FillMetadata(input, *response->add_inputs());
  for (const auto& output : (*target)->outputs()) FillMetadata(output, *response->add_outputs());
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelConfig(grpc::ServerContext*,
                                           const inference::ModelConfigRequest* request,
                                           inference::ModelConfigResponse* response) {
  const auto target = Find(request->name(), request->version());
  if (!target.ok()) return ToGrpcStatus(target.status());
  inference::ModelConfig& config = *response->mutable_config();
  config.set_name(request->name());
  config.set_platform(kPlatform);
  for (const auto& input : (*target)->inputs()) FillConfig(input, *config.add_input());
  for (const auto& output : (*target)->outputs()) FillConfig(output, *config.add_output());
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelStatistics(grpc::ServerContext*,
                                               const inference::ModelStatisticsRequest* request,
                                               inference::ModelStatisticsResponse* response) {
  std::vector<std::string> models = {request->name()};
  if (request->name().empty()) models = backend_.Models();
  for (const std::string& model : models) {
    std::vector<int64_t> versions;
    if (!request->version().empty()) {
      const auto target = Find(model, request->version());
      if (!target.ok()) return ToGrpcStatus(target.status());
      versions = {(*target)->version()};
    } else {
      auto all = backend_.Versions(model);
      if (!all.ok()) return ToGrpcStatus(all.status());
      versions = *std::move(all);
    }
    for (const int64_t version : versions) {
      *response->add_model_stats() = statistics_.Of(model, version);
    }
  }
  return grpc::Status::OK;
}

absl::Status InferenceService::Admit(const std::string& model, int64_t bytes,
                                     const InferenceCall& call) {
  if (bytes > options_.memory_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "inputs of this size take about ", bytes >> 20, " MiB to predict, and this service has ",
        options_.memory_bytes >> 20, " MiB for requests: send smaller ones"));
  }
  MutexLock lock(mutex_);
  Places& places = places_[options_.per_model ? model : ""];
  const auto has_room = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return places.running < options_.running && bytes <= options_.memory_bytes - bytes_in_use_;
  };
  if (!has_room() && places.waiting >= options_.waiting) {
    return absl::ResourceExhaustedError(
        absl::StrCat(places.waiting, " requests wait already; try again later"));
  }
  ++places.waiting;
  absl::Status status;
  while (!has_room() && status.ok()) {
    // Bounded, so that a client that went away gives up its place.
    place_free_.WaitUntil(mutex_,
                          std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
    if (call.cancelled()) status = absl::CancelledError("the client has gone");
    if (std::chrono::steady_clock::now() >= call.deadline) {
      status = absl::DeadlineExceededError("the deadline passed while the request waited");
    }
  }
  --places.waiting;
  if (!status.ok()) return status;
  ++places.running;
  bytes_in_use_ += bytes;
  return absl::OkStatus();
}

void InferenceService::Leave(const std::string& model, int64_t bytes) {
  MutexLock lock(mutex_);
  --places_[options_.per_model ? model : ""].running;
  bytes_in_use_ -= bytes;
  // With places of their own, the one that is woken may wait for another's; or for more memory.
  if (options_.per_model || bytes > 0) {
    place_free_.NotifyAll();
  } else {
    place_free_.NotifyOne();
  }
}

void InferenceService::Took(const std::string& model, int64_t version, double seconds) {
  std::shared_ptr<prometheus::Histogram> histogram;
  {
    MutexLock lock(mutex_);
    std::shared_ptr<prometheus::Histogram>& kept = seconds_[{model, version}];
    if (kept == nullptr) {
      kept = std::make_shared<prometheus::Histogram>(SecondsBuckets());
    }
    histogram = kept;
  }
  histogram->Observe(seconds);
}

std::vector<prometheus::MetricFamily> InferenceService::Metrics() {
  prometheus::MetricFamily running =
      GaugeFamily("backfire_inference_running", "Requests that are being answered.");
  prometheus::MetricFamily waiting =
      GaugeFamily("backfire_inference_waiting", "Requests that wait for a place to run.");
  prometheus::MetricFamily seconds =
      HistogramFamily("backfire_inference_seconds",
                      "Time that a version took for a request, waiting for a place left out.");
  std::map<ModelVersion, std::shared_ptr<prometheus::Histogram>> histograms;
  {
    MutexLock lock(mutex_);
    histograms = seconds_;
    if (!options_.per_model) places_.try_emplace("");
    for (const auto& [model, places] : places_) {
      std::map<std::string, std::string> labels;
      if (options_.per_model) labels["model"] = model;
      AddSample(running, labels, places.running);
      AddSample(waiting, labels, places.waiting);
    }
  }
  std::vector<ModelVersion> gone;
  for (const auto& [key, histogram] : histograms) {
    const absl::StatusOr<std::vector<int64_t>> versions = backend_.Versions(key.first);
    if (!versions.ok() || std::count(versions->begin(), versions->end(), key.second) == 0) {
      gone.push_back(key);
      continue;
    }
    prometheus::ClientMetric& metric = seconds.metric.emplace_back(histogram->Collect());
    metric.label = {{"model", key.first}, {"version", absl::StrCat(key.second)}};
  }
  {
    MutexLock lock(mutex_);
    for (const ModelVersion& key : gone) seconds_.erase(key);
  }
  return {std::move(running), std::move(waiting), std::move(seconds)};
}

grpc::Status InferenceService::ModelInfer(grpc::ServerContext* context,
                                          const inference::ModelInferRequest* request,
                                          inference::ModelInferResponse* response) {
  InferenceCall call;
  call.id = request->id();
  // What is left by the wall clock now; from here on a clock counts that is never set.
  const auto left = context->deadline() - std::chrono::system_clock::now();
  const bool has_deadline = left < std::chrono::hours(24 * 365);
  call.deadline =
      std::chrono::steady_clock::now() +
      (has_deadline ? std::chrono::duration_cast<std::chrono::steady_clock::duration>(left)
                    : options_.default_deadline);
  call.cancelled = [context] { return context->IsCancelled(); };
  using Clock = std::chrono::steady_clock;
  InferenceStatistics::Request times;
  std::optional<int64_t> version;  // Once it is known which.
  Clock::time_point last = Clock::now();
  // The time since it was asked last.
  const auto lap = [&last] {
    const Clock::time_point before = std::exchange(last, Clock::now());
    return last - before;
  };
  std::optional<ByteBudget::Hold> held;
  if (options_.received != nullptr) held.emplace(*options_.received, *context);
  const auto infer = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(CheckBounds(*request));
    if (held) {
      BACKFIRE_RETURN_IF_ERROR(held->Add(static_cast<int64_t>(request->ByteSizeLong())));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const auto target,
                              Find(request->model_name(), request->model_version()));
    version = target->version();
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              RequestedOutputs(target->outputs(), *request));
    BACKFIRE_ASSIGN_OR_RETURN(TensorMap inputs, TakeInputs(target->inputs(), Owned(*request)));
    const int64_t bytes = target->PeakBytes(inputs);
    times.input = lap();
    BACKFIRE_RETURN_IF_ERROR(Admit(request->model_name(), bytes, call));
    times.queue = lap();
    // A model's fault must not end the process, which serves others.
    absl::StatusOr<TensorMap> outputs =
        CatchExceptions([&] { return target->Infer(std::move(inputs), names, call); });
    Leave(request->model_name(), bytes);
    times.infer = lap();
    version = call.served_version.value_or(target->version());
    Took(request->model_name(), *version, std::chrono::duration<double>(times.infer).count());
    BACKFIRE_RETURN_IF_ERROR(outputs.status());
    response->set_model_name(request->model_name());
    response->set_model_version(absl::StrCat(*version));
    response->set_id(request->id());
    for (auto& [name, parameter] : call.response_parameters) {
      (*response->mutable_parameters())[name] = parameter;
    }
    return PutOutputs(names, *std::move(outputs), *response);
  };
  const absl::Status status = infer();
  times.output = lap();
  if (version.has_value()) {
    statistics_.Note(request->model_name(), *version, status.ok(), times);
  }
  if (!status.ok()) {
    spdlog::info("infer code={} model={} version={} id={} error=\"{}\"",
                 absl::StatusCodeToString(status.code()), Excerpt(request->model_name()),
                 Excerpt(request->model_version()), Excerpt(request->id()),
                 Excerpt({status.message().data(), status.message().size()}, kLoggedBytes));
  }
  return ToGrpcStatus(status);
}

}  // namespace backfire::runtime
