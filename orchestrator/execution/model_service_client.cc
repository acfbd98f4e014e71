#include "orchestrator/execution/model_service_client.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"

namespace backfire::execution {
namespace {

using planning::JobRequest;
using Stub = v1::ModelService::Stub;

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// Of what a service answers from memory.
constexpr absl::Duration kAnswerTimeout = absl::Seconds(10);
// Of a service that is about to be given something that takes long.
constexpr absl::Duration kPresenceTimeout = absl::Seconds(5);
// Loading reads and warms weights.
constexpr absl::Duration kLoadTimeout = absl::Minutes(5);
constexpr absl::Duration kWatchTimeout = absl::Hours(1);
constexpr std::chrono::milliseconds kPollInterval(500);
constexpr std::chrono::milliseconds kCancelPollInterval(50);

absl::StatusOr<v1::Job> Start(Stub& stub, const JobRequest& request,
                              const std::function<bool()>& stopping) {
  if (const auto* train = std::get_if<v1::TrainRequest>(&request)) {
    return runtime::UnaryCall(stub, &Stub::Train, *train, kCallTimeout, &stopping);
  }
  if (const auto* evaluate = std::get_if<v1::EvaluateRequest>(&request)) {
    return runtime::UnaryCall(stub, &Stub::Evaluate, *evaluate, kCallTimeout, &stopping);
  }
  return runtime::UnaryCall(stub, &Stub::CommitOutputs, std::get<v1::CommitOutputsRequest>(request),
                            kCallTimeout, &stopping);
}

bool Ended(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

// Follows a job by its stream. OK with a job that has not ended: ask again.
absl::Status Watch(Stub& stub, const std::function<bool()>& interrupted,
                   const std::function<void(const v1::Progress&)>& progress,
                   runtime::Attempts& attempts, v1::Job& job) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kWatchTimeout);
  const runtime::CancellationWatch watch(context, interrupted);
  v1::WatchJobRequest request;
  request.set_name(job.name());
  const auto reader = stub.WatchJob(&context, request);
  bool heard = false;
  while (reader->Read(&job)) {
    heard = true;
    progress(job.progress());
  }
  const absl::Status status = runtime::FromGrpcStatus(reader->Finish());
  // A training may be silent for hours; keepalive tells that the service was there until now.
  if (heard) attempts.Renew();
  const bool out_of_time = heard && absl::IsDeadlineExceeded(status);
  return Ended(job) || out_of_time ? absl::OkStatus() : status;
}

absl::Status Poll(Stub& stub, const std::function<bool()>& interrupted,
                  const std::function<void(const v1::Progress&)>& progress,
                  runtime::Attempts& attempts, v1::Job& job) {
  runtime::WaitUnlessCancelled(kPollInterval, interrupted);
  v1::GetJobRequest request;
  request.set_name(job.name());
  BACKFIRE_ASSIGN_OR_RETURN(
      job, runtime::UnaryCall(stub, &Stub::GetJob, request, kCallTimeout, &interrupted));
  attempts.Renew();
  progress(job.progress());
  return absl::OkStatus();
}

std::string RequestId(const JobRequest& request) {
  return std::visit([](const auto& r) { return r.request_id(); }, request);
}

}  // namespace

absl::StatusOr<v1::Job> ModelServiceClient::Run(
    const std::string& endpoint, const JobRequest& request, bool can_watch,
    const runtime::Patience& patience, const std::function<Interrupt()>& interrupt,
    const std::function<void(const v1::Progress&)>& progress) {
  const std::function<bool()> interrupted = [&] { return interrupt() != Interrupt::kNone; };
  // A job that is to be cancelled must have been started or refused first: a call that is given up
  // may still start one, behind the back of the call that cancels it.
  const std::function<bool()> stopping = [&] { return interrupt() == Interrupt::kStop; };
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  runtime::Attempts attempts(patience, interrupted);
  v1::Job job;
  absl::Status status = absl::OkStatus();
  while (!interrupted()) {
    job.Clear();
    absl::StatusOr<v1::Job> started = Start(*stub, request, stopping);
    status = started.status();
    if (status.ok()) {
      attempts.Renew();
      job = *std::move(started);
    }
    while (status.ok() && !Ended(job) && !interrupted()) {
      const std::string name = job.name();
      status = can_watch ? Watch(*stub, interrupted, progress, attempts, job)
                         : Poll(*stub, interrupted, progress, attempts, job);
      job.set_name(name);
    }
    if (status.ok() && Ended(job)) return job;
    // A service that came back without the job gets it anew; the name is the same.
    const bool forgotten = absl::IsNotFound(status) && !job.name().empty();
    if (!(runtime::IsTransient(status) || forgotten) || !attempts.Wait()) break;
    spdlog::warn("service state=UNAVAILABLE endpoint={} error=\"{}\"", endpoint,
                 std::string(status.message()));
  }
  if (interrupt() == Interrupt::kCancel) {
    const auto cancelled = Cancel(endpoint, RequestId(request), patience,
                                  [&] { return interrupt() == Interrupt::kStop; });
    if (cancelled.ok()) return cancelled;
    if (!absl::IsNotFound(cancelled.status()))
      spdlog::warn("job state=NOT_CANCELLED job={} error=\"{}\"", RequestId(request),
                   std::string(cancelled.status().message()));
  }
  if (interrupted()) return absl::CancelledError("interrupted");
  return attempts.Explain(status, endpoint);
}

absl::StatusOr<v1::Job> ModelServiceClient::Cancel(const std::string& endpoint,
                                                   const std::string& request_id,
                                                   const runtime::Patience& patience,
                                                   const std::function<bool()>& interrupted) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  const std::function<bool()> stop = interrupted;
  runtime::Attempts attempts(patience, stop);
  while (true) {
    v1::CancelJobRequest request;
    request.set_name(absl::StrCat("jobs/", request_id));
    const absl::StatusOr<v1::Job> job =
        runtime::UnaryCall(*stub, &Stub::CancelJob, request, kCallTimeout, &stop);
    if (job.ok() && Ended(*job)) return job;
    if (job.ok()) {
      // It stops between two steps of its work.
      attempts.Renew();
      runtime::WaitUnlessCancelled(kCancelPollInterval, stop);
      if (stop()) return absl::CancelledError("interrupted");
      continue;
    }
    if (!runtime::IsTransient(job.status()) || !attempts.Wait()) {
      if (stop()) return absl::CancelledError("interrupted");
      return attempts.Explain(job.status(), endpoint);
    }
  }
}

absl::Status ModelServiceClient::LoadVersion(const std::string& endpoint,
                                             const std::string& version, const std::string& digest,
                                             const runtime::Patience& patience,
                                             const std::function<bool()>& interrupted) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  runtime::Attempts attempts(patience, interrupted);
  while (true) {
    // Loading takes as long as it takes; whether the service is there at all is known at once.
    v1::GetVersionRequest presence;
    presence.set_name(version);
    absl::Status status =
        runtime::UnaryCall(*stub, &Stub::GetVersion, presence,
                           attempts.AttemptTimeout(kPresenceTimeout), &interrupted)
            .status();
    if (!runtime::IsTransient(status)) {
      v1::LoadVersionRequest request;
      request.set_name(version);
      request.set_digest(digest);
      status = runtime::UnaryCall(*stub, &Stub::LoadVersion, request,
                                  attempts.WorkTimeout(kLoadTimeout), &interrupted)
                   .status();
    }
    // Loading is a capability: a service without it serves what it has.
    if (status.ok() || absl::IsUnimplemented(status)) return absl::OkStatus();
    if (interrupted()) return absl::CancelledError("interrupted");
    if (!runtime::IsTransient(status) || !attempts.Wait()) {
      return interrupted() ? absl::CancelledError("interrupted")
                           : attempts.Explain(status, endpoint);
    }
  }
}

absl::Status ModelServiceClient::UnloadVersion(const std::string& endpoint,
                                               const std::string& version) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  v1::UnloadVersionRequest request;
  request.set_name(version);
  return Annotate(runtime::UnaryCall(*stub, &Stub::UnloadVersion, request, kAnswerTimeout).status(),
                  endpoint);
}

// A person waits for the next two, and may just have started the service. A channel that is kept
// may not have noticed yet that its connection is gone, or pause after it could not connect; a new
// one knows nothing of the past.
absl::StatusOr<v1::Model> ModelServiceClient::GetModel(const std::string& endpoint,
                                                       const std::string& name) {
  const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(endpoint));
  v1::GetModelRequest request;
  request.set_name(name);
  absl::StatusOr<v1::Model> model =
      runtime::UnaryCall(*stub, &Stub::GetModel, request, kAnswerTimeout);
  if (!model.ok()) return Annotate(model.status(), endpoint);
  return model;
}

absl::StatusOr<v1::Recipe> ModelServiceClient::ResolveRecipe(
    const std::string& endpoint, const v1::ResolveRecipeRequest& request) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  absl::StatusOr<v1::ResolveRecipeResponse> resolved =
      runtime::UnaryCall(*stub, &Stub::ResolveRecipe, request, kAnswerTimeout);
  if (resolved.ok()) return std::move(*resolved->mutable_recipe());
  // What a service says of the request is said as it is; who asked knows whom.
  const absl::Status& status = resolved.status();
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)
             ? Annotate(status, endpoint)
             : status;
}

absl::StatusOr<v1::Version> ModelServiceClient::GetVersion(const std::string& endpoint,
                                                           const std::string& name) {
  const auto stub = v1::ModelService::NewStub(runtime::MakeChannel(endpoint));
  v1::GetVersionRequest request;
  request.set_name(name);
  absl::StatusOr<v1::Version> version =
      runtime::UnaryCall(*stub, &Stub::GetVersion, request, kAnswerTimeout);
  if (!version.ok()) return Annotate(version.status(), endpoint);
  return version;
}

absl::StatusOr<std::vector<v1::Version>> ModelServiceClient::ListVersions(
    const std::string& endpoint, const std::string& model) {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  std::vector<v1::Version> versions;
  v1::ListVersionsRequest request;
  request.set_model(model);
  do {
    const absl::StatusOr<v1::ListVersionsResponse> page =
        runtime::UnaryCall(*stub, &Stub::ListVersions, request, kAnswerTimeout);
    if (!page.ok()) return Annotate(page.status(), endpoint);
    versions.insert(versions.end(), page->versions().begin(), page->versions().end());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return versions;
}

absl::Status ModelServiceClient::DeleteVersion(const std::string& endpoint,
                                               const std::string& version) {
  const absl::Status unloaded = UnloadVersion(endpoint, version);
  const bool is_unloaded =
      unloaded.ok() || absl::IsUnimplemented(unloaded) || absl::IsNotFound(unloaded);
  if (!is_unloaded) return unloaded;
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint));
  v1::DeleteVersionRequest request;
  request.set_name(version);
  return Annotate(runtime::UnaryCall(*stub, &Stub::DeleteVersion, request, kCallTimeout).status(),
                  endpoint);
}

}  // namespace backfire::execution
