#include "orchestrator/workflow/job_client.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/status.h"
#include "services/runtime/cancellation_watch.h"
#include "services/runtime/rpc_status.h"

namespace backfire::workflow {
namespace {

using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::minutes(5);
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// Loading reads and warms weights.
constexpr absl::Duration kLoadTimeout = absl::Minutes(5);
constexpr absl::Duration kWatchTimeout = absl::Hours(1);
constexpr std::chrono::milliseconds kPollInterval(500);

// Whether the same call may succeed later.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

// Decides how long to go on with a service that does not answer.
class Patience {
 public:
  explicit Patience(const std::function<bool()>& interrupted) : interrupted_(interrupted) {}
  // Waits a while. False: it has taken too long, or was interrupted.
  bool Wait() {
    if (steady_clock::now() > give_up_ || interrupted_()) return false;
    runtime::WaitUnlessCancelled(backoff_, interrupted_);
    backoff_ = std::min(backoff_ * 2, std::chrono::milliseconds(5000));
    return !interrupted_();
  }
  void Renew() {
    backoff_ = std::chrono::milliseconds(100);
    give_up_ = steady_clock::now() + kPatience;
  }

 private:
  const std::function<bool()>& interrupted_;
  std::chrono::milliseconds backoff_{100};
  steady_clock::time_point give_up_ = steady_clock::now() + kPatience;
};

absl::Status Start(v1::ModelService::Stub& stub, const JobRequest& request, v1::Job& job) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kCallTimeout);
  if (const auto* train = std::get_if<v1::TrainRequest>(&request)) {
    return runtime::FromGrpcStatus(stub.Train(&context, *train, &job));
  }
  return runtime::FromGrpcStatus(
      stub.Evaluate(&context, std::get<v1::EvaluateRequest>(request), &job));
}

bool Ended(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

// Follows a job by its stream. OK with a job that has not ended: ask again.
absl::Status Watch(v1::ModelService::Stub& stub, const std::function<bool()>& interrupted,
                   const std::function<void(const v1::Progress&)>& progress, v1::Job& job) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kWatchTimeout);
  const runtime::CancellationWatch watch(context, interrupted);
  v1::WatchJobRequest request;
  request.set_name(job.name());
  const auto reader = stub.WatchJob(&context, request);
  while (reader->Read(&job)) progress(job.progress());
  const absl::Status status = runtime::FromGrpcStatus(reader->Finish());
  return Ended(job) ? absl::OkStatus() : status;
}

absl::Status Poll(v1::ModelService::Stub& stub, const std::function<bool()>& interrupted,
                  const std::function<void(const v1::Progress&)>& progress, v1::Job& job) {
  runtime::WaitUnlessCancelled(kPollInterval, interrupted);
  grpc::ClientContext context;
  runtime::SetDeadline(context, kCallTimeout);
  v1::GetJobRequest request;
  request.set_name(job.name());
  const absl::Status status = runtime::FromGrpcStatus(stub.GetJob(&context, request, &job));
  if (status.ok()) progress(job.progress());
  return status;
}

void Cancel(v1::ModelService::Stub& stub, const v1::Job& job) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kCallTimeout);
  v1::CancelJobRequest request;
  request.set_name(job.name());
  v1::Job cancelled;
  const grpc::Status status = stub.CancelJob(&context, request, &cancelled);
  if (!status.ok()) {
    spdlog::warn("job state=NOT_CANCELLED job={} error=\"{}\"", job.name(), status.error_message());
  }
}

}  // namespace

absl::StatusOr<v1::Job> JobClient::Run(const std::string& endpoint, const JobRequest& request,
                                       bool can_watch, const std::function<Interrupt()>& interrupt,
                                       const std::function<void(const v1::Progress&)>& progress) {
  const std::function<bool()> interrupted = [&] { return interrupt() != Interrupt::kNone; };
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  Patience patience(interrupted);
  v1::Job job;
  absl::Status status = absl::OkStatus();
  while (true) {
    status = Start(*stub, request, job);
    if (status.ok()) patience.Renew();
    while (status.ok() && !Ended(job) && !interrupted()) {
      const std::string name = job.name();
      status = can_watch ? Watch(*stub, interrupted, progress, job)
                         : Poll(*stub, interrupted, progress, job);
      job.set_name(name);
    }
    if (status.ok() && Ended(job)) return job;
    if (interrupt() == Interrupt::kCancel && !job.name().empty()) Cancel(*stub, job);
    if (interrupted()) return absl::CancelledError("interrupted");
    // A service that came back without the job gets it anew; the name is the same.
    const bool forgotten = absl::IsNotFound(status) && !job.name().empty();
    job.clear_name();
    if (!(IsTransient(status) || forgotten) || !patience.Wait()) break;
    spdlog::warn("service state=UNAVAILABLE endpoint={} error=\"{}\"", endpoint,
                 std::string(status.message()));
  }
  if (interrupted()) return absl::CancelledError("interrupted");
  return Annotate(status, endpoint);
}

absl::Status JobClient::LoadVersion(const std::string& endpoint, const std::string& version,
                                    const std::function<Interrupt()>& interrupt) {
  const std::function<bool()> interrupted = [&] { return interrupt() != Interrupt::kNone; };
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  Patience patience(interrupted);
  while (true) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, kLoadTimeout);
    v1::LoadVersionRequest request;
    request.set_name(version);
    v1::LoadVersionResponse response;
    const absl::Status status =
        runtime::FromGrpcStatus(stub->LoadVersion(&context, request, &response));
    if (status.ok() || !IsTransient(status)) return Annotate(status, endpoint);
    if (!patience.Wait()) {
      return interrupted() ? absl::CancelledError("interrupted") : Annotate(status, endpoint);
    }
  }
}

absl::StatusOr<v1::Model> JobClient::GetModel(const std::string& endpoint,
                                              const std::string& name) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Seconds(10));
  v1::GetModelRequest request;
  request.set_name(name);
  v1::Model model;
  const absl::Status status = runtime::FromGrpcStatus(stub->GetModel(&context, request, &model));
  if (!status.ok()) return Annotate(status, endpoint);
  return model;
}

absl::StatusOr<v1::Version> JobClient::GetVersion(const std::string& endpoint,
                                                  const std::string& name) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Seconds(10));
  v1::GetVersionRequest request;
  request.set_name(name);
  v1::Version version;
  const absl::Status status =
      runtime::FromGrpcStatus(stub->GetVersion(&context, request, &version));
  if (!status.ok()) return Annotate(status, endpoint);
  return version;
}

}  // namespace backfire::workflow
