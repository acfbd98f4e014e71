#include <CLI/CLI.hpp>

#include "services/vision/commands.h"

namespace backfire::vision {

void AddEvalCommand(CLI::App& app, CommandContext& context) {
  CLI::App* eval = app.add_subcommand("eval", "Evaluate result files against ground truth.");
  eval->require_subcommand(1);
  AddEvalKittiCommand(*eval, context);
  AddEvalDisparityCommand(*eval, context);
}

}  // namespace backfire::vision
