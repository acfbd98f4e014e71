#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/tensor.h"

// The one door for tensors that other processes or files say they have. What is behind it relies on
// extents >= 0, on a product that does not wrap, and on as many bytes as shape and type say.
namespace backfire::runtime {

/// Most extents of a shape.
inline constexpr int kMaxRank = 16;
/// Most bytes of a tensor: what one message of Protobuf can carry.
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 31;
/// Most elements that the other extents of an empty tensor may have. Loops over [0, 2^33] run for
/// long, although there is nothing in it, and no bytes that would have to be sent for it.
inline constexpr int64_t kMaxEmptyExtents = int64_t{1} << 24;

/// Bytes of a tensor of this type and shape. INVALID_ARGUMENT: more than kMaxRank extents, one that
/// is < 0, more than kMaxTensorBytes, or an empty tensor beyond kMaxEmptyExtents.
absl::StatusOr<int64_t> TensorBytes(Datatype datatype, const std::vector<int64_t>& shape);

/// What is announced of a tensor: type and shape, and what follows from them. Bytes may come later.
struct TensorHeader {
  Datatype datatype = Datatype::kFp32;
  std::vector<int64_t> shape;
  int64_t bytes = 0;
};
/// INVALID_ARGUMENT: an unknown type, or as TensorBytes.
absl::StatusOr<TensorHeader> CheckHeader(std::string_view datatype, std::vector<int64_t> shape);

/// The tensor. INVALID_ARGUMENT: `data` has not the header's bytes.
absl::StatusOr<Tensor> MakeChecked(TensorHeader header, std::string data);

/// Whether a tensor is what a signature says. INVALID_ARGUMENT: another type, rank or extent.
absl::Status CheckSignature(const v1::TensorSignature& signature, std::string_view datatype,
                            const std::vector<int64_t>& shape);

/// `FP32 [2, 3]`, cut where the shape is long: for messages.
std::string DescribeTensor(std::string_view datatype, const std::vector<int64_t>& shape);

}  // namespace backfire::runtime
