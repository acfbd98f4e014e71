#pragma once

#include <string>

#include "orchestrator/study/study.pb.h"

namespace backfire::study {

/// Tables 1 to 3 of "Fixes That Fail" (Wu et al., 2021) in Markdown, with the paper's numbers
/// beside the study's, and the differences of each piece. Average precisions in percent, higher is
/// better; disparity errors in px. Depends on `study` alone.
std::string StereoTables(const StereoStudy& study);

}  // namespace backfire::study
