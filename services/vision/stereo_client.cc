#include "services/vision/stereo_client.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/detection/detections_tensor.h"
#include "services/rpc/channel.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/unary_call.h"

namespace backfire::vision {
namespace {

using runtime::Datatype;
using runtime::Tensor;

constexpr const char* kInputs[] = {"left", "right", "calibration"};
constexpr const char* kOutputs[] = {"disparity", "points", "cars", "pedestrians"};

void AddInput(const std::string& name, Tensor tensor, inference::ModelInferRequest& request) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(std::string(runtime::DatatypeName(tensor.datatype)));
  for (const int64_t size : tensor.shape) input.add_shape(size);
  request.add_raw_input_contents(std::move(tensor.data));
}

// The named output as a tensor whose size agrees with its shape.
absl::StatusOr<Tensor> Output(const inference::ModelInferResponse& response,
                              const std::string& name) {
  if (response.raw_output_contents_size() != response.outputs_size()) {
    return absl::InternalError(absl::StrCat("the answer has ", response.outputs_size(),
                                            " outputs, but raw contents for ",
                                            response.raw_output_contents_size()));
  }
  for (int i = 0; i < response.outputs_size(); ++i) {
    const auto& output = response.outputs(i);
    if (output.name() != name) continue;
    Tensor tensor;
    BACKFIRE_ASSIGN_OR_RETURN(tensor.datatype, runtime::ParseDatatype(output.datatype()));
    tensor.shape.assign(output.shape().begin(), output.shape().end());
    tensor.data = response.raw_output_contents(i);
    // Element by element, so that a nonsensical shape cannot overflow.
    uint64_t bytes = static_cast<uint64_t>(runtime::DatatypeSize(tensor.datatype));
    bool sound = true;
    for (const int64_t size : tensor.shape) {
      sound = sound && size >= 0 && size <= (int64_t{1} << 31) && bytes <= (uint64_t{1} << 32);
      bytes *= static_cast<uint64_t>(size);
    }
    if (!sound || bytes != tensor.data.size()) {
      return absl::InternalError(absl::StrCat("output \"", name, "\" is ", output.datatype(), " [",
                                              absl::StrJoin(output.shape(), ", "), "], but has ",
                                              tensor.data.size(), " bytes"));
    }
    return tensor;
  }
  return absl::InternalError(absl::StrCat("the answer has no output \"", name, "\""));
}

absl::Status CheckFloats(const Tensor& tensor, const std::string& name,
                         const std::vector<int64_t>& shape) {
  bool matches = tensor.datatype == Datatype::kFp32 && tensor.shape.size() == shape.size();
  for (size_t i = 0; matches && i < shape.size(); ++i) {
    matches = shape[i] < 0 || tensor.shape[i] == shape[i];
  }
  if (matches) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("output \"", name, "\" must be FP32 [",
                                          absl::StrJoin(shape, ", "), "]: got ",
                                          std::string(runtime::DatatypeName(tensor.datatype)), " [",
                                          absl::StrJoin(tensor.shape, ", "), "]"));
}

absl::Status AddDetections(const inference::ModelInferResponse& response, const std::string& name,
                           const std::string& type, std::vector<metrics::Object>& detections) {
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor tensor, Output(response, name));
  const auto found = detection::DetectionsFromTensor(tensor, type);
  if (!found.ok()) {
    return absl::InternalError(absl::StrCat("output \"", name, "\": ", found.status().message()));
  }
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
    if (std::isfinite(tensor.As<float>()[i])) continue;
    return absl::InternalError(
        absl::StrCat("output \"", name, "\" has a number that isn't finite"));
  }
  detections.insert(detections.end(), found->begin(), found->end());
  return absl::OkStatus();
}

}  // namespace

inference::ModelInferRequest MakeRequest(const StereoInput& input, const StereoCall& call) {
  inference::ModelInferRequest request;
  request.set_model_name(call.model);
  if (call.release.has_value()) request.set_model_version(absl::StrCat(*call.release));
  AddInput("left", datasets::ImageToTensor(input.left), request);
  AddInput("right", datasets::ImageToTensor(input.right), request);
  AddInput("calibration", datasets::ToTensor(input.calibration), request);
  for (const char* name : kOutputs) request.add_outputs()->set_name(name);
  if (call.boxes) request.add_outputs()->set_name("boxes_2d");
  return request;
}

absl::StatusOr<Perception> ReadResponse(const inference::ModelInferResponse& response,
                                        cv::Size size) {
  Perception perception;
  perception.release = response.model_version();
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor disparity, Output(response, "disparity"));
  BACKFIRE_RETURN_IF_ERROR(CheckFloats(disparity, "disparity", {size.height, size.width}));
  perception.disparity.create(size, CV_32FC1);
  std::memcpy(perception.disparity.data, disparity.data.data(), disparity.data.size());
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor points, Output(response, "points"));
  const bool with_intensity = points.shape.size() == 2 && points.shape[1] == 4;
  BACKFIRE_RETURN_IF_ERROR(CheckFloats(points, "points", {-1, with_intensity ? 4 : 3}));
  const float* numbers = points.As<float>();
  for (int64_t i = 0; i < points.shape[0]; ++i, numbers += points.shape[1]) {
    perception.points.emplace_back(numbers[0], numbers[1], numbers[2]);
  }
  BACKFIRE_RETURN_IF_ERROR(AddDetections(response, "cars", "Car", perception.detections));
  BACKFIRE_RETURN_IF_ERROR(
      AddDetections(response, "pedestrians", "Pedestrian", perception.detections));
  for (const auto& output : response.outputs()) {
    if (output.name() != "boxes_2d") continue;
    BACKFIRE_ASSIGN_OR_RETURN(perception.boxes_2d, Output(response, "boxes_2d"));
  }
  return perception;
}

absl::StatusOr<bool> IsStereoSystem(inference::GRPCInferenceService::StubInterface& gateway,
                                    const StereoCall& call) {
  inference::ModelMetadataRequest request;
  request.set_name(call.model);
  if (call.release.has_value()) request.set_version(absl::StrCat(*call.release));
  BACKFIRE_ASSIGN_OR_RETURN(
      const inference::ModelMetadataResponse metadata,
      runtime::UnaryCall(gateway, &inference::GRPCInferenceService::StubInterface::ModelMetadata,
                         request, call.timeout));
  const auto has = [](const auto& tensors, const std::string& name) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& tensor) { return tensor.name() == name; });
  };
  bool is_stereo = true;
  for (const char* name : kInputs) is_stereo = is_stereo && has(metadata.inputs(), name);
  for (const char* name : kOutputs) is_stereo = is_stereo && has(metadata.outputs(), name);
  return is_stereo;
}

absl::StatusOr<Perception> Perceive(inference::GRPCInferenceService::StubInterface& gateway,
                                    const StereoInput& input, const StereoCall& call) {
  BACKFIRE_ASSIGN_OR_RETURN(
      const inference::ModelInferResponse response,
      runtime::UnaryCall(gateway, &inference::GRPCInferenceService::StubInterface::ModelInfer,
                         MakeRequest(input, call), call.timeout));
  BACKFIRE_ASSIGN_OR_RETURN(Perception perception, ReadResponse(response, input.left.size()));
  if (call.boxes && !perception.boxes_2d.has_value()) {
    return absl::InternalError("the answer has no output \"boxes_2d\"");
  }
  return perception;
}

absl::StatusOr<std::vector<metrics::Object>> DetectInCloud(
    inference::GRPCInferenceService::StubInterface& detector, const std::string& model,
    int64_t version, const std::string& type, const Tensor& points, const Tensor& boxes_2d,
    const Tensor& calibration, absl::Duration timeout) {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  if (version > 0) request.set_model_version(absl::StrCat(version));
  AddInput("points", points, request);
  AddInput("boxes_2d", boxes_2d, request);
  AddInput("calibration", calibration, request);
  request.add_outputs()->set_name("detections");
  BACKFIRE_ASSIGN_OR_RETURN(
      const inference::ModelInferResponse response,
      runtime::UnaryCall(detector, &inference::GRPCInferenceService::StubInterface::ModelInfer,
                         request, timeout));
  std::vector<metrics::Object> detections;
  BACKFIRE_RETURN_IF_ERROR(AddDetections(response, "detections", type, detections));
  return detections;
}

}  // namespace backfire::vision
