#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/planar/geometry.h"

namespace backfire::planar {

/// Values of parameters, for runtime::Declare.
google::protobuf::Value ToValue(const std::vector<double>& numbers);
google::protobuf::Value ToValue(const std::vector<Position>& points);

/// Read values of parameters. INVALID_ARGUMENT: `{path} must be ...`.
absl::StatusOr<double> ToNumber(const google::protobuf::Value& value, const std::string& path);
absl::StatusOr<Position> ToPosition(const google::protobuf::Value& value, const std::string& path);
absl::StatusOr<std::vector<Position>> ToPoints(const google::protobuf::Value& value,
                                               const std::string& path);

/// The parameter of a complete recipe, and its path for messages.
const google::protobuf::Value& Parameter(const v1::Recipe& recipe, const std::string& name);
std::string ParameterPath(const std::string& name);

/// Declares the parameters that say which of the training split's examples a recipe learns from:
/// `training_size`, `resample` and `label_noise`.
void AddSampling(v1::Recipe& recipe);
/// Whether a seed changes which examples a recipe learns from, or their labels.
bool SamplesBySeed(const v1::Recipe& recipe);

}  // namespace backfire::planar
