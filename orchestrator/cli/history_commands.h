#pragma once

#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// Adds `history`: what happened to the system, its updates and its releases.
void AddHistoryCommand(CLI::App& app, Session& session);

/// Adds `update log` to the commands of updates: the story of one.
void AddUpdateLog(CLI::App& topic, Session& session);

}  // namespace backfire::cli
