#include "services/learning/checkpoint_weights.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/learning/torch_checkpoint.h"
#include "services/learning/weight_tensors.h"

namespace backfire::learning {
namespace {

using runtime::Datatype;
using runtime::Tensor;

// Wrappers that torch puts around a network, whose names its tensors then have: DataParallel's, and
// torch.compile's, which may be around a part.
constexpr char kParallelPrefix[] = "module.";
constexpr char kCompiledPart[] = "_orig_mod.";
constexpr char kBatchCounter[] = "num_batches_tracked";
constexpr char kVariance[] = "running_var";
// Of each kind of difference; more say nothing new.
constexpr size_t kMaxNames = 10;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

bool IsFloating(Datatype datatype) {
  return datatype == Datatype::kFp16 || datatype == Datatype::kBf16 ||
         datatype == Datatype::kFp32 || datatype == Datatype::kFp64;
}

float FromFp16(uint16_t bits) {
  const int sign = bits >> 15, exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(1024 + fraction, exponent - 25);
  }
  return static_cast<float>(sign == 0 ? value : -value);
}

float FromBf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value = 0;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

double ElementAsDouble(const Tensor& tensor, int64_t i) {
  switch (tensor.datatype) {
    case Datatype::kFp16:
      return FromFp16(tensor.As<uint16_t>()[i]);
    case Datatype::kBf16:
      return FromBf16(tensor.As<uint16_t>()[i]);
    case Datatype::kFp32:
      return tensor.As<float>()[i];
    default:
      return tensor.As<double>()[i];
  }
}

int64_t ElementAsInteger(const Tensor& tensor, int64_t i) {
  switch (tensor.datatype) {
    case Datatype::kInt64:
      return tensor.As<int64_t>()[i];
    case Datatype::kInt32:
      return tensor.As<int32_t>()[i];
    case Datatype::kInt16:
      return tensor.As<int16_t>()[i];
    case Datatype::kInt8:
      return tensor.As<int8_t>()[i];
    default:
      return tensor.As<uint8_t>()[i];
  }
}

// `from` with the type of `like`; both are floating, or both are not.
absl::StatusOr<Tensor> Convert(const Tensor& from, Datatype to, const std::string& name) {
  Tensor result = runtime::MakeTensor(to, from.shape);
  for (int64_t i = 0; i < from.ElementCount(); ++i) {
    if (!IsFloating(to)) {
      const int64_t value = ElementAsInteger(from, i);
      if (to == Datatype::kInt64) result.MutableAs<int64_t>()[i] = value;
      if (to == Datatype::kUint8) result.MutableAs<uint8_t>()[i] = static_cast<uint8_t>(value);
      continue;
    }
    const double value = ElementAsDouble(from, i);
    // A finite number can be too large for the type that is needed.
    const double kept = to == Datatype::kFp32 ? static_cast<float>(value) : value;
    if (!std::isfinite(kept)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, ": element ", i, " must be finite as ",
                       std::string(DatatypeName(to)), ": got ", value));
    }
    if (kept < 0 && absl::EndsWith(name, kVariance)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, ": element ", i, " must be >= 0: got ", value));
    }
    if (to == Datatype::kFp32) result.MutableAs<float>()[i] = static_cast<float>(kept);
    if (to == Datatype::kFp64) result.MutableAs<double>()[i] = kept;
  }
  return result;
}

// Names of the file by names without the wrappers.
using Sources = std::map<std::string, std::string>;

// A name without torch.compile's parts; unchanged if a network's own names have such.
std::string WithoutCompiled(const std::string& name) {
  std::string plain;
  for (size_t at = 0; at < name.size();) {
    const bool starts = at == 0 || name[at - 1] == '.';
    if (starts && name.compare(at, sizeof(kCompiledPart) - 1, kCompiledPart) == 0) {
      at += sizeof(kCompiledPart) - 1;
    } else {
      plain.push_back(name[at++]);
    }
  }
  return plain;
}

// The prefix that all names of the file have and the network's have not.
std::string ExtraPrefix(const Sources& sources, const WeightTensors& expected) {
  const auto all_have = [](const auto& names, const std::string& prefix) {
    for (const auto& [name, value] : names) {
      if (!absl::StartsWith(name, prefix)) return false;
    }
    return !names.empty();
  };
  std::string prefix;
  while (all_have(sources, prefix + kParallelPrefix) &&
         !all_have(expected, prefix + kParallelPrefix)) {
    prefix += kParallelPrefix;
  }
  return prefix;
}

void AddFaults(const std::string& what, const std::vector<std::string>& names,
               std::vector<std::string>& faults) {
  if (names.empty()) return;
  std::vector<std::string> shown(
      names.begin(),
      names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMaxNames)));
  if (shown.size() < names.size()) {
    shown.push_back(absl::StrCat("and ", names.size() - shown.size(), " more"));
  }
  faults.push_back(absl::StrCat(names.size(), " ", what, ": ", absl::StrJoin(shown, ", ")));
}

bool IsCounter(const std::string& name) { return absl::EndsWith(name, kBatchCounter); }

// load_state_dict copies a counter of any type and of shape [] or [1].
bool HasOneNumber(const TorchCheckpoint::TensorPlace& place) {
  return place.datatype != Datatype::kBool &&
         (place.shape.empty() || place.shape == std::vector<int64_t>{1});
}

absl::StatusOr<int64_t> CounterOf(const Tensor& tensor, const std::string& name) {
  if (!IsFloating(tensor.datatype)) return ElementAsInteger(tensor, 0);
  const double value = ElementAsDouble(tensor, 0);
  if (value >= 0 && value < 9e15) return static_cast<int64_t>(value);
  return absl::InvalidArgumentError(
      absl::StrCat("tensor ", name, ": a counter must be >= 0 and finite: got ", value));
}

absl::StatusOr<Sources> PlainNames(const TorchCheckpoint& checkpoint) {
  Sources plain;
  for (const auto& [name, place] : checkpoint.tensors()) {
    const auto [other, inserted] = plain.emplace(WithoutCompiled(name), name);
    if (inserted) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the file has two tensors for one of the network: ", other->second, " and ", name));
  }
  return plain;
}

}  // namespace

absl::StatusOr<std::string> WeightsFromCheckpoint(const std::string& file,
                                                  const std::string& expected_weights) {
  BACKFIRE_ASSIGN_OR_RETURN(const WeightTensors expected, ParseWeights(expected_weights));
  BACKFIRE_ASSIGN_OR_RETURN(const TorchCheckpoint checkpoint, TorchCheckpoint::Parse(file));
  BACKFIRE_ASSIGN_OR_RETURN(const Sources plain, PlainNames(checkpoint));
  const std::string prefix = ExtraPrefix(plain, expected);
  std::vector<std::string> missing, misshapen, extra, no_tensors;
  Sources sources;  // Names in the file, by names of the network.
  for (const auto& [name, tensor] : expected) {
    const auto in_file = plain.find(prefix + name);
    if (in_file != plain.end()) {
      const std::string& source = in_file->second;
      const auto found = checkpoint.tensors().find(source);
      if (IsCounter(name) && HasOneNumber(found->second)) {
        sources[name] = source;
        continue;
      }
      if (found->second.shape != tensor.shape) {
        misshapen.push_back(absl::StrCat(source, " is ", ShapeText(found->second.shape), " where ",
                                         ShapeText(tensor.shape), " is needed"));
      } else if (IsFloating(found->second.datatype) != IsFloating(tensor.datatype)) {
        misshapen.push_back(
            absl::StrCat(source, " is ", std::string(DatatypeName(found->second.datatype)),
                         " where ", std::string(DatatypeName(tensor.datatype)), " is needed"));
      }
      sources[name] = source;
    } else if (!IsCounter(name)) {
      missing.push_back(name);
    }
  }
  for (const auto& [name, source] : plain) {
    if (expected.count(name.substr(prefix.size())) == 0) extra.push_back(source);
  }
  for (const auto& [name, what] : checkpoint.others()) {
    no_tensors.push_back(absl::StrCat(name, " is ", what));
  }
  std::vector<std::string> faults;
  AddFaults("missing", missing, faults);
  AddFaults("extra", extra, faults);
  AddFaults("misshapen", misshapen, faults);
  AddFaults("no tensors", no_tensors, faults);
  if (!faults.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the tensors of the file are not those of the recipe's network, which its parameters may "
        "change: ",
        absl::StrJoin(faults, "; ")));
  }
  WeightTensors weights = expected;
  for (auto& [name, tensor] : weights) {
    const auto source = sources.find(name);
    if (source == sources.end()) {  // A counter that the file leaves out.
      std::fill(tensor.data.begin(), tensor.data.end(), '\0');
      continue;
    }
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor read, checkpoint.Read(source->second));
    if (IsCounter(name)) {
      BACKFIRE_ASSIGN_OR_RETURN(tensor.MutableAs<int64_t>()[0], CounterOf(read, source->second));
      continue;
    }
    BACKFIRE_ASSIGN_OR_RETURN(tensor, Convert(read, tensor.datatype, source->second));
  }
  return FormatWeights(weights);
}

absl::StatusOr<std::string> CheckpointFromWeights(const std::string& weights) {
  BACKFIRE_ASSIGN_OR_RETURN(const WeightTensors tensors, ParseWeights(weights));
  return WriteTorchCheckpoint(tensors);
}

}  // namespace backfire::learning
