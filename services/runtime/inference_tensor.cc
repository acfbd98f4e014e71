#include "services/runtime/inference_tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/excerpt.h"
#include "services/base/status.h"
#include "services/runtime/checked_tensor.h"

namespace backfire::runtime {
namespace {

using inference::InferTensorContents;

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

absl::Status CopyTyped(const InferTensorContents& contents, Tensor& tensor) {
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

// Elements of all typed fields together: only the datatype's own may have any.
int64_t TypedCount(const InferTensorContents& contents) {
  return int64_t{contents.bool_contents_size()} + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

absl::StatusOr<Tensor> ReadTyped(const InferTensorContents& contents, TensorHeader header) {
  const int64_t count = header.bytes / DatatypeSize(header.datatype);
  // Before there is room for them: typed elements are as dear to send as to keep.
  if (TypedCount(contents) != count) {
    return absl::InvalidArgumentError(absl::StrCat("contents must have ", count, " elements: got ",
                                                   TypedCount(contents), " in all its fields"));
  }
  std::string room(static_cast<size_t>(header.bytes), '\0');
  BACKFIRE_ASSIGN_OR_RETURN(Tensor tensor, MakeChecked(std::move(header), std::move(room)));
  BACKFIRE_RETURN_IF_ERROR(CopyTyped(contents, tensor));
  return tensor;
}

absl::StatusOr<Tensor> TakeInput(const v1::TensorSignature& expected,
                                 const inference::ModelInferRequest::InferInputTensor& input,
                                 std::string* raw) {
  std::vector<int64_t> shape(input.shape().begin(), input.shape().end());
  BACKFIRE_RETURN_IF_ERROR(CheckSignature(expected, input.datatype(), shape));
  BACKFIRE_ASSIGN_OR_RETURN(TensorHeader header, CheckHeader(input.datatype(), std::move(shape)));
  if (raw == nullptr) return ReadTyped(input.contents(), std::move(header));
  return MakeChecked(std::move(header), std::move(*raw));
}

// Nothing that a parameter could ask for is done here, so that a request which needs it must not
// look as if it were.
absl::Status CheckNoParameters(
    const google::protobuf::Map<std::string, inference::InferParameter>& parameters,
    const std::string& path) {
  if (parameters.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ".parameters: there is no parameter \"",
                                                 Excerpt(parameters.begin()->first),
                                                 "\": none is known here"));
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
  BACKFIRE_RETURN_IF_ERROR(CheckNoParameters(request.parameters(), "request"));
  TensorMap inputs;
  for (int i = 0; i < request.inputs_size(); ++i) {
    const auto& input = request.inputs(i);
    const std::string path = absl::StrCat("inputs[", i, "] \"", Excerpt(input.name()), "\"");
    const v1::TensorSignature* expected = FindSignature(signature, input.name());
    if (expected == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": there is no such input; there are ", Names(signature)));
    }
    BACKFIRE_RETURN_IF_ERROR(CheckNoParameters(input.parameters(), path));
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
      return absl::InvalidArgumentError(absl::StrCat("outputs: there is no output \"",
                                                     Excerpt(output.name()), "\"; there are ",
                                                     Names(signature)));
    }
    BACKFIRE_RETURN_IF_ERROR(
        CheckNoParameters(output.parameters(), absl::StrCat("outputs \"", output.name(), "\"")));
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
    const auto take = [&]() -> absl::StatusOr<Tensor> {
      BACKFIRE_ASSIGN_OR_RETURN(
          TensorHeader header,
          CheckHeader(output.datatype(), {output.shape().begin(), output.shape().end()}));
      return MakeChecked(std::move(header), std::move(*response.mutable_raw_output_contents(i)));
    };
    absl::StatusOr<Tensor> tensor = take();
    if (tensor.ok() && !outputs.emplace(output.name(), *std::move(tensor)).second) {
      tensor = absl::InvalidArgumentError("is there twice");
    }
    if (!tensor.ok()) {
      return absl::InternalError(
          absl::StrCat("output \"", Excerpt(output.name()), "\": ", tensor.status().message()));
    }
  }
  return outputs;
}

}  // namespace backfire::runtime
