#include "services/learning/weight_tensors.h"

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/runtime/checked_tensor.h"

namespace backfire::learning {
namespace {

using runtime::Datatype;

constexpr std::string_view kMagic = "backfire-weights-1\n";
// More than any network has; a damaged file can't make us ask for more memory than it is long.
constexpr int64_t kMaxStoredRank = 16;

// Numbers of LibTorch's ScalarType, which the format uses.
struct ElementType {
  char code;
  Datatype datatype;
};
constexpr ElementType kElementTypes[] = {
    {0, Datatype::kUint8}, {4, Datatype::kInt64}, {6, Datatype::kFp32}, {7, Datatype::kFp64}};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::string_view Take(int64_t count) {
    if (count < 0 || count > static_cast<int64_t>(rest_.size())) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(count));
    rest_.remove_prefix(static_cast<size_t>(count));
    return taken;
  }
  int64_t Number() {
    int64_t number = 0;
    const std::string_view bytes = Take(sizeof(number));
    if (ok_) std::memcpy(&number, bytes.data(), sizeof(number));
    return number;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

void PutNumber(int64_t number, std::string& out) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

}  // namespace

absl::StatusOr<WeightTensors> ParseWeights(const std::string& bytes) {
  const absl::Status truncated = absl::DataLossError("the weights are truncated or no weights");
  Reader reader(bytes);
  if (reader.Take(static_cast<int64_t>(kMagic.size())) != kMagic) return truncated;
  WeightTensors tensors;
  const int64_t count = reader.Number();
  if (count < 0) return truncated;
  for (int64_t i = 0; i < count && reader.ok(); ++i) {
    std::string name(reader.Take(reader.Number()));
    const std::string_view code = reader.Take(1);
    const int64_t rank = reader.Number();
    if (!reader.ok() || rank < 0 || rank > kMaxStoredRank) return truncated;
    runtime::Tensor tensor;
    bool known = false;
    for (const ElementType& type : kElementTypes) {
      if (type.code != code[0]) continue;
      tensor.datatype = type.datatype;
      known = true;
    }
    if (!known) {
      return absl::DataLossError(
          absl::StrCat("tensor ", name, " of the weights has type ", static_cast<int>(code[0])));
    }
    std::vector<int64_t> shape;
    for (int64_t d = 0; d < rank; ++d) shape.push_back(reader.Number());
    if (!reader.ok()) return truncated;
    // Extents of a tensor without elements are bounded as well: whoever computes strides multiplies
    // them.
    absl::StatusOr<runtime::TensorHeader> header =
        runtime::CheckHeader(runtime::DatatypeName(tensor.datatype), std::move(shape));
    if (!header.ok()) return truncated;
    tensor.shape = std::move(header->shape);
    tensor.data = std::string(reader.Take(header->bytes));
    if (!reader.ok()) return truncated;
    tensors[std::move(name)] = std::move(tensor);
  }
  if (!reader.ok() || !reader.at_end()) return truncated;
  return tensors;
}

std::string FormatWeights(const WeightTensors& tensors) {
  std::string bytes(kMagic);
  PutNumber(static_cast<int64_t>(tensors.size()), bytes);
  for (const auto& [name, tensor] : tensors) {
    PutNumber(static_cast<int64_t>(name.size()), bytes);
    bytes += name;
    for (const ElementType& type : kElementTypes) {
      if (type.datatype == tensor.datatype) bytes += type.code;
    }
    PutNumber(static_cast<int64_t>(tensor.shape.size()), bytes);
    for (const int64_t extent : tensor.shape) PutNumber(extent, bytes);
    bytes += tensor.data;
  }
  return bytes;
}

}  // namespace backfire::learning
