#include "orchestrator/system/system_file.h"

#include "services/base/file.h"
#include "services/base/status.h"
#include "services/graph/system_graph.h"
#include "services/yaml/yaml_message.h"

namespace backfire::system {

absl::StatusOr<v1::System> ParseSystem(const std::string& text, const std::string& name) {
  v1::System system;
  BACKFIRE_RETURN_IF_ERROR(ParseYaml(text, name, system));
  if (const auto graph = graph::SystemGraph::Build(system); !graph.ok()) {
    return LocateFaults(graph.status(), text, name);
  }
  return system;
}

absl::StatusOr<v1::System> LoadSystemFile(const std::string& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParseSystem(text, path);
}

absl::Status LocateInFile(const absl::Status& faults, const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? LocateFaults(faults, *text, path) : Annotate(faults, path);
}

}  // namespace backfire::system
