#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::runtime {

/// Element types of the Open Inference Protocol whose elements have a fixed size.
enum class Datatype {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
};

/// The protocol's name: `FP32`.
std::string_view DatatypeName(Datatype datatype);
/// INVALID_ARGUMENT: no such type, or BYTES, whose elements have no fixed size.
absl::StatusOr<Datatype> ParseDatatype(std::string_view name);
/// Bytes of one element.
int64_t DatatypeSize(Datatype datatype);

/// A dense array on its way between processes: row-major, little-endian, no padding.
struct Tensor {
  Datatype datatype = Datatype::kFp32;
  std::vector<int64_t> shape;
  std::string data;  ///< ElementCount() * DatatypeSize(datatype) bytes.

  /// Product of `shape`; 1 for a scalar.
  int64_t ElementCount() const;
  /// Elements; T must be the C++ type of `datatype`.
  template <typename T>
  const T* As() const {
    return reinterpret_cast<const T*>(data.data());
  }
  template <typename T>
  T* MutableAs() {
    return reinterpret_cast<T*>(data.data());
  }
};

/// A tensor with room for its elements, all zero.
Tensor MakeTensor(Datatype datatype, std::vector<int64_t> shape);

/// Tensors by the name that a model's signature gives them.
using TensorMap = std::map<std::string, Tensor, std::less<>>;

/// Returns the tensor of that name. INVALID_ARGUMENT: it is missing.
absl::StatusOr<const Tensor*> FindTensor(const TensorMap& tensors, std::string_view name);

}  // namespace backfire::runtime
