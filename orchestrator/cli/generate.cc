#include "orchestrator/cli/generate.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/random.h"

namespace backfire::cli {
namespace {

constexpr int kMaxVertices = 100000;

// Vertices that feed one, all of them earlier.
std::set<int> ParentsOf(const GenerateOptions& options, int vertex, Random& random) {
  if (options.shape == "chain") return {vertex - 1};
  if (options.shape == "fan") return {0};
  std::set<int> parents;
  if (options.shape == "random") {
    const auto count = 1 + random.Below(3);
    for (int64_t i = 0; i < count; ++i) parents.insert(static_cast<int>(random.Below(vertex)));
    return parents;
  }
  // The first layer is v0 alone.
  const int width = std::max(1, static_cast<int>(std::lround(std::sqrt(options.vertices))));
  const int layer = (vertex - 1) / width;
  if (layer == 0) return {0};
  const int before = 1 + (layer - 1) * width;
  for (int i = 0; i < 2; ++i) parents.insert(before + static_cast<int>(random.Below(width)));
  return parents;
}

}  // namespace

absl::StatusOr<std::string> GenerateSystem(const GenerateOptions& options) {
  if (options.shape != "chain" && options.shape != "fan" && options.shape != "layered" &&
      options.shape != "random") {
    return absl::InvalidArgumentError(
        absl::StrCat("--shape must be chain, fan, layered or random: got ", options.shape));
  }
  if (options.vertices < 1 || options.vertices > kMaxVertices) {
    return absl::InvalidArgumentError(
        absl::StrCat("--vertices must be in [1, ", kMaxVertices, "]: got ", options.vertices));
  }
  if (options.seed < 0) {
    return absl::InvalidArgumentError(absl::StrCat("--seed must be >= 0: got ", options.seed));
  }
  std::string text =
      absl::StrCat("# Written by `backfire system generate --shape ", options.shape, " --vertices ",
                   options.vertices, " --seed ", options.seed, "`.\nname: ", options.shape, "-",
                   options.vertices,
                   "\nrequest:\n- {name: point, datatype: FP64, shape: [2]}\noutputs: {position: v",
                   options.vertices - 1, ".position}\n",
                   "dataset: |\n  planar:\n    components:\n"
                   "    - {labels: {class: 0}, gaussian: {mean: [0, 0], deviation: 1}}\n"
                   "    default_target: {loss: position_error}\n"
                   "    train: 20\n    test: 50\n    cells: 2\n    seed: ",
                   options.seed, "\nseed: ", options.seed, "\nreplicates: ", options.replicates,
                   "\nbootstrap: {seed: 1, resample_count: 50}\nvertices:\n");
  Random random(static_cast<uint64_t>(options.seed));
  for (int vertex = 0; vertex < options.vertices; ++vertex) {
    std::vector<std::string> inputs = {"point: request.point"};
    std::string recipe = "{name: position, parameters: {field: [{offset: [0.3, 0.2]}]}}";
    if (vertex > 0) {
      int number = 0;
      for (const int parent : ParentsOf(options, vertex, random)) {
        inputs.push_back(absl::StrCat("in", number++, ": v", parent, ".position"));
      }
      recipe = "{name: least-squares}";
    }
    absl::StrAppend(&text, "- {name: v", vertex, ", inputs: {", absl::StrJoin(inputs, ", "),
                    "}, recipe: ", recipe, ", process: ",
                    vertex == 0 ? "&planar {program: planar-service, arguments: [--system, "
                                  "\"{system_file}\"]}"
                                : "*planar",
                    "}\n");
  }
  absl::StrAppend(&text,
                  "proposals:\n- vertex: v0\n"
                  "  recipe: {name: position, parameters: {field: [{offset: [0.1, 0.1]}]}}\n"
                  "  description: The root is closer to the truth.\n");
  return text;
}

void AddGenerateOptions(CLI::App& command, GenerateOptions& options) {
  command.add_option("--shape", options.shape, "chain, fan, layered or random")
      ->check(CLI::IsMember({"chain", "fan", "layered", "random"}))
      ->capture_default_str();
  command.add_option("--vertices", options.vertices, "How many")
      ->check(CLI::Range(1, kMaxVertices))
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Of the graph and of the system")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--replicates", options.replicates, "K; fewer than 5 decide nothing")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
}

}  // namespace backfire::cli
