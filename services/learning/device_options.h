#pragma once

#include <string>

#include "absl/status/status.h"

namespace backfire::learning {

/// Where models run.
struct DeviceOptions {
  std::string device = "auto";  ///< `auto` (a GPU where there is one), `cpu` or `cuda:N`.
  int prediction_threads = 1;   ///< Of one prediction; trainings have their recipe's.
};

/// INVALID_ARGUMENT: malformed, or this machine has no such device.
absl::Status CheckDevice(const std::string& device);

}  // namespace backfire::learning
