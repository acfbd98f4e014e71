// The door for tensors of others: requests, responses and files. Whatever comes in, a tensor that
// is let in has extents >= 0, as many bytes as its shape and type say, and what the signature says.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/numeric/int128.h"
#include "services/runtime/checked_tensor.h"
#include "services/runtime/inference_tensor.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire::runtime {
namespace {

constexpr int64_t kExtents[] = {0,
                                1,
                                2,
                                3,
                                8,
                                -1,
                                int64_t{1} << 16,
                                int64_t{1} << 31,
                                int64_t{1} << 32,
                                int64_t{1} << 33,
                                int64_t{1} << 62,
                                INT64_MAX,
                                INT64_MIN,
                                (int64_t{1} << 62) + 1,
                                0x100000001,
                                4};
constexpr const char* kDatatypes[] = {"FP32", "FP64", "UINT8", "INT64",
                                      "BOOL", "FP16", "BYTES", ""};

// Takes bytes off the front; zeros once there are none.
class Bytes {
 public:
  explicit Bytes(std::string_view rest) : rest_(rest) {}
  uint8_t Next() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  std::string Text(size_t count) {
    std::string text(rest_.substr(0, count));
    rest_.remove_prefix(text.size());
    return text;
  }

 private:
  std::string_view rest_;
};

TensorSignatures Signature() {
  TensorSignatures signature;
  v1::TensorSignature* image = signature.Add();
  image->set_name("image");
  image->set_datatype("FP32");
  for (const int64_t extent : {-1, -1, 3}) image->add_shape(extent);
  v1::TensorSignature* scale = signature.Add();
  scale->set_name("scale");
  scale->set_datatype("FP64");
  scale->add_shape(2);
  return signature;
}

void RequireSound(const Tensor& tensor) {
  absl::int128 count = 1;
  for (const int64_t extent : tensor.shape) {
    Require(extent >= 0);
    count *= extent;
    Require(count <= kMaxTensorBytes);
  }
  Require(count == tensor.ElementCount());
  Require(count * DatatypeSize(tensor.datatype) == static_cast<int64_t>(tensor.data.size()));
}

void RequireSound(const absl::StatusOr<TensorMap>& tensors) {
  if (!tensors.ok()) {
    Require(!tensors.status().message().empty() && tensors.status().message().size() < 2000);
    return;
  }
  for (const auto& [name, tensor] : *tensors) RequireSound(tensor);
}

void RequireInputs(inference::ModelInferRequest& request) {
  const absl::StatusOr<TensorMap> inputs = TakeInputs(Signature(), request);
  RequireSound(inputs);
  if (!inputs.ok()) return;
  Require(inputs->size() == 2 && inputs->at("image").shape.size() == 3);
  Require(inputs->at("image").shape[2] == 3 && inputs->at("scale").datatype == Datatype::kFp64);
}

// Which outputs a request wants, by a model that gives what it takes.
void RequireOutputs(const inference::ModelInferRequest& request) {
  const absl::StatusOr<std::vector<std::string>> names = RequestedOutputs(Signature(), request);
  if (!names.ok()) {
    Require(!names.status().message().empty() && names.status().message().size() < 2000);
    return;
  }
  Require(!names->empty() && names->size() <= 2);
  for (const std::string& name : *names) Require(name == "image" || name == "scale");
  Require(names->size() == 1 || names->front() != names->back());
}

// What the wire could bring, straight.
void FuzzWire(std::string_view content) {
  // Protobuf complains of each text that is no UTF-8.
  static const auto silenced = google::protobuf::SetLogHandler(nullptr);
  (void)silenced;
  inference::ModelInferRequest request;
  if (request.ParseFromArray(content.data(), static_cast<int>(content.size()))) {
    RequireOutputs(request);
    RequireInputs(request);
  }
  inference::ModelInferResponse response;
  if (response.ParseFromArray(content.data(), static_cast<int>(content.size()))) {
    RequireSound(TakeOutputs(response));
  }
}

// Requests that are well formed as messages, of extents that wrap when they are multiplied.
void FuzzParts(Bytes bytes) {
  inference::ModelInferRequest request;
  inference::ModelInferResponse response;
  const int tensors = bytes.Next() % 4;
  for (int t = 0; t < tensors; ++t) {
    auto* input = request.add_inputs();
    auto* output = response.add_outputs();
    const uint8_t kind = bytes.Next();
    input->set_name(kind % 3 == 0 ? "image" : kind % 3 == 1 ? "scale" : bytes.Text(3));
    output->set_name(input->name());
    input->set_datatype(kDatatypes[bytes.Next() % 8]);
    output->set_datatype(input->datatype());
    const int rank = bytes.Next() % 20;
    for (int d = 0; d < rank; ++d) {
      const int64_t extent = kExtents[bytes.Next() % 16];
      input->add_shape(extent);
      output->add_shape(extent);
    }
    const std::string data = bytes.Text(bytes.Next());
    if (kind & 0x10) {
      for (const char c : data) input->mutable_contents()->add_fp32_contents(c);
    }
    if (kind & 0x20) {
      for (const char c : data) input->mutable_contents()->add_fp64_contents(c);
    }
    if (kind & 0x08) request.add_outputs()->set_name(input->name());
    if (kind & 0x40) (*input->mutable_parameters())["shared_memory_region"].set_string_param("r");
    if (!(kind & 0x80)) *request.add_raw_input_contents() = data;
    *response.add_raw_output_contents() = data;
  }
  RequireOutputs(request);
  RequireInputs(request);
  RequireSound(TakeOutputs(response));
}

}  // namespace
}  // namespace backfire::runtime

namespace backfire {

std::vector<std::string> FuzzExamples() {
  using runtime::Datatype;
  inference::ModelInferRequest request;
  runtime::AddInput("image", runtime::MakeTensor(Datatype::kFp32, {1, 2, 3}), request);
  runtime::AddInput("scale", runtime::MakeTensor(Datatype::kFp64, {2}), request);
  // Two inputs, "image" FP32 [1, 2, 3] of 24 bytes and "scale" FP64 [2] of 16; as above, in parts.
  const std::string parts = std::string("\2\0\0\3\1\2\3\30", 8) + std::string(24, 'i') +
                            std::string("\1\1\1\2\20", 5) + std::string(16, 's');
  return {std::string(1, '\0') + request.SerializeAsString(), "\1" + parts};
}

std::vector<std::string> FuzzTokens() {
  return {"FP32", "FP64", "UINT8", "BYTES", "image", "scale", "\x0a", "\x12", "\x1a", "\x3a"};
}

int FuzzRuns() { return 100000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace backfire::runtime;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    FuzzWire(content);
  } else {
    FuzzParts(Bytes(content));
  }
  return 0;
}
