#include "services/base/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/suggestion.h"

namespace backfire {
namespace {

// The command that was being given: the deepest one that was named.
const CLI::App* Deepest(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

std::string FullName(const CLI::App* app) {
  const CLI::App* parent = app->get_parent();
  return parent == nullptr ? app->get_name() : absl::StrCat(FullName(parent), " ", app->get_name());
}

// What may stand after a command: flags, and commands of its own.
std::vector<std::string> WordsOf(const CLI::App* command) {
  std::vector<std::string> words;
  for (const CLI::App* own : command->get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(own->get_name());
  }
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

}  // namespace

void AddVersionFlag(CLI::App& app) {
  app.set_version_flag("--version", absl::StrCat(app.get_name(), " ", BACKFIRE_VERSION));
}

std::optional<int> ParseCommandLine(CLI::App& app, int argc, const char* const* argv) {
  AddVersionFlag(app);
  app.failure_message(UsageFault);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 has exit codes of its own; ours are documented.
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

std::string UsageFault(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* command = Deepest(app);
  std::string fault = error.what();
  std::replace(fault.begin(), fault.end(), '\n', ' ');
  const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
  if (!unknown.empty()) {
    const std::string name = unknown.front().substr(0, unknown.front().find('='));
    fault = absl::StrCat("unknown argument: ", unknown.front(), DidYouMean(name, WordsOf(command)));
  }
  return absl::StrCat(FullName(app), ": ", fault, "; see `", FullName(command), " --help`\n");
}

void AddFormatOption(CLI::App& command, std::string& format) {
  command.add_option("--format", format, "text or table, for people, or json, for programs")
      ->check(CLI::IsMember({"text", "table", "json"}))
      ->capture_default_str();
}

}  // namespace backfire
