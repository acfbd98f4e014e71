#include "services/base/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/strings/str_cat.h"

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

}  // namespace

std::optional<int> ParseCommandLine(CLI::App& app, int argc, const char* const* argv) {
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
  if (!unknown.empty()) fault = absl::StrCat("unknown argument: ", unknown.front());
  return absl::StrCat(FullName(app), ": ", fault, "; see `", FullName(command), " --help`\n");
}

void AddFormatOption(CLI::App& command, std::string& format) {
  command.add_option("--format", format, "text or table, for people, or json, for programs")
      ->check(CLI::IsMember({"text", "table", "json"}))
      ->capture_default_str();
}

}  // namespace backfire
