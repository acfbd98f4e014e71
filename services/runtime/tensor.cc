#include "services/runtime/tensor.h"

#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/excerpt.h"

namespace backfire::runtime {
namespace {

struct DatatypeRow {
  std::string_view name;
  int64_t size;
};

// In the order of Datatype.
constexpr std::array<DatatypeRow, 13> kDatatypes = {{{"BOOL", 1},
                                                     {"UINT8", 1},
                                                     {"UINT16", 2},
                                                     {"UINT32", 4},
                                                     {"UINT64", 8},
                                                     {"INT8", 1},
                                                     {"INT16", 2},
                                                     {"INT32", 4},
                                                     {"INT64", 8},
                                                     {"FP16", 2},
                                                     {"BF16", 2},
                                                     {"FP32", 4},
                                                     {"FP64", 8}}};

}  // namespace

std::string_view DatatypeName(Datatype datatype) {
  return kDatatypes[static_cast<size_t>(datatype)].name;
}

absl::StatusOr<Datatype> ParseDatatype(std::string_view name) {
  for (size_t i = 0; i < kDatatypes.size(); ++i) {
    if (kDatatypes[i].name == name) return static_cast<Datatype>(i);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "datatype must be BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32 or FP64: got \"",
      Excerpt(name), "\""));
}

int64_t DatatypeSize(Datatype datatype) { return kDatatypes[static_cast<size_t>(datatype)].size; }

int64_t Tensor::ElementCount() const {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) return std::numeric_limits<int64_t>::max();
  }
  return count;
}

Tensor MakeTensor(Datatype datatype, std::vector<int64_t> shape) {
  Tensor tensor;
  tensor.datatype = datatype;
  tensor.shape = std::move(shape);
  tensor.data.resize(static_cast<size_t>(tensor.ElementCount() * DatatypeSize(datatype)));
  return tensor;
}

absl::StatusOr<const Tensor*> FindTensor(const TensorMap& tensors, std::string_view name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) {
    return absl::InvalidArgumentError(absl::StrCat("input \"", std::string(name), "\" is missing"));
  }
  return &found->second;
}

}  // namespace backfire::runtime
