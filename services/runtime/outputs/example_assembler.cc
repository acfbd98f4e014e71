#include "services/runtime/outputs/example_assembler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/excerpt.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

// Of one example. A model has a handful.
constexpr size_t kMaxOutputs = 1000;

}  // namespace

absl::Status ExampleAssembler::Add(v1::MaterializeResponse& piece) {
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

absl::Status ExampleAssembler::Finish() {
  if (!started_) return absl::OkStatus();
  if (!name_.empty()) {
    return absl::InternalError(absl::StrCat("output \"", Excerpt(name_), "\" has no last piece"));
  }
  BACKFIRE_RETURN_IF_ERROR(writer_.Append(tensors_));
  hasher_.Add(example_id_, cluster_, tensors_);
  tensors_.clear();
  bytes_ = 0;
  started_ = false;
  ++next_example_;
  return absl::OkStatus();
}

absl::Status ExampleAssembler::AddPiece(v1::MaterializeResponse& piece) {
  if (piece.output().empty()) return absl::InvalidArgumentError("is without a name");
  if (piece.output() != name_) {
    if (!name_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("begins before the last piece of ", Excerpt(name_)));
    }
    if (tensors_.count(piece.output()) > 0 || tensors_.size() >= kMaxOutputs) {
      return absl::InvalidArgumentError("is there twice, or one of too many");
    }
    BACKFIRE_ASSIGN_OR_RETURN(
        header_, CheckHeader(piece.datatype(), {piece.shape().begin(), piece.shape().end()}));
    if (header_.bytes > max_bytes_ - bytes_) {
      return absl::InvalidArgumentError(
          absl::StrCat("makes the example larger than ", max_bytes_, " bytes"));
    }
    bytes_ += header_.bytes;
    name_ = piece.output();
    data_.clear();
  }
  // Checked piece by piece, so that a peer that never stops fills nothing here.
  if (static_cast<int64_t>(data_.size() + piece.data().size()) > header_.bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has more bytes than its shape says: ", header_.bytes));
  }
  // Else it could go on for ever and get nowhere.
  if (piece.data().empty() && !piece.last_piece()) {
    return absl::InvalidArgumentError("has a piece without bytes that is not its last");
  }
  data_ += piece.data();
  if (!piece.last_piece()) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(tensors_[name_],
                            MakeChecked(std::move(header_), std::exchange(data_, {})));
  name_.clear();
  return absl::OkStatus();
}

}  // namespace backfire::runtime
