#pragma once

#include <string>

#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// A report as JUnit's XML: a test suite per vertex, a test case per loss and slice. One that
/// blocks is a failure with its numbers; one that is open fails as well, as the job does; a waived
/// one is skipped with its reason, as is an advisory one. Expired waivers are failures of a suite
/// of their own.
std::string JunitXml(const v1::GateReport& report);

}  // namespace backfire::gate
