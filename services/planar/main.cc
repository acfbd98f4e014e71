// planar-service: hosts the planar models of a system.
#include <CLI/CLI.hpp>

#include "services/base/file.h"
#include "services/base/status.h"
#include "services/planar/planar_model.h"
#include "services/runtime/service_main.h"
#include "services/yaml/yaml_message.h"

namespace backfire::planar {
namespace {

absl::StatusOr<std::vector<std::unique_ptr<runtime::Model>>> MakeModels(const std::string& file) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  v1::System system;
  BACKFIRE_RETURN_IF_ERROR(ParseYaml(text, file, system));
  const absl::StatusOr<std::vector<ModelSpec>> specs = SpecsOf(system);
  if (!specs.ok()) return Annotate(specs.status(), file);
  std::vector<std::unique_ptr<runtime::Model>> models;
  const auto datasets = std::make_shared<DatasetCache>();
  for (const ModelSpec& spec : *specs) models.push_back(MakePlanarModel(spec, datasets));
  return models;
}

}  // namespace
}  // namespace backfire::planar

int main(int argc, char** argv) {
  std::string system_file;
  backfire::runtime::ServiceDescription description;
  description.name = "planar-service";
  description.summary = "Hosts tiny models over points in the plane, those of a system file.";
  description.example = "--system=deploy/systems/planar/chain.yaml";
  description.add_flags = [&system_file](CLI::App& app) {
    app.add_option("--system", system_file, "The system file whose planar vertices it hosts")
        ->required();
  };
  return backfire::runtime::ServiceMain(argc, argv, description,
                                        [&system_file](const backfire::runtime::ServiceOptions&) {
                                          return backfire::planar::MakeModels(system_file);
                                        });
}
