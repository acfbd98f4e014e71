#include "services/runtime/checked_tensor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

template <typename Extents>
std::string ShapeText(const Extents& shape) {
  constexpr int kShown = 2 * kMaxRank;
  const bool cut = static_cast<int>(shape.size()) > kShown;
  const auto end = cut ? shape.begin() + kShown : shape.end();
  return absl::StrCat("[", absl::StrJoin(shape.begin(), end, ", "), cut ? ", ...]" : "]");
}

}  // namespace

std::string DescribeTensor(std::string_view datatype, const std::vector<int64_t>& shape) {
  return absl::StrCat(std::string(datatype.substr(0, 32)), " ", ShapeText(shape));
}

absl::StatusOr<int64_t> TensorBytes(Datatype datatype, const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape must have at most ", kMaxRank, " extents: got ", shape.size()));
  }
  if (std::any_of(shape.begin(), shape.end(), [](int64_t extent) { return extent < 0; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("every extent of the shape must be >= 0: got ", ShapeText(shape)));
  }
  const bool is_empty = std::count(shape.begin(), shape.end(), 0) > 0;
  const int64_t most = is_empty ? kMaxEmptyExtents : kMaxTensorBytes / DatatypeSize(datatype);
  int64_t count = 1;  // Of an empty tensor: by its other extents.
  for (const int64_t extent : shape) {
    if (extent == 0) continue;
    if (extent > most / count) {
      return absl::InvalidArgumentError(
          absl::StrCat(is_empty ? "the other extents of an empty tensor" : "a tensor",
                       " may have at most ", most, " elements: got ", ShapeText(shape)));
    }
    count *= extent;
  }
  return is_empty ? 0 : count * DatatypeSize(datatype);
}

absl::StatusOr<TensorHeader> CheckHeader(std::string_view datatype, std::vector<int64_t> shape) {
  TensorHeader header;
  BACKFIRE_ASSIGN_OR_RETURN(header.datatype, ParseDatatype(datatype));
  BACKFIRE_ASSIGN_OR_RETURN(header.bytes, TensorBytes(header.datatype, shape));
  header.shape = std::move(shape);
  return header;
}

absl::StatusOr<Tensor> MakeChecked(TensorHeader header, std::string data) {
  if (static_cast<int64_t>(data.size()) != header.bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "raw contents must have ", header.bytes, " bytes for ",
        DescribeTensor(DatatypeName(header.datatype), header.shape), ": got ", data.size()));
  }
  Tensor tensor;
  tensor.datatype = header.datatype;
  tensor.shape = std::move(header.shape);
  tensor.data = std::move(data);
  return tensor;
}

absl::Status CheckSignature(const v1::TensorSignature& signature, std::string_view datatype,
                            const std::vector<int64_t>& shape) {
  if (datatype != signature.datatype()) {
    return absl::InvalidArgumentError(absl::StrCat("datatype must be ", signature.datatype(),
                                                   ": got \"", std::string(datatype.substr(0, 32)),
                                                   "\""));
  }
  const bool fits = static_cast<int>(shape.size()) == signature.shape_size() &&
                    std::equal(shape.begin(), shape.end(), signature.shape().begin(),
                               [](int64_t extent, int64_t expected) {
                                 return extent >= 0 && (expected == -1 || expected == extent);
                               });
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("shape must be ", ShapeText(signature.shape()),
                                                 " (-1: any size): got ", ShapeText(shape)));
}

}  // namespace backfire::runtime
