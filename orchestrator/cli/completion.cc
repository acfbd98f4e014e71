#include "orchestrator/cli/completion.h"

#include <CLI/CLI.hpp>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::cli {
namespace {

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// What may stand next after a command: its commands, then its flags.
std::string WordsOf(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* command : CommandsOf(app)) words.push_back(command->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return absl::StrJoin(words, " ");
}

// A line per command: its path, which begins with a space, and what may stand next.
void AddCases(const CLI::App& app, const std::string& path, std::string& script) {
  absl::StrAppend(&script, "    \"", path, "\") next=\"", WordsOf(app), "\" ;;\n");
  for (const CLI::App* command : CommandsOf(app)) {
    AddCases(*command, absl::StrCat(path, " ", command->get_name()), script);
  }
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  const std::string name = app.get_name();
  std::string script = absl::StrCat("# Completes ", name, " in bash: source <(", name,
                                    " completion bash)\n_", name, "_words() {\n  case \"$1\" in\n");
  AddCases(app, "", script);
  return absl::StrCat(script, R"(    *) return 1 ;;
  esac
}
_)",
                      name, R"(() {
  local path="" word next
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    _)",
                      name, R"(_words "$path $word" && path="$path $word"
  done
  _)",
                      name, R"(_words "$path"
  COMPREPLY=($(compgen -W "$next" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _)",
                      name, " ", name, "\n");
}

void AddCompletionCommand(CLI::App& app, Session& session) {
  CLI::App& topic =
      AddCommand(app, "completion", "Print a script that completes commands and flags");
  topic.require_subcommand(1);
  CLI::App& bash =
      AddCommand(topic, "bash",
                 "Print it for bash\n\nExample: backfire completion bash >> ~/.bash_completion");
  bash.callback([&app, &session] {
    session.action = [&app, &session]() -> absl::StatusOr<ExitCode> {
      *session.out << BashCompletion(app) << std::flush;
      return ExitCode::kOk;
    };
  });
}

}  // namespace backfire::cli
