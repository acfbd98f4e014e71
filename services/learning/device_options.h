#pragma once

#include <string>

namespace backfire::learning {

/// Where models run.
struct DeviceOptions {
  std::string device = "auto";  ///< `auto` (a GPU where there is one), `cpu` or `cuda:N`.
};

}  // namespace backfire::learning
