#include "orchestrator/cli/orchestrator_client.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "orchestrator/evidence_messages/evidence_messages.h"
#include "orchestrator/report/progress_report.h"
#include "services/base/status.h"
#include "services/rpc/address.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/file_stream.h"
#include "services/runtime/version_name.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

/// No training takes longer than this without a change that ends the stream.
constexpr absl::Duration kWatchTimeout = absl::Hours(24 * 7);
/// How long a restarting orchestrator may be away.
constexpr absl::Duration kRestartTimeout = absl::Seconds(60);
/// For a file to be sent, converted and written to disk.
constexpr absl::Duration kFileTimeout = absl::Minutes(30);

}  // namespace

OrchestratorClient::OrchestratorClient(const std::string& target)
    : target_(target), channel_(runtime::MakeChannel(target)) {
  stub_ = v1::Orchestrator::NewStub(channel_);
  evidence_stub_ = v1::UpdateEvidence::NewStub(channel_);
}

absl::Status OrchestratorClient::Explain(const absl::Status& cause) const {
  // If the orchestrator itself is there, somebody else is not, and it has said who.
  const bool is_there = channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
  if (!absl::IsUnavailable(cause) || is_there) return cause;
  // What gRPC says of a socket that is not there takes a line to say less.
  std::error_code error;
  const bool is_no_file = runtime::IsUnix(target_) &&
                          !std::filesystem::exists(runtime::UnixPath(target_), error) && !error;
  return absl::UnavailableError(
      absl::StrCat("orchestrator at ", target_, ": ",
                   is_no_file ? "there is no such socket" : std::string(cause.message()),
                   " (is the mesh up? `backfire up SYSTEM.yaml` starts one)"));
}

absl::StatusOr<std::string> OrchestratorClient::ResolveUpdate(const std::string& name) {
  if (name == "baseline") {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse system,
                              Call(&Stub::GetSystem, v1::GetSystemRequest()));
    if (system.baseline_update().empty()) return absl::NotFoundError("there is no baseline yet");
    return system.baseline_update();
  }
  if (name == "latest") {
    v1::ListUpdatesRequest request;
    request.set_page_size(1);
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListUpdatesResponse updates,
                              Call(&Stub::ListUpdates, request));
    if (updates.updates().empty()) return absl::NotFoundError("there is no update yet");
    return updates.updates(0).name();
  }
  absl::StatusOr<std::string> update = ResourceName("updates", name);
  if (update.ok()) return update;
  return absl::InvalidArgumentError(
      absl::StrCat("an update is updates/NUMBER, NUMBER, latest or baseline: got \"", name, "\""));
}

absl::StatusOr<std::string> OrchestratorClient::ResolveRelease(const std::string& name) {
  if (name != "live") {
    absl::StatusOr<std::string> release = ResourceName("releases", name);
    if (release.ok()) return release;
    return absl::InvalidArgumentError(
        absl::StrCat("a release is releases/NUMBER, NUMBER or live: got \"", name, "\""));
  }
  v1::ListReleasesRequest request;
  do {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListReleasesResponse page,
                              Call(&Stub::ListReleases, request));
    for (const v1::Release& release : page.releases()) {
      if (release.state() == v1::Release::LIVE) return release.name();
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return absl::NotFoundError("no release is live yet");
}

absl::StatusOr<std::vector<std::string>> OrchestratorClient::ResolveModels(
    const std::string& vertex) {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse response,
                            Call(&Stub::GetSystem, v1::GetSystemRequest()));
  std::vector<std::string> models, known;
  for (const v1::Vertex& one : response.system().vertices()) {
    known.push_back(one.name());
    if (!vertex.empty() && vertex != one.name()) continue;
    const std::string model =
        absl::StrCat("models/", one.model().empty() ? one.name() : one.model());
    if (std::find(models.begin(), models.end(), model) == models.end()) models.push_back(model);
  }
  if (!models.empty()) return models;
  return absl::NotFoundError(
      absl::StrCat("there is no vertex \"", vertex, "\"; there are ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<std::string> OrchestratorClient::ResolveVersion(const std::string& vertex,
                                                               const std::string& name) {
  std::string of_vertex = vertex;
  std::string digits = name;
  if (absl::StartsWith(name, "models/")) {
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id, runtime::ParseVersionName(name));
    if (!vertex.empty()) {
      BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> models, ResolveModels(vertex));
      if (models.front() != id.model_name) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, " is not a version of ", models.front(), ", the model of ", vertex));
      }
    }
    return runtime::VersionName(id.model_name, id.number);
  }
  if (const size_t slash = name.find('/'); slash != std::string::npos) {
    if (!vertex.empty() && vertex != name.substr(0, slash)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", name, "\" is not a version of vertex ", vertex));
    }
    of_vertex = name.substr(0, slash);
    digits = name.substr(slash + 1);
  }
  int64_t number = 0;
  if (of_vertex.empty() || !absl::SimpleAtoi(digits, &number) || number < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a version must be VERTEX/NUMBER, or models/MODEL/versions/NUMBER, or where the "
        "vertex is named, NUMBER: got \"",
        name, "\""));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> models, ResolveModels(of_vertex));
  return runtime::VersionName(models.front(), number);
}

absl::StatusOr<v1::Version> OrchestratorClient::ImportVersion(
    const std::function<absl::Status(const WriteImport&)>& send) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kFileTimeout);
  v1::Version version;
  const auto writer = stub_->ImportVersion(&context, &version);
  const absl::Status sent =
      send([&](const v1::ImportVersionRequest& message) { return writer->Write(message); });
  if (!sent.ok()) context.TryCancel();
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  BACKFIRE_RETURN_IF_ERROR(sent);
  if (!status.ok()) return Explain(runtime::FromGrpcStatus(status));
  return version;
}

absl::StatusOr<v1::Version> OrchestratorClient::ExportVersion(
    const v1::ExportVersionRequest& request, std::string& file) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, kFileTimeout);
  const auto reader = stub_->ExportVersion(&context, request);
  runtime::ExportedFile exported;
  v1::ExportVersionResponse piece;
  while (reader->Read(&piece)) exported.Add(piece);
  if (const grpc::Status status = reader->Finish(); !status.ok())
    return Explain(runtime::FromGrpcStatus(status));
  BACKFIRE_RETURN_IF_ERROR(exported.Finish());
  file = exported.bytes();
  return exported.version();
}

absl::StatusOr<v1::UpdateContext> OrchestratorClient::Context(const std::string& update) {
  v1::GetUpdateRequest get;
  get.set_name(update);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Update found, Call(&v1::Orchestrator::Stub::GetUpdate, get));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GetSystemResponse system,
                            Call(&v1::Orchestrator::Stub::GetSystem, v1::GetSystemRequest()));
  return ContextOf(found, system);
}

absl::StatusOr<std::string> OrchestratorClient::ExportEvidence(const std::string& update,
                                                               const TrainingCurves* curves) {
  BACKFIRE_ASSIGN_OR_RETURN(v1::UpdateContext about, Context(update));
  if (curves != nullptr) curves->AddTo(about);
  grpc::ClientContext context;
  runtime::SetDeadline(context, kFileTimeout);
  v1::ExportEvidenceRequest request;
  request.set_name(update);
  const auto reader = evidence_stub_->ExportEvidence(&context, request);
  std::string lines;
  v1::ExportEvidenceResponse piece;
  absl::Status taken;
  while (taken.ok() && reader->Read(&piece)) {
    if (piece.has_header() != lines.empty()) {
      taken = absl::DataLossError("evidence must begin with its header, and have one");
      break;
    }
    if (piece.has_header()) *piece.mutable_header()->mutable_context() = about;
    const absl::StatusOr<std::string> line =
        piece.has_header() ? evidence::ToLine(piece.header()) : evidence::ToLine(piece.record());
    taken = line.status();
    if (line.ok()) lines += *line;
  }
  if (!taken.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  BACKFIRE_RETURN_IF_ERROR(taken);
  if (!status.ok()) return Explain(runtime::FromGrpcStatus(status));
  return lines;
}

absl::StatusOr<v1::Update> OrchestratorClient::WatchUpdate(
    const std::string& name, const std::function<void(const v1::Update&)>& on_change) {
  v1::WatchUpdateRequest request;
  request.set_name(name);
  v1::Update latest;
  while (true) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, kWatchTimeout);
    const auto reader = stub_->WatchUpdate(&context, request);
    v1::Update update;
    while (reader->Read(&update)) {
      latest = update;
      on_change(latest);
    }
    const grpc::Status status = reader->Finish();
    if (status.ok() && report::HasEnded(latest)) return latest;
    const bool was_known = !latest.name().empty();
    if (!status.ok() && !(was_known && status.error_code() == grpc::StatusCode::UNAVAILABLE)) {
      return Explain(runtime::FromGrpcStatus(status));
    }
    // It is shutting down or restarting: wait until it answers again, rather than ask in a loop.
    grpc::ClientContext again;
    again.set_wait_for_ready(true);
    runtime::SetDeadline(again, kRestartTimeout);
    v1::GetUpdateRequest get;
    get.set_name(name);
    if (const grpc::Status back = stub_->GetUpdate(&again, get, &latest); !back.ok()) {
      return Explain(runtime::FromGrpcStatus(status.ok() ? back : status));
    }
    on_change(latest);
    if (report::HasEnded(latest)) return latest;
  }
}

absl::Status OrchestratorClient::WatchReleases(
    const std::function<absl::Status(const v1::ReleaseSnapshot&)>& on_change) {
  for (bool was_there = false;; was_there = true) {
    if (was_there) {
      // It is shutting down or restarting.
      grpc::ClientContext again;
      again.set_wait_for_ready(true);
      runtime::SetDeadline(again, kRestartTimeout);
      v1::ListReleasesResponse unused;
      const grpc::Status back = stub_->ListReleases(&again, v1::ListReleasesRequest(), &unused);
      if (!back.ok()) return Explain(runtime::FromGrpcStatus(back));
    }
    grpc::ClientContext context;
    runtime::SetDeadline(context, kWatchTimeout);
    const auto stream = stub_->WatchReleases(&context);
    stream->Write(v1::GatewayReport());
    v1::ReleaseSnapshot snapshot;
    absl::Status shown;
    while (shown.ok() && stream->Read(&snapshot)) {
      was_there = true;
      shown = on_change(snapshot);
    }
    if (!shown.ok()) context.TryCancel();
    const grpc::Status status = stream->Finish();
    BACKFIRE_RETURN_IF_ERROR(shown);
    if (!was_there) return Explain(runtime::FromGrpcStatus(status));
  }
}

absl::StatusOr<std::string> ResourceName(const std::string& collection, const std::string& text) {
  int64_t number = 0;
  const std::string prefix = collection + "/";
  const std::string digits(absl::StripPrefix(text, prefix));
  if (!absl::SimpleAtoi(digits, &number) || number < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be ", prefix, "NUMBER or NUMBER: got \"", text, "\""));
  }
  return absl::StrCat(prefix, number);
}

}  // namespace backfire::cli
