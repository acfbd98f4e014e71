#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace backfire::chaos {

/// Places by process, in the order in which the process passes them.
using Places = std::map<std::string, std::vector<std::string>>;

/// Whether a place is between two steps of an update: before or after a step, or its job, is
/// written down as begun or as ended, or a release as live.
bool IsStepBoundary(const std::string& place);

/// Chooses where each process dies: at every boundary of a step of `update`, and at `kills` other
/// places, drawn by `seed`, from all processes alike.
/// @param passed  What an undisturbed run passed.
/// @param update  `updates/2`.
Places ChooseKills(const Places& passed, const std::string& update, int kills, uint64_t seed);

}  // namespace backfire::chaos
