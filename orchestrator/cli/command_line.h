#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/cli/exit_code.h"
#include "orchestrator/cli/session.h"

namespace backfire::cli {

/// Runs `backfire` with these arguments, the program's name left out. Complaints go to session.err.
ExitCode RunCommandLine(Session& session, const std::vector<std::string>& arguments);

/// The program for a command that is not built in, as git does it: `backfire-NAME` beside
/// `backfire`. Empty if the first argument is a flag or a built-in command, or there is no such
/// program.
std::optional<std::filesystem::path> ExternalCommand(const std::filesystem::path& program_directory,
                                                     const std::vector<std::string>& arguments);

/// Where state is kept by default: `$XDG_STATE_HOME/backfire`, `$HOME/.local/state/backfire`, or
/// `.backfire` where neither is known.
/// @param xdg_state_home, home  Those variables; null if unset.
std::filesystem::path DefaultDataDirectory(const char* xdg_state_home, const char* home);

}  // namespace backfire::cli
