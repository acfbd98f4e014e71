#pragma once

#include <string>

#include "backfire/v1/model_service.pb.h"
#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// One version: how it came to be, what feeds it, every parameter; ended by a newline.
std::string VersionText(const v1::Version& version);

/// A line per version, and how to get those of the next page if there is one.
std::string VersionListText(const v1::ListVersionsResponse& versions);

/// How many versions each model has and what their weights take, largest first; then all together.
std::string VersionSizesText(const v1::ListVersionsResponse& versions);

/// What a pruning let go, or would.
std::string PruneText(const v1::PruneUpdatesResponse& response, bool dry_run);

}  // namespace backfire::report
