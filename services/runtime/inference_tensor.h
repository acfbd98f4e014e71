#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "inference/open_inference.pb.h"
#include "services/runtime/tensor.h"

namespace backfire::runtime {

using TensorSignatures = google::protobuf::RepeatedPtrField<v1::TensorSignature>;

/// Takes the tensors out of a request, raw or typed contents alike. Raw contents are moved, not
/// copied: `request` keeps empty ones. INVALID_ARGUMENT, naming the input: unknown, missing or
/// repeated; a datatype, rank or size other than the signature's; raw and typed contents mixed, or
/// two typed fields; bytes or elements that are not as many as the shape says; any parameter, as
/// none is known.
absl::StatusOr<TensorMap> TakeInputs(const TensorSignatures& signature,
                                     inference::ModelInferRequest& request);

/// The outputs that a request names, or all. INVALID_ARGUMENT: unknown, or named twice.
absl::StatusOr<std::vector<std::string>> RequestedOutputs(
    const TensorSignatures& signature, const inference::ModelInferRequest& request);

/// Puts tensors into a response as raw contents, in the order of `names`. INTERNAL: one is missing.
absl::Status PutOutputs(const std::vector<std::string>& names, TensorMap outputs,
                        inference::ModelInferResponse& response);

/// Adds a tensor to a request as raw contents.
void AddInput(const std::string& name, Tensor tensor, inference::ModelInferRequest& request);

/// Takes the tensors out of a response with raw contents. INTERNAL: it is malformed, or has an
/// output twice.
absl::StatusOr<TensorMap> TakeOutputs(inference::ModelInferResponse& response);

}  // namespace backfire::runtime
