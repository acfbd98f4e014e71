#include "orchestrator/conformance/outputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/conformance/half_floats.h"
#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

constexpr size_t kMaxPieceBytes = size_t{1} << 20;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// Numbers whose bits are a `Bits` each, of a size that `number` reads, up to `precision` of it.
template <typename Bits, typename Read>
bool NearlyEqual(const std::string& a, const std::string& b, double precision, const Read& number) {
  for (size_t at = 0; at + sizeof(Bits) <= a.size(); at += sizeof(Bits)) {
    Bits first, second;
    std::memcpy(&first, a.data() + at, sizeof(Bits));
    std::memcpy(&second, b.data() + at, sizeof(Bits));
    const double x = number(first), y = number(second);
    if (std::isnan(x) && std::isnan(y)) continue;
    const double size = std::max({1.0, std::abs(x), std::abs(y)});
    if (!(std::abs(x - y) <= precision * size) && x != y) return false;
  }
  return true;
}

// Whether both hold the same examples and outputs, with tensors that are equal as `equal` has it.
template <typename Equal>
bool EqualTensors(const Outputs& a, const Outputs& b, const Equal& equal) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) {
    return x.position == y.position &&
           std::equal(x.tensors.begin(), x.tensors.end(), y.tensors.begin(), y.tensors.end(),
                      [&](const auto& s, const auto& t) {
                        return s.first == t.first && equal(s.second, t.second);
                      });
  });
}

// Puts one stream together.
class Assembler {
 public:
  explicit Assembler(const v1::Model& model) : model_(model) {}

  absl::Status Add(const v1::MaterializeResponse& piece) {
    if (piece.data().size() > kMaxPieceBytes) return absl::InternalError("a piece exceeds 1 MiB");
    const bool is_next = next_output_ == model_.outputs_size() && tensor_done_;
    if (outputs_.empty() || is_next) {
      outputs_.push_back({piece.example(), piece.example_id(), piece.cluster(), {}});
      next_output_ = 0;
      tensor_done_ = true;
    }
    ExampleOutputs& example = outputs_.back();
    if (piece.example() != example.position) {
      return absl::InternalError(absl::StrCat("example ", piece.example(), " comes before example ",
                                              example.position, " has all of its outputs"));
    }
    const std::string& expected =
        model_.outputs(tensor_done_ ? next_output_ : next_output_ - 1).name();
    if (piece.output() != expected) {
      return absl::InternalError(absl::StrCat("example ", example.position, ": output \"", expected,
                                              "\" must come next: got \"", piece.output(), "\""));
    }
    if (tensor_done_) {
      ++next_output_;
      example.tensors.push_back(
          {expected, {piece.datatype(), {piece.shape().begin(), piece.shape().end()}, ""}});
    }
    TensorData& tensor = example.tensors.back().second;
    tensor.bytes += piece.data();
    tensor_done_ = piece.last_piece();
    return tensor_done_ ? CheckTensor(model_.outputs(next_output_ - 1), tensor) : absl::OkStatus();
  }

  absl::StatusOr<Outputs> Finish() {
    if (!tensor_done_) return absl::InternalError("the last tensor has no last_piece");
    if (!outputs_.empty() && next_output_ != model_.outputs_size()) {
      return absl::InternalError(absl::StrCat("example ", outputs_.back().position, " has no \"",
                                              model_.outputs(next_output_).name(), "\""));
    }
    return std::move(outputs_);
  }

 private:
  const v1::Model& model_;
  Outputs outputs_;
  int next_output_ = 0;  // Of the current example: how many outputs have begun.
  bool tensor_done_ = true;
};

}  // namespace

int64_t ElementBytes(const std::string& datatype) {
  static const std::map<std::string, int64_t> kBytes = {
      {"BOOL", 1},   {"UINT8", 1}, {"INT8", 1},   {"UINT16", 2}, {"INT16", 2},
      {"FP16", 2},   {"BF16", 2},  {"UINT32", 4}, {"INT32", 4},  {"FP32", 4},
      {"UINT64", 8}, {"INT64", 8}, {"FP64", 8}};
  const auto found = kBytes.find(datatype);
  return found == kBytes.end() ? 0 : found->second;
}

absl::Status CheckTensor(const v1::TensorSignature& signature, const TensorData& tensor) {
  const std::string which = absl::StrCat("output \"", signature.name(), "\"");
  if (tensor.datatype != signature.datatype()) {
    return absl::InternalError(absl::StrCat(which, " must have datatype ", signature.datatype(),
                                            ": got \"", tensor.datatype, "\""));
  }
  const std::vector<int64_t> wanted(signature.shape().begin(), signature.shape().end());
  bool fits = tensor.shape.size() == wanted.size();
  int64_t count = 1;
  for (size_t d = 0; fits && d < wanted.size(); ++d) {
    fits = tensor.shape[d] >= 0 && (wanted[d] < 0 || wanted[d] == tensor.shape[d]);
    count *= tensor.shape[d];
  }
  if (!fits) {
    return absl::InternalError(absl::StrCat(which, " must have shape ", ShapeText(wanted),
                                            " (-1: any size): got ", ShapeText(tensor.shape)));
  }
  const int64_t bytes = count * ElementBytes(tensor.datatype);
  if (static_cast<int64_t>(tensor.bytes.size()) == bytes) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(which, ", ", tensor.datatype, " of shape ",
                                          ShapeText(tensor.shape), ", must have ", bytes,
                                          " bytes: got ", tensor.bytes.size()));
}

absl::StatusOr<Outputs> Assemble(const v1::Model& model,
                                 const std::vector<v1::MaterializeResponse>& pieces,
                                 const std::vector<int64_t>& asked) {
  Assembler assembler(model);
  for (const v1::MaterializeResponse& piece : pieces) {
    BACKFIRE_RETURN_IF_ERROR(assembler.Add(piece));
  }
  BACKFIRE_ASSIGN_OR_RETURN(Outputs outputs, assembler.Finish());
  if (!asked.empty() && outputs.size() != asked.size()) {
    return absl::InternalError(
        absl::StrCat(asked.size(), " examples were asked for: got ", outputs.size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const int64_t expected = asked.empty() ? static_cast<int64_t>(i) : asked[i];
    if (outputs[i].position == expected) continue;
    return absl::InternalError(
        absl::StrCat("example ", expected, " must come next: got ", outputs[i].position));
  }
  return outputs;
}

std::string OutputsDigest(const Outputs& outputs) {
  Sha256 digest;
  digest.UpdateField("backfire outputs 1");
  for (const ExampleOutputs& example : outputs) {
    const std::map<std::string, TensorData> by_name(example.tensors.begin(), example.tensors.end());
    digest.UpdateField(example.id).UpdateField(example.cluster);
    digest.UpdateField(absl::StrCat(by_name.size()));
    for (const auto& [name, tensor] : by_name) {
      digest.UpdateField(name).UpdateField(tensor.datatype);
      digest.UpdateField(absl::StrJoin(tensor.shape, ",")).UpdateField(tensor.bytes);
    }
  }
  return digest.Finish();
}

bool SameOutputs(const Outputs& a, const Outputs& b) {
  return EqualTensors(a, b, [](const TensorData& s, const TensorData& t) {
    return s.shape == t.shape && s.bytes == t.bytes;
  });
}

bool SaySame(const TensorData& a, const TensorData& b) {
  if (a.datatype != b.datatype || a.shape != b.shape || a.bytes.size() != b.bytes.size()) {
    return false;
  }
  constexpr double kPrecision = 1e-5;
  const auto as_it_is = [](double number) { return number; };
  if (a.datatype == "FP64") return NearlyEqual<double>(a.bytes, b.bytes, kPrecision, as_it_is);
  if (a.datatype == "FP32") return NearlyEqual<float>(a.bytes, b.bytes, kPrecision, as_it_is);
  if (a.datatype == "FP16") return NearlyEqual<uint16_t>(a.bytes, b.bytes, 4 * 0x1p-10, FromFp16);
  if (a.datatype == "BF16") return NearlyEqual<uint16_t>(a.bytes, b.bytes, 4 * 0x1p-7, FromBf16);
  return a.bytes == b.bytes;
}

bool SaySame(const Outputs& a, const Outputs& b) {
  return EqualTensors(a, b, [](const TensorData& s, const TensorData& t) { return SaySame(s, t); });
}

}  // namespace backfire::conformance
