#include "tests/parity/vector_file.h"

#include <torch/serialize.h>

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::parity {
namespace {

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
  BACKFIRE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  std::map<std::string, torch::Tensor> tensors;
  try {
    const auto dictionary =
        torch::pickle_load(std::vector<char>(bytes.begin(), bytes.end())).toGenericDict();
    for (const auto& entry : dictionary) {
      tensors.emplace(entry.key().toStringRef(), entry.value().toTensor());
    }
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return absl::DataLossError(absl::StrCat(
        path.string(),
        ": not a dictionary of tensors written by torch.save: ", text.substr(0, text.find('\n'))));
  }
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
    if (stride != tensors.end()) vector.stride = Integers(stride->second).at(0);
    const auto noise = tensors.find(name + ".noise");
    if (noise != tensors.end()) vector.noise_max = Doubles(noise->second).at(0);
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
