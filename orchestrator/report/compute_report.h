#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// A line on what an update's work cost, and what it did not cost because it had been done before;
/// empty while nothing was done.
std::string ComputeSummary(const v1::Update& update);

/// The same by kind of step and vertex, with the outputs that were there already.
std::string ComputeTable(const v1::Update& update);

}  // namespace backfire::report
