#pragma once

#include <string>
#include <vector>

#include "orchestrator/store/store.h"

namespace backfire::workflow {

/// Marks what trains the candidate of a new update as done: a proposed version exists already, and
/// stands for every replicate.
void TakeProposedVersion(const std::string& vertex, const v1::Version& version,
                         store::UpdateRecord& update);

/// What would be lost with a version, a phrase each, in a fixed order: releases that serve, may be
/// promoted or rolled back to; versions of the current system's updates that others may yet be
/// compared with; recipes that start from it. Versions that it feeds are not looked at here.
std::vector<std::string> NeedsOf(const store::Contents& contents, const std::string& version);

}  // namespace backfire::workflow
