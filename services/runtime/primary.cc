#include "services/runtime/primary.h"

#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/status.h"
#include "services/runtime/file_stream.h"
#include "services/runtime/rpc_status.h"

namespace backfire::runtime {
namespace {

// Less than a caller of LoadVersion waits.
constexpr absl::Duration kFetchTimeout = absl::Seconds(60);

}  // namespace

std::function<absl::StatusOr<StoredVersion>(const std::string& version)> FetchFrom(
    const std::string& primary, ChannelPool& channels) {
  if (primary.empty()) return nullptr;
  return [primary, &channels](const std::string& version) -> absl::StatusOr<StoredVersion> {
    const auto stub = v1::ModelService::NewStub(channels.Get(primary));
    grpc::ClientContext context;
    SetDeadline(context, kFetchTimeout);
    v1::ExportVersionRequest request;
    request.set_name(version);
    request.set_as_stored(true);
    const auto reader = stub->ExportVersion(&context, request);
    ExportedFile exported;
    v1::ExportVersionResponse piece;
    while (reader->Read(&piece)) exported.Add(piece);
    BACKFIRE_RETURN_IF_ERROR(Annotate(FromGrpcStatus(reader->Finish()), primary));
    BACKFIRE_RETURN_IF_ERROR(Annotate(exported.Finish(), primary));
    StoredVersion stored{exported.version(), exported.bytes()};
    stored.version.clear_loaded();  // Whether it is, there.
    return stored;
  };
}

}  // namespace backfire::runtime
