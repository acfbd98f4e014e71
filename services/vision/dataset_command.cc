// `dataset`: makes, checks and draws datasets.
#include <CLI/CLI.hpp>

#include "services/vision/commands.h"

namespace backfire::vision {

void AddDatasetCommand(CLI::App& app, CommandContext& context) {
  CLI::App* dataset = app.add_subcommand("dataset", "Make, check and draw stereo datasets.");
  dataset->require_subcommand(1);
  AddRenderCommand(*dataset, context);
  AddCheckCommand(*dataset, context);
  AddContactSheetCommand(*dataset, context);
}

}  // namespace backfire::vision
