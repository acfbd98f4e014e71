#include "orchestrator/cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/gate_options.h"

namespace backfire::cli {
namespace {

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

using PassedOn = std::map<std::string, const CLI::App*>;

void AddFlags(const CLI::App& app, std::vector<std::string>& words) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      const std::string word = "--" + name;
      if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
  }
}

// A line per command: its path, which begins with a space, and what may stand next: its commands,
// then its flags.
void AddCases(const CLI::App& app, const std::string& path, const PassedOn& passed_on,
              std::string& script) {
  std::vector<std::string> words;
  for (const CLI::App* command : CommandsOf(app)) words.push_back(command->get_name());
  AddFlags(app, words);
  if (const auto program = passed_on.find(path); program != passed_on.end()) {
    AddFlags(*program->second, words);
  }
  absl::StrAppend(&script, "    \"", path, "\") next=\"", absl::StrJoin(words, " "), "\" ;;\n");
  for (const CLI::App* command : CommandsOf(app)) {
    AddCases(*command, absl::StrCat(path, " ", command->get_name()), passed_on, script);
  }
}

}  // namespace

std::string BashCompletion(const CLI::App& app, const PassedOn& passed_on) {
  const std::string name = app.get_name();
  std::string script = absl::StrCat("# Completes ", name, " in bash: source <(", name,
                                    " completion bash)\n_", name, "_words() {\n  case \"$1\" in\n");
  AddCases(app, "", passed_on, script);
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
      gate::GateOptions options;
      CLI::App gate;
      gate::AddGateOptions(gate, options);
      *session.out << BashCompletion(app, {{" gate", &gate}}) << std::flush;
      return ExitCode::kOk;
    };
  });
}

}  // namespace backfire::cli
