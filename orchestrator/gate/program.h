#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::gate {

/// Runs a program, as PATH has it, to its end; it has this one's descriptors that are not closed on
/// exec. Returns its exit code. INTERNAL: it can't be run, or was ended by a signal.
absl::StatusOr<int> RunProgram(std::vector<std::string> arguments);

}  // namespace backfire::gate
