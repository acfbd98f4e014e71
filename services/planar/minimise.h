#pragma once

#include <functional>
#include <vector>

namespace backfire::planar {

/// Returns where a function is least near `start`, by Nelder and Mead's simplex (1965), started
/// again from its result until that helps no more. Deterministic.
/// @param scale  Of the first simplex.
/// @param evaluations  At most about so many.
std::vector<double> Minimise(const std::function<double(const std::vector<double>&)>& function,
                             std::vector<double> start, double scale, int evaluations);

}  // namespace backfire::planar
