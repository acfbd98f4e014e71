#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace backfire::cli {

/// What a generated system is like.
struct GenerateOptions {
  std::string shape = "chain";  ///< chain, fan, layered or random.
  int vertices = 10;
  int64_t seed = 1;    ///< Of the graph's chance, and of the system.
  int replicates = 1;  ///< One is a first look: enough to measure by.
};

/// Writes a system of any size, of models so tiny that what it measures is all the rest: a YAML
/// text that planar-service can host. Its vertex v0 is an ancestor of all others, and the file
/// proposes an update of it. Equal options give equal texts. INVALID_ARGUMENT: an option out of
/// range.
///
/// chain: each vertex feeds the next. fan: v0 feeds all. layered: about as many layers as vertices
/// in each, every vertex fed by up to two of the layer before. random: every vertex fed by up to
/// three earlier ones.
absl::StatusOr<std::string> GenerateSystem(const GenerateOptions& options);

/// Adds --shape, --vertices, --seed and --replicates to a command.
void AddGenerateOptions(CLI::App& command, GenerateOptions& options);

}  // namespace backfire::cli
