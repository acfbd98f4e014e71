#include "services/runtime/outputs/parent_outputs.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/status.h"
#include "services/rpc/attempts.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/outputs/example_assembler.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {
namespace {

// A parent that has to predict a whole split first says nothing for long.
constexpr absl::Duration kCallTimeout = absl::Hours(6);
// A call that lasted for longer had reached it: gRPC gives up connecting sooner, and keepalive
// ends calls to a host that is gone.
constexpr absl::Duration kConnectTimeout = absl::Minutes(1);

}  // namespace

absl::Status PullParentOutputs(ChannelPool& channels, const v1::MaterializeRequest& request,
                               int64_t expected_count, const std::function<bool()>& cancelled,
                               const std::function<void(int64_t done)>& progress,
                               ExampleFileWriter& writer, OutputsHasher& hasher) {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  const auto& endpoints = request.endpoints().by_model();
  const auto endpoint = endpoints.find(id.model_name);
  if (endpoint == endpoints.end()) {
    return absl::FailedPreconditionError(absl::StrCat("endpoints.by_model has no entry for ",
                                                      id.model_name, ", whose outputs are needed"));
  }
  const auto stub = v1::ModelService::NewStub(channels.Get(endpoint->second));
  const std::string where = absl::StrCat(request.version(), " at ", endpoint->second);
  Attempts attempts({absl::Minutes(5), where}, cancelled);
  const absl::Status more = absl::FailedPreconditionError(
      absl::StrCat("has more than ", expected_count, " examples in split ", request.split(), ": ",
                   expected_count, " expected; do both services read the same dataset?"));
  int64_t done = 0, most = 0;
  while (true) {
    v1::MaterializeRequest rest = request;
    for (int64_t i = done; done > 0 && i < expected_count; ++i) rest.add_examples(i);
    ExampleAssembler assembler(done, writer, hasher);
    absl::Status status;
    grpc::Status rpc_status;
    const auto start = std::chrono::steady_clock::now();
    {
      grpc::ClientContext context;
      SetDeadline(context, kCallTimeout);
      CancellationWatch watch(context, cancelled);
      const auto reader = stub->Materialize(&context, rest);
      v1::MaterializeResponse piece;
      while (status.ok() && reader->Read(&piece)) {
        // At once: one that never ends would fill the disk.
        status = piece.example() >= expected_count ? more : assembler.Add(piece);
        // Only what is new shows that it gets on: one that dies again and again is given up.
        if (assembler.next_example() > most) attempts.Renew();
        most = std::max(most, assembler.next_example());
        progress(assembler.next_example());
      }
      if (!status.ok()) context.TryCancel();
      rpc_status = reader->Finish();
    }
    if (cancelled()) return absl::CancelledError("cancelled while reading parents' outputs");
    BACKFIRE_RETURN_IF_ERROR(Annotate(status, where));
    if (rpc_status.ok()) {
      BACKFIRE_RETURN_IF_ERROR(Annotate(assembler.Finish(), where));
      if (assembler.next_example() == expected_count) return absl::OkStatus();
      return absl::FailedPreconditionError(absl::StrCat(
          where, " has ", assembler.next_example(), " examples in split ", request.split(), ": ",
          expected_count, " expected; do both services read the same dataset?"));
    }
    const absl::Status failed = FromGrpcStatus(rpc_status);
    const absl::Duration lasted = absl::FromChrono(std::chrono::steady_clock::now() - start);
    if (lasted > kConnectTimeout && !absl::IsDeadlineExceeded(failed)) attempts.Renew();
    if (!IsTransient(failed) || !attempts.Wait()) {
      if (cancelled()) return absl::CancelledError("cancelled while reading parents' outputs");
      return attempts.Explain(failed, where);
    }
    done = assembler.next_example();
    spdlog::warn("parent state=UNAVAILABLE version={} error=\"{}\"", where,
                 rpc_status.error_message());
  }
}

}  // namespace backfire::runtime
