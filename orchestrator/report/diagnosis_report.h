#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// A row per term of each diagnosed vertex's error: before, after, and how much it grew; then, in a
/// line, which term grew most. Empty if no vertex was diagnosed.
std::string DiagnosisText(const v1::Update& update);

}  // namespace backfire::report
