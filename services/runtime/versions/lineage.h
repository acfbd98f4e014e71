#pragma once

#include <string>

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::runtime {

/// Whether a text has the form of a digest: 64 lower-case hexadecimal digits.
bool IsDigest(const std::string& text);

/// Checks what a request says that a version is fed by: inputs that the model has, each fed once,
/// by a well-formed version, output and digest. INVALID_ARGUMENT: names the field, from `field` on.
/// @param model  As its service describes it.
absl::Status CheckLineage(const v1::Model& model,
                          const google::protobuf::RepeatedPtrField<v1::Parent>& lineage,
                          const std::string& field);

}  // namespace backfire::runtime
