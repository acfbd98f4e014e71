#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::conformance {

/// A dense tensor as it travels: row-major, little-endian.
struct TensorData {
  std::string datatype;
  std::vector<int64_t> shape;
  std::string bytes;
};

/// What Materialize gave of one example.
struct ExampleOutputs {
  int64_t position = 0;
  std::string id, cluster;
  std::vector<std::pair<std::string, TensorData>> tensors;  ///< By name, in order of arrival.
};
using Outputs = std::vector<ExampleOutputs>;

/// Bytes of an element; 0: no datatype of the Open Inference Protocol whose elements have one size.
int64_t ElementBytes(const std::string& datatype);

/// Whether a tensor is as `signature` says, with as many bytes as shape and datatype make.
/// INTERNAL: says how it differs.
absl::Status CheckTensor(const v1::TensorSignature& signature, const TensorData& tensor);

/// Puts the pieces of a Materialize stream together. INTERNAL: what of the contract they break:
/// pieces of more than 1 MiB, examples or tensors out of order, ones that are missing, do not end,
/// or are not as the model's signature says.
/// @param asked  Positions that were asked for; empty: all, from 0.
absl::StatusOr<Outputs> Assemble(const v1::Model& model,
                                 const std::vector<v1::MaterializeResponse>& pieces,
                                 const std::vector<int64_t>& asked);

/// The outputs_digest of all of a split's outputs (docs/own-models.md), 64 hexadecimal digits.
std::string OutputsDigest(const Outputs& outputs);

/// Whether both hold the same bits for the same examples.
bool SameOutputs(const Outputs& a, const Outputs& b);

/// Whether two tensors say the same: equal bits, but for floating point numbers, which may differ
/// by 1e-5 of their size, or of two bytes by four steps, as the last bits may depend on what is
/// computed together.
bool SaySame(const TensorData& a, const TensorData& b);
/// Whether all tensors do, of the same examples.
bool SaySame(const Outputs& a, const Outputs& b);

}  // namespace backfire::conformance
