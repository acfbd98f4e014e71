// Weights of others: pickles, files of torch.save in both of its formats, and our own files of
// weights. The first byte says which.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/learning/checkpoint_weights.h"
#include "services/learning/pickle.h"
#include "services/learning/torch_checkpoint.h"
#include "services/learning/weight_tensors.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire::learning {
namespace {

using runtime::Datatype;

// A value that is reached has as many parts as its kind says, which readers rely on.
void RequireSound(const PickleValue& value) {
  using Kind = PickleValue::Kind;
  if (value.kind == Kind::kDict) Require(value.items.size() % 2 == 0);
  if (value.kind == Kind::kCall) Require(value.items.size() == 2);
  if (value.kind == Kind::kPersistent) Require(value.items.size() == 1);
  for (const PickleValue* item : value.items) Require(item != nullptr);
  Require(value.Describe().size() < 1000);
}

void FuzzPickle(std::string_view content) {
  const auto pickle = Pickle::Parse(content);
  if (!pickle.ok()) return RequireRefusal(pickle.status());
  Require(pickle->size() <= content.size());
  pickle->ForEach(RequireSound);
  (void)pickle->root().Find("state_dict");
}

WeightTensors State() {
  WeightTensors weights;
  weights["a.weight"] = runtime::MakeTensor(Datatype::kFp32, {2, 3});
  weights["a.running_var"] = runtime::MakeTensor(Datatype::kFp64, {2});
  weights["n.num_batches_tracked"] = runtime::MakeTensor(Datatype::kInt64, {});
  return weights;
}

// A network of the one tensor that the old format's example has, as `type`.
WeightTensors StateOfOne(Datatype type) {
  WeightTensors weights;
  weights["a.running_var"] = runtime::MakeTensor(type, {2});
  return weights;
}

void FuzzCheckpoint(const std::string& content, const WeightTensors& expected) {
  const auto checkpoint = TorchCheckpoint::Parse(content);
  if (!checkpoint.ok()) return RequireRefusal(checkpoint.status());
  for (const auto& [name, place] : checkpoint->tensors()) {
    const auto tensor = checkpoint->Read(name);
    if (!tensor.ok()) {
      RequireRefusal(tensor.status());
      continue;
    }
    Require(tensor->shape == place.shape && tensor->datatype == place.datatype);
    Require(tensor->ElementCount() * DatatypeSize(tensor->datatype) ==
            static_cast<int64_t>(tensor->data.size()));
  }
  const auto weights = WeightsFromCheckpoint(content, FormatWeights(expected));
  if (!weights.ok()) return RequireRefusal(weights.status());
  // What is taken is of the recipe's network.
  const auto read = ParseWeights(*weights);
  Require(read.ok() && read->size() == expected.size());
  for (const auto& [name, tensor] : expected) {
    Require(read->at(name).shape == tensor.shape && read->at(name).datatype == tensor.datatype);
  }
  const auto again = CheckpointFromWeights(*weights);
  Require(again.ok() && TorchCheckpoint::Parse(*again)->tensors().size() == expected.size());
}

void FuzzWeights(const std::string& content) {
  const auto weights = ParseWeights(content);
  if (!weights.ok()) return RequireRefusal(weights.status());
  const auto again = ParseWeights(FormatWeights(*weights));
  Require(again.ok() && again->size() == weights->size());
  const auto file = WriteTorchCheckpoint(*weights);
  if (!file.ok()) return RequireRefusal(file.status());
  const auto written = TorchCheckpoint::Parse(*file);
  // Who gives a checkpoint without tensors meant another file; a network may have none.
  Require(weights->empty() ? !written.ok() : written->tensors().size() == weights->size());
}

// {'a': [1, -2, 300], 'b': (True, None), 'c': 0.1} in protocol 2.
constexpr char kPickle[] =
    "\x80\x02}q\x00(X\x01\x00\x00\x00"
    "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x2c\x01"
    "eX\x01\x00\x00\x00"
    "bq\x03\x88N\x86q\x04X\x01\x00\x00\x00"
    "cq\x05G?\xb9\x99\x99\x99\x99\x99\x9au.";

// Torch's format before 1.6: magic number, protocol, system, the object, its storages' keys, and
// each storage.
std::string LegacyFile(const std::string& storage, const std::string& elements) {
  const auto text = [](std::string_view value) {
    return std::string("X") + static_cast<char>(value.size()) + std::string(3, '\0') +
           std::string(value);
  };
  const std::string protocol = "\x80\x02";
  std::string file = protocol + "\x8a\x0a" + "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" + ".";
  file += protocol + "M\xe9\x03.";
  file += protocol + "}(" + text("little_endian") + "\x88u.";
  file += protocol + "}(" + text("a.running_var") + "ctorch._utils\n_rebuild_tensor_v2\n((" +
          text("storage") + "ctorch\n" + storage + "\n" + text("0") + text("cpu") + "K\x02Ntq\x01" +
          "QK" + std::string(1, '\0') + "K\x02\x85K\x01\x85\x89NtRu.";
  file += protocol + "](" + text("0") + "e.";
  file += std::string("\x02\0\0\0\0\0\0\0", 8) + elements;
  return file;
}

}  // namespace
}  // namespace backfire::learning

namespace backfire {

std::vector<std::string> FuzzExamples() {
  using namespace learning;  // NOLINT(google-build-using-namespace)
  using runtime::Datatype;
  WeightTensors other = State();
  other["a.weight"] = runtime::MakeTensor(Datatype::kFp32, {3, 3});
  other["a.running_var"] = runtime::MakeTensor(Datatype::kInt64, {2});
  other["another.weight"] = runtime::MakeTensor(Datatype::kFp32, {1});
  std::vector<std::string> examples = {"\1" + WriteTorchCheckpoint(other).value(),
                                       "\1" + LegacyFile("DoubleStorage", std::string(16, '\0'))};
  // As floating point, and as whole numbers.
  for (const char* kind : {"\3", "\4"}) {
    for (const auto& [storage, elements] : std::vector<std::pair<std::string, std::string>>{
             {"DoubleStorage", std::string(16, '\0')},
             {"FloatStorage", std::string("\0\0\x80\x3f\0\0\x80\xbf", 8)},
             {"HalfStorage", std::string("\x01\0\0\xbc", 4)},
             {"HalfStorage", std::string("\0\x7c\0\x3c", 4)},
             {"BFloat16Storage", std::string("\x80\x3f\x80\x3f", 4)},
             {"LongStorage", std::string(16, '\1')},
             {"IntStorage", std::string(8, '\1')},
             {"ShortStorage", std::string(4, '\1')},
             {"CharStorage", std::string(2, '\xff')},
             {"ByteStorage", std::string(2, '\1')},
             {"BoolStorage", std::string(2, '\1')}}) {
      examples.push_back(kind + LegacyFile(storage, elements));
    }
  }
  for (std::string& example :
       std::vector<std::string>{std::string(1, '\0') + std::string(kPickle, sizeof(kPickle) - 1),
                                "\1" + WriteTorchCheckpoint(State()).value(),
                                "\2" + FormatWeights(State()), "\2" + FormatWeights({}),
                                // Fewer tensors than none.
                                std::string("\2backfire-weights-1\n") + std::string(8, '\xff')}) {
    examples.push_back(std::move(example));
  }
  return examples;
}

std::vector<std::string> FuzzTokens() {
  return {"PK\x01\x02",
          "PK\x03\x04",
          "PK\x05\x06",
          "PK\x06\x06",
          "data.pkl",
          "byteorder",
          "data/0",
          "ctorch._utils\n_rebuild_tensor_v2\n",
          "ctorch\nFloatStorage\n",
          "ctorch\nSize\n",
          "ccollections\nOrderedDict\n",
          "X\x01",
          "(",
          ".",
          "0",
          "1",
          "2",
          "Q",
          "R",
          "}",
          "]",
          ")",
          "t",
          "u",
          "s",
          "e",
          "a",
          "b",
          "h",
          "j",
          "q",
          "r",
          "\x80\x02",
          "\x81",
          "\x85",
          "\x86",
          "\x87",
          "\x88",
          "\x8a\x0a",
          "\x8b",
          "\x8c",
          "\x8d",
          "\x8e",
          "\x8f",
          "\x90",
          "\x91",
          "\x92",
          "\x93",
          "\x94",
          "\x95",
          "\x96",
          "storage",
          "state_dict",
          "little_endian"};
}

int FuzzRuns() { return 50000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace backfire::learning;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  static const auto* const state = new WeightTensors(State());
  static const auto* const floating =
      new WeightTensors(StateOfOne(backfire::runtime::Datatype::kFp64));
  static const auto* const whole =
      new WeightTensors(StateOfOne(backfire::runtime::Datatype::kInt64));
  switch (data[0] % 5) {
    case 0:
      FuzzPickle(content);
      break;
    case 1:
      FuzzCheckpoint(content, *state);
      break;
    case 2:
      FuzzWeights(content);
      break;
    case 3:
      FuzzCheckpoint(content, *floating);
      break;
    default:
      FuzzCheckpoint(content, *whole);
  }
  return 0;
}
