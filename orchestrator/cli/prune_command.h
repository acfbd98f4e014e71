#pragma once

#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// Adds `update prune` to the commands of updates.
void AddUpdatePrune(CLI::App& topic, Session& session);

}  // namespace backfire::cli
