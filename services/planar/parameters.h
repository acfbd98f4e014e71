#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/planar/geometry.h"

namespace backfire::planar {

/// Set a default parameter while a recipe is described.
void SetList(v1::Recipe& recipe, const std::string& name, const std::vector<double>& numbers);
void SetPoints(v1::Recipe& recipe, const std::string& name, const std::vector<Position>& points);

/// Read values of parameters. INVALID_ARGUMENT: `{path} must be ...`.
absl::StatusOr<double> ToNumber(const google::protobuf::Value& value, const std::string& path);
absl::StatusOr<Position> ToPosition(const google::protobuf::Value& value, const std::string& path);
absl::StatusOr<std::vector<Position>> ToPoints(const google::protobuf::Value& value,
                                               const std::string& path);

/// The parameter of a complete recipe, and its path for messages.
const google::protobuf::Value& Parameter(const v1::Recipe& recipe, const std::string& name);
std::string ParameterPath(const std::string& name);

/// Adds the parameters that say which of the training split's examples a recipe learns from:
/// `training_size` (0: all), `resample` (`fixed`: the first; `fresh`: a sample of them by the seed,
/// without repetition; `bootstrap`: with), `label_noise` (chance that a training label is flipped).
void AddSampling(v1::Recipe& recipe);
/// Whether a seed changes which examples a recipe learns from, or their labels.
bool SamplesBySeed(const v1::Recipe& recipe);

}  // namespace backfire::planar
