#pragma once

#include <optional>
#include <string>

namespace CLI {
class App;
class Error;
}  // namespace CLI

namespace backfire {

/// Adds --version: `orchestrator 1.0.0`.
void AddVersionFlag(CLI::App& app);

/// Parses a program's arguments into the variables that `app` names. nullopt: go on. Otherwise the
/// program's exit code: 0, --help or --version was given and is printed; 2, one line on standard
/// error says what is wrong (UsageFault).
std::optional<int> ParseCommandLine(CLI::App& app, int argc, const char* const* argv);

/// One line for arguments that can't be understood: what is wrong, and where help is. An argument
/// that nobody knows is named even where a required one is missing too, with what may have been
/// meant. For CLI::App::failure_message.
std::string UsageFault(const CLI::App* app, const CLI::Error& error);

/// Adds --format: `text`, `table` (the same), or `json`. All programs that print results have it.
void AddFormatOption(CLI::App& command, std::string& format);

}  // namespace backfire
