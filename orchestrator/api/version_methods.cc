// The calls that are passed on to the services that own the versions.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/commands/version_use.h"
#include "services/base/status.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/request_bounds.h"
#include "services/runtime/version_name.h"

namespace backfire::api {
namespace {

// Of a caller that gave none; time enough for a large file.
constexpr absl::Duration kLongestCall = absl::Hours(1);

// A call to a service on behalf of a caller: it ends with the caller's, by deadline or
// cancellation.
struct Relay {
  std::string endpoint;
  std::unique_ptr<v1::ModelService::Stub> stub;
  std::unique_ptr<grpc::ClientContext> context;

  void Renew(const grpc::ServerContext& caller) {
    context = grpc::ClientContext::FromServerContext(caller);
    const auto longest = absl::ToChronoTime(absl::Now() + kLongestCall);
    if (context->deadline() > longest) context->set_deadline(longest);
  }
  // A service's own errors as they are; where it does not answer, which one that is.
  absl::Status Explain(const grpc::Status& status) const {
    const absl::Status cause = runtime::FromGrpcStatus(status);
    return absl::IsUnavailable(cause) ? Annotate(cause, endpoint) : cause;
  }
};

// A person waits, and may just have started the service: over a connection of its own, as one that
// is kept may be gone without that having been noticed, or pause after it could not connect.
absl::StatusOr<Relay> RelayTo(const records::State& state, const grpc::ServerContext& caller,
                              const std::string& model_name, v1::Capability capability) {
  Relay relay;
  BACKFIRE_ASSIGN_OR_RETURN(relay.endpoint, commands::EndpointOf(state, model_name, capability));
  relay.stub = v1::ModelService::NewStub(runtime::MakeChannel(relay.endpoint));
  relay.Renew(caller);
  return relay;
}

absl::StatusOr<Relay> RelayToVersion(const records::State& state, const grpc::ServerContext& caller,
                                     const std::string& version, v1::Capability capability) {
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id, runtime::ParseVersionName(version));
  return RelayTo(state, caller, id.model_name, capability);
}

// Versions of a model that a version feeds.
absl::StatusOr<std::vector<std::string>> FedVersions(Relay& relay,
                                                     const grpc::ServerContext& caller,
                                                     const std::string& model_name,
                                                     const std::string& parent) {
  std::vector<std::string> fed;
  v1::ListVersionsRequest request;
  request.set_model(model_name);
  v1::ListVersionsResponse page;
  do {
    relay.Renew(caller);
    request.set_page_token(page.next_page_token());
    page.Clear();
    BACKFIRE_RETURN_IF_ERROR(
        relay.Explain(relay.stub->ListVersions(relay.context.get(), request, &page)));
    for (const v1::Version& version : page.versions()) {
      for (const v1::Parent& own : version.lineage()) {
        if (own.version() == parent) {
          fed.push_back(version.name());
          break;
        }
      }
    }
  } while (!page.next_page_token().empty());
  return fed;
}

}  // namespace

grpc::Status OrchestratorService::ListVersions(grpc::ServerContext* context,
                                               const v1::ListVersionsRequest* request,
                                               v1::ListVersionsResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto list = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(Relay relay, RelayTo(*plane_.ledger().state(), *context,
                                                   request->model(), v1::LIST_VERSIONS));
    return relay.Explain(relay.stub->ListVersions(relay.context.get(), *request, response));
  };
  return runtime::ToGrpcStatus(list());
}

grpc::Status OrchestratorService::GetVersion(grpc::ServerContext* context,
                                             const v1::GetVersionRequest* request,
                                             v1::Version* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto get = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(Relay relay, RelayToVersion(*plane_.ledger().state(), *context,
                                                          request->name(), v1::LIST_VERSIONS));
    return relay.Explain(relay.stub->GetVersion(relay.context.get(), *request, response));
  };
  return runtime::ToGrpcStatus(get());
}

grpc::Status OrchestratorService::ImportVersion(
    grpc::ServerContext* context, grpc::ServerReader<v1::ImportVersionRequest>* reader,
    v1::Version* response) {
  const auto import = [&]() -> absl::Status {
    v1::ImportVersionRequest message;
    if (!reader->Read(&message)) return absl::InvalidArgumentError("the import has no message");
    BACKFIRE_RETURN_IF_ERROR(runtime::CheckBounds(message));
    BACKFIRE_ASSIGN_OR_RETURN(Relay relay, RelayTo(*plane_.ledger().state(), *context,
                                                   message.model(), v1::IMPORT_VERSION));
    if (message.lineage().empty()) {
      BACKFIRE_ASSIGN_OR_RETURN(const std::vector<v1::Parent> lineage,
                                commands::LiveLineage(*plane_.ledger().state(), message.model()));
      for (const v1::Parent& parent : lineage) *message.add_lineage() = parent;
    }
    const auto writer = relay.stub->ImportVersion(relay.context.get(), response);
    // A service that refuses stops reading: its status says why.
    bool alive = writer->Write(message);
    while (alive && reader->Read(&message)) alive = writer->Write(message);
    writer->WritesDone();
    return relay.Explain(writer->Finish());
  };
  return runtime::ToGrpcStatus(import());
}

grpc::Status OrchestratorService::ExportVersion(
    grpc::ServerContext* context, const v1::ExportVersionRequest* request,
    grpc::ServerWriter<v1::ExportVersionResponse>* writer) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto send = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(Relay relay, RelayToVersion(*plane_.ledger().state(), *context,
                                                          request->name(), v1::EXPORT_VERSION));
    const auto reader = relay.stub->ExportVersion(relay.context.get(), *request);
    v1::ExportVersionResponse piece;
    bool alive = true;
    while (alive && reader->Read(&piece)) alive = writer->Write(piece);
    if (!alive) relay.context->TryCancel();
    return relay.Explain(reader->Finish());
  };
  return runtime::ToGrpcStatus(send());
}

grpc::Status OrchestratorService::DeleteVersion(grpc::ServerContext* context,
                                                const v1::DeleteVersionRequest* request,
                                                v1::DeleteVersionResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto remove = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const runtime::VersionId id,
                              runtime::ParseVersionName(request->name()));
    const std::string name = runtime::VersionName(id.model_name, id.number);
    BACKFIRE_ASSIGN_OR_RETURN(Relay relay, RelayTo(*plane_.ledger().state(), *context,
                                                   id.model_name, v1::DELETE_VERSION));
    const auto state = plane_.ledger().state();
    BACKFIRE_RETURN_IF_ERROR(commands::CheckUnneeded(*state, plane_.ledger().history(), name));
    std::vector<std::string> fed;
    for (const commands::ChildModel& child : commands::ChildrenOf(*state, id.model_name)) {
      // What a service can't list it can't have kept for others than updates, which were asked.
      if (!child.lists_versions) continue;
      Relay to_child;
      to_child.endpoint = child.endpoint;
      to_child.stub = v1::ModelService::NewStub(runtime::MakeChannel(child.endpoint));
      BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> own,
                                FedVersions(to_child, *context, child.model_name, name));
      fed.insert(fed.end(), own.begin(), own.end());
    }
    if (!fed.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          name, " is needed by the lineage of ", absl::StrJoin(fed, ", "), ": delete these first"));
    }
    // Nothing that can be asked for serves it any more.
    v1::UnloadVersionRequest unload;
    unload.set_name(name);
    v1::UnloadVersionResponse unloaded;
    const grpc::Status status = relay.stub->UnloadVersion(relay.context.get(), unload, &unloaded);
    if (!status.ok() && status.error_code() != grpc::StatusCode::UNIMPLEMENTED) {
      return relay.Explain(status);
    }
    relay.Renew(*context);
    v1::DeleteVersionRequest canonical;
    canonical.set_name(name);
    return relay.Explain(relay.stub->DeleteVersion(relay.context.get(), canonical, response));
  };
  return runtime::ToGrpcStatus(remove());
}

}  // namespace backfire::api
