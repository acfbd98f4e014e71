// backfire-planar: `backfire planar draw` draws what a system's proposal does.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "services/base/file.h"
#include "services/base/status.h"
#include "services/planar/figure.h"
#include "services/yaml/yaml_message.h"

namespace backfire::planar {
namespace {

absl::Status Draw(const std::string& file, int proposal, const std::string& out) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  v1::System system;
  BACKFIRE_RETURN_IF_ERROR(ParseYaml(text, file, system));
  const absl::StatusOr<std::string> svg = DrawFigure(system, proposal);
  if (!svg.ok()) return Annotate(svg.status(), file);
  return WriteFileAtomically(out, *svg);
}

}  // namespace
}  // namespace backfire::planar

int main(int argc, char** argv) {
  CLI::App app("Tiny systems over points in the plane", "backfire planar");
  app.require_subcommand(1);
  std::string file, out;
  int proposal = 0;
  CLI::App* draw = app.add_subcommand(
      "draw",
      "Draw what a system's proposal does, as SVG; needs no mesh\n\nExample: backfire planar "
      "draw deploy/systems/planar/figure2.yaml --out figure2.svg");
  draw->add_option("system", file, "The system's YAML file")->required();
  draw->add_option("--out", out, "File to write")->required();
  draw->add_option("--proposal", proposal, "Which of the file's proposals, from 0")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 has exit codes of its own; ours are documented.
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = backfire::planar::Draw(file, proposal, out);
  if (status.ok()) return 0;
  std::cerr << "backfire planar: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? 2 : 5;
}
