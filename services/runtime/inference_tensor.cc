#include "services/runtime/inference_tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

using inference::InferTensorContents;

std::string ShapeText(const google::protobuf::RepeatedField<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

const v1::TensorSignature* FindSignature(const TensorSignatures& signature,
                                         const std::string& name) {
  for (const v1::TensorSignature& tensor : signature) {
    if (tensor.name() == name) return &tensor;
  }
  return nullptr;
}

std::string Names(const TensorSignatures& signature) {
  return absl::StrJoin(signature, ", ", [](std::string* out, const v1::TensorSignature& tensor) {
    out->append(tensor.name());
  });
}

absl::Status CheckShape(const v1::TensorSignature& expected,
                        const google::protobuf::RepeatedField<int64_t>& shape) {
  bool fits = shape.size() == expected.shape_size();
  int64_t count = 1;
  for (int i = 0; i < shape.size(); ++i) {
    fits = fits && shape[i] >= 0 && (expected.shape(i) == -1 || expected.shape(i) == shape[i]);
    if (!fits) break;
    // Guards the products that follow against overflow.
    if (shape[i] > 0 && count > (int64_t{1} << 40) / shape[i]) fits = false;
    count *= std::max<int64_t>(shape[i], 1);
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("shape must be ", ShapeText(expected.shape()),
                                                 " (-1: any size): got ", ShapeText(shape)));
}

// Elements of a typed field, narrowed to the tensor's type.
template <typename To, typename From>
absl::Status CopyContents(const google::protobuf::RepeatedField<From>& from, Tensor& tensor) {
  if (from.size() != tensor.ElementCount()) {
    return absl::InvalidArgumentError(
        absl::StrCat("contents must have ", tensor.ElementCount(), " elements: got ", from.size()));
  }
  To* to = tensor.MutableAs<To>();
  for (int i = 0; i < from.size(); ++i) {
    to[i] = static_cast<To>(from[i]);
    if constexpr (std::is_integral_v<To> && sizeof(To) < sizeof(From)) {
      if (static_cast<From>(to[i]) != from[i]) {
        return absl::InvalidArgumentError(
            absl::StrCat("contents[", i, "] must be in [", int64_t{std::numeric_limits<To>::min()},
                         ", ", int64_t{std::numeric_limits<To>::max()}, "]: got ", from[i]));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReadTyped(const InferTensorContents& contents, Tensor& tensor) {
  tensor.data.resize(static_cast<size_t>(tensor.ElementCount() * DatatypeSize(tensor.datatype)));
  switch (tensor.datatype) {
    case Datatype::kBool:
      return CopyContents<bool>(contents.bool_contents(), tensor);
    case Datatype::kUint8:
      return CopyContents<uint8_t>(contents.uint_contents(), tensor);
    case Datatype::kUint16:
      return CopyContents<uint16_t>(contents.uint_contents(), tensor);
    case Datatype::kUint32:
      return CopyContents<uint32_t>(contents.uint_contents(), tensor);
    case Datatype::kUint64:
      return CopyContents<uint64_t>(contents.uint64_contents(), tensor);
    case Datatype::kInt8:
      return CopyContents<int8_t>(contents.int_contents(), tensor);
    case Datatype::kInt16:
      return CopyContents<int16_t>(contents.int_contents(), tensor);
    case Datatype::kInt32:
      return CopyContents<int32_t>(contents.int_contents(), tensor);
    case Datatype::kInt64:
      return CopyContents<int64_t>(contents.int64_contents(), tensor);
    case Datatype::kFp32:
      return CopyContents<float>(contents.fp32_contents(), tensor);
    case Datatype::kFp64:
      return CopyContents<double>(contents.fp64_contents(), tensor);
    default:
      return absl::InvalidArgumentError(absl::StrCat(std::string(DatatypeName(tensor.datatype)),
                                                     " has no typed contents: send raw ones"));
  }
}

absl::Status CheckRawSize(const Tensor& tensor) {
  const int64_t expected = tensor.ElementCount() * DatatypeSize(tensor.datatype);
  if (static_cast<int64_t>(tensor.data.size()) == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("raw contents must have ", expected, " bytes for ",
                                                 std::string(DatatypeName(tensor.datatype)), " [",
                                                 absl::StrJoin(tensor.shape, ", "), "]: got ",
                                                 tensor.data.size()));
}

absl::StatusOr<Tensor> TakeInput(const v1::TensorSignature& expected,
                                 const inference::ModelInferRequest::InferInputTensor& input,
                                 std::string* raw) {
  if (input.datatype() != expected.datatype()) {
    return absl::InvalidArgumentError(
        absl::StrCat("datatype must be ", expected.datatype(), ": got \"", input.datatype(), "\""));
  }
  BACKFIRE_RETURN_IF_ERROR(CheckShape(expected, input.shape()));
  Tensor tensor;
  BACKFIRE_ASSIGN_OR_RETURN(tensor.datatype, ParseDatatype(input.datatype()));
  tensor.shape.assign(input.shape().begin(), input.shape().end());
  if (raw == nullptr) {
    BACKFIRE_RETURN_IF_ERROR(ReadTyped(input.contents(), tensor));
  } else {
    tensor.data = std::move(*raw);
    BACKFIRE_RETURN_IF_ERROR(CheckRawSize(tensor));
  }
  return tensor;
}

}  // namespace

absl::StatusOr<TensorMap> TakeInputs(const TensorSignatures& signature,
                                     inference::ModelInferRequest& request) {
  const bool is_raw = request.raw_input_contents_size() > 0;
  if (is_raw && request.raw_input_contents_size() != request.inputs_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("raw_input_contents must have an entry for each of the ",
                     request.inputs_size(), " inputs: got ", request.raw_input_contents_size()));
  }
  TensorMap inputs;
  for (int i = 0; i < request.inputs_size(); ++i) {
    const auto& input = request.inputs(i);
    const std::string path = absl::StrCat("inputs[", i, "] \"", input.name(), "\"");
    const v1::TensorSignature* expected = FindSignature(signature, input.name());
    if (expected == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": there is no such input; there are ", Names(signature)));
    }
    if (is_raw && input.has_contents()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": has typed contents although raw_input_contents is used"));
    }
    absl::StatusOr<Tensor> tensor =
        TakeInput(*expected, input, is_raw ? request.mutable_raw_input_contents(i) : nullptr);
    if (!tensor.ok()) return Annotate(tensor.status(), path);
    if (!inputs.emplace(input.name(), *std::move(tensor)).second) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": is there twice"));
    }
  }
  for (const v1::TensorSignature& expected : signature) {
    if (inputs.find(expected.name()) == inputs.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("inputs: \"", expected.name(), "\" is missing"));
    }
  }
  return inputs;
}

absl::StatusOr<std::vector<std::string>> RequestedOutputs(
    const TensorSignatures& signature, const inference::ModelInferRequest& request) {
  std::vector<std::string> names;
  if (request.outputs_size() == 0) {
    for (const v1::TensorSignature& output : signature) names.push_back(output.name());
    return names;
  }
  for (const auto& output : request.outputs()) {
    if (FindSignature(signature, output.name()) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "outputs: there is no output \"", output.name(), "\"; there are ", Names(signature)));
    }
    if (std::find(names.begin(), names.end(), output.name()) != names.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("outputs: \"", output.name(), "\" is there twice"));
    }
    names.push_back(output.name());
  }
  return names;
}

absl::Status PutOutputs(const std::vector<std::string>& names, TensorMap outputs,
                        inference::ModelInferResponse& response) {
  for (const std::string& name : names) {
    const auto found = outputs.find(name);
    if (found == outputs.end()) {
      return absl::InternalError(absl::StrCat("the model gave no output \"", name, "\""));
    }
    Tensor& tensor = found->second;
    auto* output = response.add_outputs();
    output->set_name(name);
    output->set_datatype(std::string(DatatypeName(tensor.datatype)));
    output->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    *response.add_raw_output_contents() = std::move(tensor.data);
  }
  return absl::OkStatus();
}

void AddInput(const std::string& name, Tensor tensor, inference::ModelInferRequest& request) {
  auto* input = request.add_inputs();
  input->set_name(name);
  input->set_datatype(std::string(DatatypeName(tensor.datatype)));
  input->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
  *request.add_raw_input_contents() = std::move(tensor.data);
}

absl::StatusOr<TensorMap> TakeOutputs(inference::ModelInferResponse& response) {
  if (response.raw_output_contents_size() != response.outputs_size()) {
    return absl::InternalError(absl::StrCat("a response with ", response.outputs_size(),
                                            " outputs has ", response.raw_output_contents_size(),
                                            " raw contents"));
  }
  TensorMap outputs;
  for (int i = 0; i < response.outputs_size(); ++i) {
    const auto& output = response.outputs(i);
    Tensor tensor;
    const absl::StatusOr<Datatype> datatype = ParseDatatype(output.datatype());
    const bool valid = datatype.ok() && std::all_of(output.shape().begin(), output.shape().end(),
                                                    [](int64_t size) { return size >= 0; });
    if (!valid) {
      return absl::InternalError(absl::StrCat("output \"", output.name(), "\" is malformed: ",
                                              output.datatype(), " ", ShapeText(output.shape())));
    }
    tensor.datatype = *datatype;
    tensor.shape.assign(output.shape().begin(), output.shape().end());
    tensor.data = std::move(*response.mutable_raw_output_contents(i));
    if (const absl::Status status = CheckRawSize(tensor); !status.ok()) {
      return absl::InternalError(
          absl::StrCat("output \"", output.name(), "\": ", status.message()));
    }
    outputs[output.name()] = std::move(tensor);
  }
  return outputs;
}

}  // namespace backfire::runtime
