#include "services/runtime/versions/primary.h"

#include <utility>

#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/status.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"
#include "services/runtime/file_stream.h"

namespace backfire::runtime {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(5);
// Of a whole file: the largest, over a slow network.
constexpr absl::Duration kFetchTimeout = absl::Minutes(10);

}  // namespace

Primary::Primary(std::string endpoint, ChannelPool& channels)
    : endpoint_(std::move(endpoint)), channels_(channels) {}

absl::StatusOr<std::string> Primary::Digest(const std::string& version) const {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint_));
  v1::GetVersionRequest request;
  request.set_name(version);
  const absl::StatusOr<v1::Version> found =
      UnaryCall(*stub, &v1::ModelService::Stub::GetVersion, request, kAnswerTimeout);
  if (!found.ok()) return Annotate(found.status(), endpoint_);
  return found->digest();
}

absl::StatusOr<StoredVersion> Primary::Fetch(const std::string& version,
                                             const std::function<bool()>& cancelled) const {
  const auto stub = v1::ModelService::NewStub(channels_.Get(endpoint_));
  grpc::ClientContext context;
  SetDeadline(context, kFetchTimeout);
  const CancellationWatch watch(context, cancelled);
  v1::ExportVersionRequest request;
  request.set_name(version);
  request.set_as_stored(true);
  const auto reader = stub->ExportVersion(&context, request);
  ExportedFile exported;
  v1::ExportVersionResponse piece;
  while (reader->Read(&piece)) exported.Add(piece);
  BACKFIRE_RETURN_IF_ERROR(Annotate(FromGrpcStatus(reader->Finish()), endpoint_));
  BACKFIRE_RETURN_IF_ERROR(Annotate(exported.Finish(), endpoint_));
  StoredVersion stored{exported.version(), exported.bytes()};
  stored.version.clear_loaded();  // Whether it is, there.
  return stored;
}

}  // namespace backfire::runtime
