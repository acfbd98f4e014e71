#pragma once

#include <string>

#include "orchestrator/page/view.h"

namespace backfire::page {

/// `Refused`, `Passed`, `Undecided`.
std::string OutcomeWord(const v1::GateReport& report);

/// The verdict and its reason, in sentences for somebody who knows the models by name and no
/// statistics.
std::string PlainVerdict(const View& view);

/// What a result found, in a sentence: `its error went from 0.12 to 0.18; up to 0.02 more was
/// allowed`.
std::string PlainFinding(const View& view, int result);

}  // namespace backfire::page
