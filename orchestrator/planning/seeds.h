#pragma once

#include <cstdint>
#include <string>

#include "orchestrator/records/records.h"

namespace backfire::planning {

/// Seed of a training in replicate k: >= 0.
/// @param model  `models/{model}`. Vertices of one model that are trained alike, on equal parents,
///              are one version.
/// @param rule  kHashed: systems with different seeds share none, nor do a system's models, nor
///              its replicates. kConsecutive: the system's seed + k, so that systems 1 and 2 share
///              all replicates but one; systems of before kHashed was there keep it, as their
///              versions were trained so.
int64_t TrainingSeed(records::SeedRule rule, int64_t system_seed, const std::string& model,
                     int replicate);

/// What services resample with. Resample b is keyed by seed + b (v1.Bootstrap).
/// @param rule  kHashed: systems with different bootstrap seeds share no resamples. kConsecutive:
///              the system's bootstrap seed as it is.
v1::Bootstrap BootstrapOf(records::SeedRule rule, const v1::System& system);

}  // namespace backfire::planning
