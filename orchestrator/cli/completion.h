#pragma once

#include <string>

#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// A script for bash that completes the commands and flags of a program, as its table of commands
/// has them, and file names where neither fits.
std::string BashCompletion(const CLI::App& app);

/// Adds `completion bash`, of the program that `app` is.
void AddCompletionCommand(CLI::App& app, Session& session);

}  // namespace backfire::cli
