#pragma once

#include <string>

#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// GitHub's workflow commands: an ::error for each loss that blocks and each expired waiver, a
/// ::warning for each that is open or waived; of each kind ten, which is all that GitHub shows of a
/// step, worst first, and the rest in a sentence of the last one.
std::string Annotations(const v1::GateReport& report);

}  // namespace backfire::gate
