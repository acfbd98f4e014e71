#pragma once

#include <string>

#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/gate.h"

namespace backfire::gate {

/// The commands that make a report again, one a line, as a shell takes them. Of a mesh's update
/// they begin with its export.
std::string CommandOf(const GateRequest& request, const v1::GateReport& report);

}  // namespace backfire::gate
