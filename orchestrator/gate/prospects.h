#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::gate {

/// What a change planned anew would need to resolve this loss with a chance of 80 %, if it is as
/// good as before: so many seeds, or so many examples, each as a number and as a multiple of
/// today's, which is the price. By the two variances that were found (docs/statistics.md): that of
/// trainings falls with the seeds, that of examples with the examples. Looking again at a change
/// that is already judged is no such plan.
/// @param one  UNRESOLVED; of a verdict that is no first look.
std::string Prospect(const v1::LossComparison& one, const v1::Verdict& verdict);

}  // namespace backfire::gate
