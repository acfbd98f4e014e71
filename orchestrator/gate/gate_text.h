#pragma once

#include <string>

#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// A report for the terminal: what the gate does and why in the first line, then each loss, worst
/// first, with before and after as the user's own direction has them; then what would decide.
std::string GateText(const v1::GateReport& report);

}  // namespace backfire::gate
