#pragma once

#include <string>
#include <vector>

#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// Adds `update export` to the commands of updates.
void AddUpdateExport(CLI::App& topic, Session& session);

/// Whether these arguments are a `gate` on an update of a mesh, which `backfire` itself begins.
bool IsGateOnUpdate(const std::vector<std::string>& arguments);

/// Adds `gate --update`: takes an update's evidence from the orchestrator, and goes on as
/// backfire-gate, with all arguments that are left.
void AddGateCommand(CLI::App& app, Session& session);

}  // namespace backfire::cli
