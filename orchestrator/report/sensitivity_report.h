#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// What an update can and can't show, before anything is trained: a table with a row per judged
/// loss, and its notes. Empty where the update has no sensitivities.
std::string SensitivityText(const v1::Update& update);

}  // namespace backfire::report
