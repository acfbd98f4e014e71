#pragma once

#include <string>

namespace backfire::learning {

/// Where models run.
struct DeviceOptions {
  std::string device = "auto";  ///< `auto` (a GPU where there is one), `cpu` or `cuda:N`.
  int serving_threads = 1;      ///< That one prediction may use; trainings have their recipe's.
};

}  // namespace backfire::learning
