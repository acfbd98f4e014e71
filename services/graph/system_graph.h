#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"

namespace backfire::graph {

/// Where an input, or an output of the system, comes from.
struct Source {
  std::string vertex;  ///< Empty: from the request.
  std::string tensor;  ///< Name of the vertex's output, or of the request's tensor.
  bool from_request() const { return vertex.empty(); }
};

/// Reads `request.{name}` or `{vertex}.{output}`. INVALID_ARGUMENT: neither.
absl::StatusOr<Source> ParseSource(const std::string& reference);

/// Where a vertex is served: its endpoint, then its replicas.
std::vector<std::string> ServingEndpoints(const v1::Vertex& vertex);

/// A checked system as a directed acyclic graph of vertices. Immutable; copies are cheap enough.
class SystemGraph {
 public:
  struct Node {
    v1::Vertex vertex;
    std::string model_name;                ///< `models/{model}`.
    std::map<std::string, Source> inputs;  ///< By input of the model.
    std::set<std::string> parents;         ///< Vertices that feed it.
    size_t position = 0;                   ///< In order().
  };

  /// Checks everything that a system says by itself. INVALID_ARGUMENT: names that are malformed,
  /// used twice or unknown, and cycles (spelled out); every fault, a line each, with the field.
  static absl::StatusOr<SystemGraph> Build(const v1::System& system);

  const v1::System& system() const { return system_; }
  /// Vertices, parents before children; ties in alphabetical order.
  const std::vector<std::string>& order() const { return order_; }
  bool Has(const std::string& vertex) const { return nodes_.count(vertex) > 0; }
  /// @param vertex  Must exist.
  const Node& node(const std::string& vertex) const { return nodes_.at(vertex); }
  /// The system's outputs, by name.
  const std::map<std::string, Source>& outputs() const { return outputs_; }
  /// All vertices that these need, themselves included, in order().
  std::vector<std::string> WithAncestors(const std::set<std::string>& vertices) const;
  /// All vertices that need this one, without itself, in order().
  std::vector<std::string> Descendants(const std::string& vertex) const;

 private:
  v1::System system_;
  std::map<std::string, Node> nodes_;
  std::map<std::string, Source> outputs_;
  std::vector<std::string> order_;
};

/// Checks that a model offers a recipe with these parameters; values are the service's to check.
/// INVALID_ARGUMENT: `recipe...`: unknown name or parameter.
absl::Status CheckRecipe(const v1::Model& model, const v1::Recipe& recipe);

/// Whether versions by this recipe can be evaluated, not served (v1.Recipe.unservable).
bool IsUnservable(const v1::Model& model, const v1::Recipe& recipe);

/// Checks a system against its services' models, by vertex: every input fed, every edge between
/// tensors of one datatype and compatible shapes, recipes known and servable, margins known.
/// INVALID_ARGUMENT: every fault, a line each.
absl::Status CheckModels(const SystemGraph& graph, const std::map<std::string, v1::Model>& models);

}  // namespace backfire::graph
