#pragma once

#include <string>
#include <vector>

#include "tests/chaos/scenario.h"

namespace backfire::chaos {

/// All of a result that no kill may change, a line each: versions, losses to the last bit, verdict,
/// releases. Durations and times are left out.
std::vector<std::string> Facts(const ScenarioResult& result);

/// What the two differ in, a line each; empty: nothing.
std::vector<std::string> Differences(const ScenarioResult& calm, const ScenarioResult& wild);

}  // namespace backfire::chaos
