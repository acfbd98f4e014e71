#include "services/runtime/outputs/parent_outputs.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/excerpt.h"
#include "services/base/status.h"
#include "services/rpc/attempts.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/checked_tensor.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {
namespace {

// A parent that has to predict a whole split first says nothing for long.
constexpr absl::Duration kCallTimeout = absl::Hours(6);
// A call that lasted for longer had reached it: gRPC gives up connecting sooner, and keepalive
// ends calls to a host that is gone.
constexpr absl::Duration kConnectTimeout = absl::Minutes(1);

// Of one example. A model has a handful.
constexpr size_t kMaxOutputs = 1000;

// Puts the pieces of a Materialize stream together, one example after another.
class ExampleAssembler {
 public:
  ExampleAssembler(int64_t next_example, ExampleFileWriter& writer, OutputsHasher& hasher)
      : next_example_(next_example), writer_(writer), hasher_(hasher) {}

  absl::Status Add(v1::MaterializeResponse& piece) {
    if (started_ && piece.example() != next_example_) BACKFIRE_RETURN_IF_ERROR(Finish());
    if (piece.example() != next_example_) {
      return absl::InternalError(
          absl::StrCat("example ", next_example_, " must come next: got ", piece.example()));
    }
    if (!started_) {
      example_id_ = piece.example_id();
      cluster_ = piece.cluster();
    }
    started_ = true;
    const absl::Status status = AddPiece(piece);
    if (status.ok()) return status;
    return absl::InternalError(absl::StrCat("output \"", Excerpt(piece.output()), "\" of example ",
                                            next_example_, ": ", status.message()));
  }

  absl::Status Finish() {
    if (!started_) return absl::OkStatus();
    if (!name_.empty()) {
      return absl::InternalError(absl::StrCat("output \"", name_, "\" has no last piece"));
    }
    BACKFIRE_RETURN_IF_ERROR(writer_.Append(tensors_));
    hasher_.Add(example_id_, cluster_, tensors_);
    tensors_.clear();
    started_ = false;
    ++next_example_;
    return absl::OkStatus();
  }

  int64_t next_example() const { return next_example_; }

 private:
  absl::Status AddPiece(v1::MaterializeResponse& piece) {
    if (piece.output().empty()) return absl::InvalidArgumentError("is without a name");
    if (piece.output() != name_) {
      if (!name_.empty()) {
        return absl::InvalidArgumentError(absl::StrCat("begins before the last piece of ", name_));
      }
      if (tensors_.count(piece.output()) > 0 || tensors_.size() >= kMaxOutputs) {
        return absl::InvalidArgumentError("is there twice, or one of too many");
      }
      BACKFIRE_ASSIGN_OR_RETURN(
          header_, CheckHeader(piece.datatype(), {piece.shape().begin(), piece.shape().end()}));
      name_ = piece.output();
      data_.clear();
    }
    // Checked piece by piece, so that a peer that never stops fills nothing here.
    if (static_cast<int64_t>(data_.size() + piece.data().size()) > header_.bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("has more bytes than its shape says: ", header_.bytes));
    }
    data_ += piece.data();
    if (!piece.last_piece()) return absl::OkStatus();
    BACKFIRE_ASSIGN_OR_RETURN(tensors_[name_],
                              MakeChecked(std::move(header_), std::exchange(data_, {})));
    name_.clear();
    return absl::OkStatus();
  }

  int64_t next_example_;
  ExampleFileWriter& writer_;
  OutputsHasher& hasher_;
  std::string example_id_, cluster_;
  bool started_ = false;
  std::string name_;  // Of the output that has pieces to come; empty: none has.
  TensorHeader header_;
  std::string data_;
  TensorMap tensors_;
};

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
  int64_t done = 0;
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
        attempts.Renew();
        status = assembler.Add(piece);
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
