#include "services/learning/torch_checkpoint.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/learning/pickle.h"
#include "services/learning/torch_archive.h"
#include "services/runtime/checked_tensor.h"

namespace backfire::learning {
namespace {

using runtime::Datatype;
using Kind = PickleValue::Kind;

// Nesting of tensors in Parameters, dimensions, letters of a storage's name, entries of a
// state_dict: what torch writes has less.
constexpr int kMaxDepth = 8;
constexpr size_t kMaxRank = 64;
constexpr size_t kMaxStorageName = 256;
constexpr size_t kMaxEntries = 100'000;

struct StorageType {
  std::string_view name;
  Datatype datatype;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", Datatype::kFp32},  {"DoubleStorage", Datatype::kFp64},
    {"HalfStorage", Datatype::kFp16},   {"BFloat16Storage", Datatype::kBf16},
    {"LongStorage", Datatype::kInt64},  {"IntStorage", Datatype::kInt32},
    {"ShortStorage", Datatype::kInt16}, {"CharStorage", Datatype::kInt8},
    {"ByteStorage", Datatype::kUint8},  {"BoolStorage", Datatype::kBool}};

// Where people put a network's state_dict in a checkpoint.
constexpr const char* kNests[] = {"state_dict", "model_state_dict", "model_state",
                                  "model",      "network",          "net"};

bool ReadSizes(const PickleValue& value, std::vector<int64_t>& sizes) {
  const PickleValue* sequence = &value;
  if (value.IsCallOf("torch.Size") && value.items[1]->items.size() == 1) {
    sequence = value.items[1]->items[0];
  }
  if (sequence->kind != Kind::kTuple && sequence->kind != Kind::kList) return false;
  if (sequence->items.size() > kMaxRank) return false;
  for (const PickleValue* item : sequence->items) {
    if (item->kind != Kind::kInteger || item->integer < 0) return false;
    sizes.push_back(item->integer);
  }
  return true;
}

// ('storage', torch.FloatStorage, '0', 'cpu', 12[, None])
bool ReadStorage(const PickleValue& value, TorchCheckpoint::TensorPlace& place) {
  if (value.kind != Kind::kPersistent || value.items[0]->kind != Kind::kTuple) return false;
  const auto& id = value.items[0]->items;
  if (id.size() < 5 || id[0]->text != "storage" || id[1]->kind != Kind::kGlobal ||
      id[2]->kind != Kind::kText || id[2]->text.size() > kMaxStorageName ||
      id[4]->kind != Kind::kInteger || id[4]->integer < 0) {
    return false;
  }
  // A view of another storage: only of torch before 0.4.
  if (id.size() > 5 && id[5]->kind != Kind::kNone) return false;
  const std::string_view type = id[1]->text;
  const std::string_view name = type.substr(type.rfind('.') + 1);
  for (const StorageType& known : kStorageTypes) {
    if (known.name != name || type.substr(0, 6) != "torch.") continue;
    place.datatype = known.datatype;
    place.storage = id[2]->text;
    place.storage_count = id[4]->integer;
    return true;
  }
  return false;
}

// Whether every element is in the storage, and all of them in memory: one that is there once can be
// in a tensor any number of times.
bool Fits(const TorchCheckpoint::TensorPlace& place) {
  if (place.shape.size() != place.strides.size()) return false;
  if (place.offset < 0 || place.offset > place.storage_count) return false;
  if (!runtime::TensorBytes(place.datatype, place.shape).ok()) return false;
  // Without elements, strides lead nowhere.
  if (std::find(place.shape.begin(), place.shape.end(), 0) != place.shape.end()) return true;
  int64_t room = place.storage_count - place.offset;  // Elements at and behind the first.
  for (size_t d = 0; d < place.shape.size(); ++d) {
    const int64_t steps = place.shape[d] - 1;
    if (steps == 0 || place.strides[d] == 0) continue;
    if (steps > (room - 1) / place.strides[d]) return false;
    room -= steps * place.strides[d];
  }
  return room >= 1;
}

bool ReadPlace(const PickleValue& value, TorchCheckpoint::TensorPlace& place, int depth = 0) {
  if (value.kind != Kind::kCall || depth > kMaxDepth) return false;
  const auto& arguments = value.items[1]->items;
  if (value.IsCallOf("torch._utils._rebuild_parameter") ||
      value.IsCallOf("torch._utils._rebuild_parameter_with_state")) {
    return !arguments.empty() && ReadPlace(*arguments[0], place, depth + 1);
  }
  if (!value.IsCallOf("torch._utils._rebuild_tensor_v2") &&
      !value.IsCallOf("torch._utils._rebuild_tensor")) {
    return false;
  }
  if (arguments.size() < 4 || arguments[1]->kind != Kind::kInteger) return false;
  place.offset = arguments[1]->integer;
  return ReadStorage(*arguments[0], place) && ReadSizes(*arguments[2], place.shape) &&
         ReadSizes(*arguments[3], place.strides) && Fits(place);
}

bool HoldsTensor(const PickleValue& value) {
  if (value.kind != Kind::kDict) return false;
  for (size_t i = 1; i < value.items.size(); i += 2) {
    TorchCheckpoint::TensorPlace place;
    if (ReadPlace(*value.items[i], place)) return true;
  }
  return false;
}

absl::StatusOr<const PickleValue*> FindStateDict(const PickleValue& root) {
  if (TorchCheckpoint::TensorPlace place; ReadPlace(root, place)) {
    return absl::InvalidArgumentError("the file holds one tensor, where a state_dict is needed");
  }
  if (root.kind == Kind::kCall) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file holds ", root.Describe(),
        ", which only code could load; save a state_dict instead: torch.save(m.state_dict(), f)"));
  }
  if (root.kind != Kind::kDict) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file holds ", root.Describe(), ", where a state_dict is needed"));
  }
  for (const char* nest : kNests) {
    const PickleValue* nested = root.Find(nest);
    if (nested == nullptr) continue;
    if (HoldsTensor(*nested)) return nested;
    if (nested->kind == Kind::kCall && !HoldsTensor(root)) {
      return absl::InvalidArgumentError(
          absl::StrCat("entry \"", nest, "\" of the file is ", nested->Describe(),
                       ", which only code could load; a state_dict is needed"));
    }
  }
  if (HoldsTensor(root)) return &root;
  std::vector<std::string> entries;
  for (size_t i = 0; i + 1 < root.items.size() && entries.size() < 20; i += 2) {
    if (root.items[i]->kind == Kind::kText) {
      entries.push_back(absl::Utf8SafeCHexEscape(root.items[i]->text));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the file has no dict of tensors: neither itself nor its entry ", absl::StrJoin(kNests, ", "),
      "; it has ", entries.empty() ? "none" : absl::StrJoin(entries, ", ")));
}

}  // namespace

struct TorchCheckpoint::Parts {
  std::unique_ptr<TorchArchive> archive;
  std::map<std::string, TensorPlace> tensors;
  std::map<std::string, std::string> others;
  // The one read last: a whole network may be in one.
  std::string storage_key, storage;
};

TorchCheckpoint::TorchCheckpoint(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
TorchCheckpoint::~TorchCheckpoint() = default;
TorchCheckpoint::TorchCheckpoint(TorchCheckpoint&&) noexcept = default;
TorchCheckpoint& TorchCheckpoint::operator=(TorchCheckpoint&&) noexcept = default;

const std::map<std::string, TorchCheckpoint::TensorPlace>& TorchCheckpoint::tensors() const {
  return parts_->tensors;
}
const std::map<std::string, std::string>& TorchCheckpoint::others() const { return parts_->others; }

absl::StatusOr<TorchCheckpoint> TorchCheckpoint::Parse(std::string file) {
  auto parts = std::make_unique<Parts>();
  BACKFIRE_ASSIGN_OR_RETURN(parts->archive, TorchArchive::Open(std::move(file)));
  BACKFIRE_ASSIGN_OR_RETURN(const PickleValue* state,
                            FindStateDict(parts->archive->pickle().root()));
  if (state->items.size() / 2 > kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat("the state_dict has ", state->items.size() / 2,
                                                   " entries: at most ", kMaxEntries, " are read"));
  }
  for (size_t i = 0; i + 1 < state->items.size(); i += 2) {
    const PickleValue& key = *state->items[i];
    const PickleValue& value = *state->items[i + 1];
    const std::string name = key.kind == Kind::kText ? absl::Utf8SafeCHexEscape(key.text)
                                                     : absl::StrCat("(", key.Describe(), ")");
    TensorPlace place;
    if (key.kind == Kind::kText && ReadPlace(value, place)) {
      parts->others.erase(name);
      parts->tensors[name] = std::move(place);
    } else {
      parts->tensors.erase(name);
      parts->others[name] = value.Describe();
    }
  }
  return TorchCheckpoint(std::move(parts));
}

absl::StatusOr<runtime::Tensor> TorchCheckpoint::Read(const std::string& name) const {
  const auto found = parts_->tensors.find(name);
  if (found == parts_->tensors.end()) {
    return absl::InvalidArgumentError(absl::StrCat("the file has no tensor ", name));
  }
  const TensorPlace& place = found->second;
  const int64_t width = runtime::DatatypeSize(place.datatype);
  std::string& storage = parts_->storage;
  if (parts_->storage_key != place.storage ||
      static_cast<int64_t>(storage.size()) / width < place.storage_count) {
    auto read = parts_->archive->ReadStorage(place.storage, place.storage_count, width);
    if (!read.ok()) return Annotate(read.status(), absl::StrCat("tensor ", name));
    storage = *std::move(read);
    parts_->storage_key = place.storage;
  }
  runtime::Tensor tensor;
  tensor.datatype = place.datatype;
  tensor.shape = place.shape;
  const int64_t count = tensor.ElementCount();
  tensor.data.resize(static_cast<size_t>(count * width));
  std::vector<int64_t> index(place.shape.size(), 0);
  int64_t at = place.offset;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(tensor.data.data() + i * width, storage.data() + at * width,
                static_cast<size_t>(width));
    for (size_t d = index.size(); d > 0; --d) {  // The next index, last dimension first.
      at += place.strides[d - 1];
      if (++index[d - 1] < place.shape[d - 1]) break;
      at -= place.strides[d - 1] * place.shape[d - 1];
      index[d - 1] = 0;
    }
  }
  return tensor;
}

}  // namespace backfire::learning
