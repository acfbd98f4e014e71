#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace backfire::disparity {

/// A file of weights that is part of the program, as runtime::Model::PretrainedFile returns it.
/// There is one, `small`, for the network of `psmnet-{depth,disparity}-mae` at its defaults; see
/// pretrained/. NOT_FOUND: lists those there are.
absl::StatusOr<std::string> PretrainedFile(std::string_view name);

}  // namespace backfire::disparity
