#pragma once

#include <map>
#include <string>

#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// A script for bash that completes the commands and flags of a program, as its table of commands
/// has them, and file names where neither fits.
/// @param passed_on  By a command's path, as " gate": the program that gets the flags that it does
/// not know itself.
std::string BashCompletion(const CLI::App& app,
                           const std::map<std::string, const CLI::App*>& passed_on);

/// Adds `completion bash`, of the program that `app` is.
void AddCompletionCommand(CLI::App& app, Session& session);

}  // namespace backfire::cli
