#pragma once

#include <string>
#include <vector>

#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/policy.h"

namespace backfire::gate {

/// All that is wrong with a policy, each as `path: fault` with a path that LocateFaults follows.
std::vector<std::string> PolicyFaults(const v1::GatePolicy& policy, PolicyUse use);

}  // namespace backfire::gate
