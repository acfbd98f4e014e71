#include "tests/parity/vector_file.h"

#include <torch/types.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/learning/torch_checkpoint.h"

namespace backfire::parity {
namespace {

// Of what a file of torch.save can hold.
torch::ScalarType ScalarTypeOf(runtime::Datatype datatype) {
  switch (datatype) {
    case runtime::Datatype::kBool:
      return torch::kBool;
    case runtime::Datatype::kUint8:
      return torch::kUInt8;
    case runtime::Datatype::kInt8:
      return torch::kInt8;
    case runtime::Datatype::kInt16:
      return torch::kInt16;
    case runtime::Datatype::kInt32:
      return torch::kInt32;
    case runtime::Datatype::kInt64:
      return torch::kInt64;
    case runtime::Datatype::kFp16:
      return torch::kFloat16;
    case runtime::Datatype::kBf16:
      return torch::kBFloat16;
    case runtime::Datatype::kFp64:
      return torch::kFloat64;
    default:
      return torch::kFloat32;
  }
}

absl::StatusOr<std::map<std::string, torch::Tensor>> ReadTensors(
    const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path));
  const auto checkpoint = learning::TorchCheckpoint::Parse(std::move(bytes));
  if (!checkpoint.ok()) {
    return absl::DataLossError(absl::StrCat(path.string(), ": not a dictionary of tensors: ",
                                            std::string(checkpoint.status().message())));
  }
  for (const auto& [name, what] : checkpoint->others()) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": ", name, " must be a tensor: it is ", what));
  }
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, place] : checkpoint->tensors()) {
    absl::StatusOr<runtime::Tensor> tensor = checkpoint->Read(name);
    if (!tensor.ok()) {
      return absl::DataLossError(
          absl::StrCat(path.string(), ": ", std::string(tensor.status().message())));
    }
    tensors[name] =
        torch::from_blob(tensor->data.data(), tensor->shape, ScalarTypeOf(place.datatype)).clone();
  }
  return tensors;
}

// The tensor that `companion` describes, if its name ends so and that tensor exists.
std::optional<std::string> Described(const std::map<std::string, torch::Tensor>& tensors,
                                     const std::string& name, const std::string& suffix) {
  if (name.size() <= suffix.size() ||
      name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
    return std::nullopt;
  }
  std::string base = name.substr(0, name.size() - suffix.size());
  if (tensors.count(base) == 0) return std::nullopt;
  return base;
}

std::vector<int64_t> Integers(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.to(torch::kInt64).reshape({-1}).contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

std::vector<double> Doubles(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.to(torch::kFloat64).reshape({-1}).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// 0 where there is none: as a stride it is refused, as a noise it allows none.
template <typename Number>
Number First(const std::vector<Number>& numbers) {
  return numbers.empty() ? Number{0} : numbers[0];
}

absl::Status CheckVector(const std::string& name, const Vector& vector) {
  int64_t elements = 1;
  for (const int64_t size : vector.shape) elements *= size;
  const int64_t kept = vector.stride < 1 ? -1 : (elements + vector.stride - 1) / vector.stride;
  if (vector.values.numel() != kept) {
    return absl::DataLossError(absl::StrCat("tensor ", name, " must have ", kept,
                                            " elements, as its shape [",
                                            absl::StrJoin(vector.shape, ", "), "] and stride ",
                                            vector.stride, " say: got ", vector.values.numel()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VectorMap> ReadVectorFile(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto tensors, ReadTensors(path));
  VectorMap vectors;
  for (const auto& [name, tensor] : tensors) {
    bool companion = false;
    for (const char* suffix : {".shape", ".stride", ".noise", ".stats"}) {
      companion = companion || Described(tensors, name, suffix).has_value();
    }
    if (companion) continue;
    Vector& vector = vectors[name];
    vector.values = tensor.contiguous();
    vector.shape = tensor.sizes().vec();
    const auto shape = tensors.find(name + ".shape");
    if (shape != tensors.end()) vector.shape = Integers(shape->second);
    const auto stride = tensors.find(name + ".stride");
    if (stride != tensors.end()) vector.stride = First(Integers(stride->second));
    const auto noise = tensors.find(name + ".noise");
    if (noise != tensors.end()) vector.noise_max = First(Doubles(noise->second));
    const auto stats = tensors.find(name + ".stats");
    if (stats != tensors.end()) vector.stats = Doubles(stats->second);
    BACKFIRE_RETURN_IF_ERROR(Annotate(CheckVector(name, vector), path.string()));
  }
  return vectors;
}

absl::StatusOr<VectorFileName> ParseVectorFileName(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  if (parts.size() < 3 || parts.size() > 4 || parts.back() != "pt" || parts[0].empty() ||
      parts[1].empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": a vector file's name must be NETWORK.SET[.PART].pt"));
  }
  return VectorFileName{parts[0], parts[1], parts.size() == 4 ? parts[2] : ""};
}

std::string VectorCase::Label() const {
  return absl::StrCat(name.network, ".", name.set, name.part.empty() ? "" : ".", name.part);
}

absl::StatusOr<const Vector*> VectorCase::Find(const std::string& vector) const {
  const auto found = vectors.find(vector);
  if (found == vectors.end()) {
    return absl::NotFoundError(absl::StrCat(Label(), ": the file has no tensor ", vector));
  }
  return &found->second;
}

}  // namespace backfire::parity
