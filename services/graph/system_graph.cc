#include "services/graph/system_graph.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backfire/v1/orchestrator.pb.h"
#include "services/base/status.h"
#include "services/graph/system_fields.h"

namespace backfire::graph {
namespace {

// A path that leads from a vertex back to itself, among vertices that no order could place.
std::string DescribeCycle(const std::map<std::string, SystemGraph::Node>& nodes,
                          const std::set<std::string>& placed) {
  std::string at;
  for (const auto& [name, node] : nodes) {
    if (placed.count(name) == 0) at = name;
  }
  std::vector<std::string> path;
  while (std::find(path.begin(), path.end(), at) == path.end()) {
    path.push_back(at);
    for (const std::string& parent : nodes.at(at).parents) {
      if (placed.count(parent) == 0) at = parent;
    }
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  path.push_back(at);
  std::reverse(path.begin(), path.end());
  return absl::StrJoin(path, " -> ");
}

std::string Describe(const v1::TensorSignature& tensor) {
  return absl::StrCat(tensor.datatype(), " [", absl::StrJoin(tensor.shape(), ", "), "]");
}

bool Compatible(const v1::TensorSignature& from, const v1::TensorSignature& to) {
  if (from.datatype() != to.datatype() || from.shape_size() != to.shape_size()) return false;
  for (int i = 0; i < from.shape_size(); ++i) {
    if (from.shape(i) != -1 && to.shape(i) != -1 && from.shape(i) != to.shape(i)) return false;
  }
  return true;
}

template <typename Signatures>
const v1::TensorSignature* Find(const Signatures& signatures, const std::string& name) {
  for (const v1::TensorSignature& signature : signatures) {
    if (signature.name() == name) return &signature;
  }
  return nullptr;
}

const char* KindOf(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kNumberValue:
      return "number";
    case google::protobuf::Value::kStringValue:
      return "text";
    case google::protobuf::Value::kBoolValue:
      return "truth value";
    case google::protobuf::Value::kListValue:
      return "list";
    case google::protobuf::Value::kStructValue:
      return "map";
    default:
      return "null";
  }
}

template <typename Named>
std::string Names(const Named& named) {
  return absl::StrJoin(named, ", ",
                       [](std::string* out, const auto& one) { out->append(one.name()); });
}

}  // namespace

absl::StatusOr<Source> ParseSource(const std::string& reference) {
  const size_t dot = reference.find('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == reference.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be request.{name} or {vertex}.{output}: got \"", reference, "\""));
  }
  Source source{reference.substr(0, dot), reference.substr(dot + 1)};
  if (source.vertex == kRequest) source.vertex.clear();
  return source;
}

std::vector<std::string> ServingEndpoints(const v1::Vertex& vertex) {
  std::vector<std::string> endpoints = {vertex.endpoint()};
  endpoints.insert(endpoints.end(), vertex.replicas().begin(), vertex.replicas().end());
  return endpoints;
}

absl::StatusOr<SystemGraph> SystemGraph::Build(const v1::System& system) {
  SystemGraph graph;
  graph.system_ = system;
  Faults faults;
  CheckFields(system, faults);
  std::set<std::string> request;
  for (const v1::TensorSignature& tensor : system.request()) {
    if (!request.insert(tensor.name()).second) {
      faults.Add("request: \"", tensor.name(), "\" is there twice");
    }
  }
  for (const v1::Vertex& vertex : system.vertices()) {
    Node node;
    node.vertex = vertex;
    node.model_name =
        absl::StrCat("models/", vertex.model().empty() ? vertex.name() : vertex.model());
    if (!graph.nodes_.emplace(vertex.name(), std::move(node)).second) {
      faults.Add("vertices[", vertex.name(), "] is there twice");
    }
  }
  const auto parse = [&](const std::string& reference, const std::string& path) {
    absl::StatusOr<Source> source = ParseSource(reference);
    if (!source.ok()) {
      faults.Add(path, " ", std::string(source.status().message()));
    } else if (source->from_request() && request.count(source->tensor) == 0) {
      faults.Add(path, ": the request has no tensor \"", source->tensor, "\"; it has ",
                 absl::StrJoin(request, ", "));
    } else if (!source->from_request() && !graph.Has(source->vertex)) {
      faults.Add(path, ": there is no vertex \"", source->vertex, "\"; there are ",
                 Names(system.vertices()));
    } else {
      return *source;
    }
    return Source{};
  };
  for (auto& [name, node] : graph.nodes_) {
    for (const auto& [input, reference] : node.vertex.inputs()) {
      const Source source =
          parse(reference, absl::StrCat("vertices[", name, "].inputs[", input, "]"));
      if (!source.vertex.empty()) node.parents.insert(source.vertex);
      node.inputs[input] = source;
    }
  }
  for (const auto& [name, reference] : system.outputs()) {
    graph.outputs_[name] = parse(reference, absl::StrCat("outputs[", name, "]"));
  }
  if (graph.outputs_.empty()) faults.Add("outputs must not be empty");
  for (int i = 0; i < system.proposals_size(); ++i) {
    const v1::Proposal& proposal = system.proposals(i);
    const std::string path = absl::StrCat("proposals[", i, "]");
    if (!graph.Has(proposal.vertex())) {
      faults.Add(path, ".vertex: there is no vertex \"", proposal.vertex(), "\"; there are ",
                 Names(system.vertices()));
    }
    v1::Verdict::Outcome outcome;
    if (!proposal.expected_verdict().empty() &&
        !v1::Verdict::Outcome_Parse(proposal.expected_verdict(), &outcome)) {
      faults.Add(path, ".expected_verdict must be as a verdict's outcome, SELF_DEFEATING: got \"",
                 proposal.expected_verdict(), "\"");
    }
  }
  BACKFIRE_RETURN_IF_ERROR(faults.status());

  std::set<std::string> placed;
  while (placed.size() < graph.nodes_.size()) {
    const size_t before = placed.size();
    for (auto& [name, node] : graph.nodes_) {
      const bool ready = std::all_of(node.parents.begin(), node.parents.end(),
                                     [&](const auto& parent) { return placed.count(parent) > 0; });
      if (!ready || placed.count(name) > 0) continue;
      placed.insert(name);
      node.position = graph.order_.size();
      graph.order_.push_back(name);
    }
    if (placed.size() == before) {
      return absl::InvalidArgumentError(
          absl::StrCat("vertices: a cycle: ", DescribeCycle(graph.nodes_, placed)));
    }
  }
  return graph;
}

std::vector<std::string> SystemGraph::WithAncestors(const std::set<std::string>& vertices) const {
  std::set<size_t> needed;  // Positions in order().
  std::vector<size_t> waiting;
  const auto need = [&](const std::string& name) {
    const size_t position = node(name).position;
    if (needed.insert(position).second) waiting.push_back(position);
  };
  for (const std::string& name : vertices) need(name);
  while (!waiting.empty()) {
    const std::string& name = order_[waiting.back()];
    waiting.pop_back();
    for (const std::string& parent : node(name).parents) need(parent);
  }
  std::vector<std::string> ordered;
  for (const size_t position : needed) ordered.push_back(order_[position]);
  return ordered;
}

std::vector<std::string> SystemGraph::Descendants(const std::string& vertex) const {
  std::set<std::string> fed = {vertex};
  std::vector<std::string> ordered;
  for (const std::string& name : order_) {
    const auto& parents = node(name).parents;
    if (std::any_of(parents.begin(), parents.end(),
                    [&](const auto& parent) { return fed.count(parent) > 0; })) {
      fed.insert(name);
      ordered.push_back(name);
    }
  }
  return ordered;
}

absl::Status CheckRecipe(const v1::Model& model, const v1::Recipe& recipe) {
  const auto offered = std::find_if(model.recipes().begin(), model.recipes().end(),
                                    [&](const auto& one) { return one.name() == recipe.name(); });
  if (offered == model.recipes().end()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe.name: ", model.name(),
                                                   " has no recipe \"", recipe.name(),
                                                   "\"; it has ", Names(model.recipes())));
  }
  for (const auto& [name, value] : recipe.parameters().fields()) {
    const auto parameter = offered->parameters().fields().find(name);
    if (parameter != offered->parameters().fields().end()) {
      const google::protobuf::Value& usual = parameter->second;
      if (usual.kind_case() == value.kind_case() || usual.has_null_value()) continue;
      return absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", name, " must be a ",
                                                     KindOf(usual), ": got a ", KindOf(value)));
    }
    std::vector<std::string> known;
    for (const auto& [parameter, unused] : offered->parameters().fields()) {
      known.push_back(parameter);
    }
    std::sort(known.begin(), known.end());
    return absl::InvalidArgumentError(absl::StrCat("recipe.parameters.", name, ": ", recipe.name(),
                                                   " has no such parameter; it has ",
                                                   absl::StrJoin(known, ", ")));
  }
  return absl::OkStatus();
}

bool IsUnservable(const v1::Model& model, const v1::Recipe& recipe) {
  return std::any_of(model.recipes().begin(), model.recipes().end(), [&](const auto& one) {
    return one.name() == recipe.name() && one.unservable();
  });
}

absl::Status CheckModels(const SystemGraph& graph, const std::map<std::string, v1::Model>& models) {
  Faults faults;
  // The tensor that a source is, or null after noting why it is none.
  const auto resolve = [&](const Source& source, const std::string& path) {
    const v1::TensorSignature* tensor = nullptr;
    if (source.from_request()) {
      tensor = Find(graph.system().request(), source.tensor);
    } else if (const auto model = models.find(source.vertex); model != models.end()) {
      tensor = Find(model->second.outputs(), source.tensor);
      if (tensor == nullptr) {
        faults.Add(path, ": ", source.vertex, " has no output \"", source.tensor, "\"; it has ",
                   Names(model->second.outputs()));
      }
    }
    return tensor;
  };
  for (const std::string& name : graph.order()) {
    const auto found = models.find(name);
    if (found == models.end()) continue;
    const v1::Model& model = found->second;
    const SystemGraph::Node& node = graph.node(name);
    const std::string path = absl::StrCat("vertices[", name, "]");
    for (const v1::TensorSignature& input : model.inputs()) {
      if (node.inputs.count(input.name()) == 0) {
        faults.Add(path, ".inputs: ", model.name(), " needs \"", input.name(), "\"");
      }
    }
    for (const v1::TensorSignature& input : model.inputs()) {
      CheckSignature(input, absl::StrCat(path, ": input \"", input.name(), "\" of ", model.name()),
                     faults);
    }
    for (const v1::TensorSignature& output : model.outputs()) {
      CheckSignature(
          output, absl::StrCat(path, ": output \"", output.name(), "\" of ", model.name()), faults);
    }
    for (const auto& [input, source] : node.inputs) {
      const std::string input_path = absl::StrCat(path, ".inputs[", input, "]");
      const v1::TensorSignature* to = Find(model.inputs(), input);
      if (to == nullptr) {
        faults.Add(input_path, ": ", model.name(), " has no such input; it has ",
                   Names(model.inputs()));
        continue;
      }
      const v1::TensorSignature* from = resolve(source, input_path);
      if (from != nullptr && !Compatible(*from, *to)) {
        faults.Add(input_path, ": must be ", Describe(*to), ": got ", Describe(*from), " from ",
                   node.vertex.inputs().at(input));
      }
    }
    if (const absl::Status status = CheckRecipe(model, node.vertex.recipe()); !status.ok()) {
      faults.Add(path, ".", std::string(status.message()));
    }
    if (IsUnservable(model, node.vertex.recipe())) {
      faults.Add(path, ".recipe.name: \"", node.vertex.recipe().name(),
                 "\" can be evaluated, not served, and release 1 is to serve; propose it instead");
    }
    const v1::References& references = node.vertex.references();
    const std::pair<const char*, const v1::Recipe*> named[] = {
        {"bayes", references.has_bayes() ? &references.bayes() : nullptr},
        {"optimal", references.has_optimal() ? &references.optimal() : nullptr},
        {"optimal_in_class",
         references.has_optimal_in_class() ? &references.optimal_in_class() : nullptr},
        {"optimal_partner",
         references.has_optimal_partner() ? &references.optimal_partner() : nullptr}};
    for (const auto& [field, recipe] : named) {
      if (recipe == nullptr) continue;
      if (const absl::Status status = CheckRecipe(model, *recipe); !status.ok()) {
        faults.Add(path, ".references.", field, ".", std::string(status.message()));
      }
    }
    for (const auto& entry : node.vertex.margins()) {
      const std::string& loss = entry.first;
      const double margin = entry.second;
      const bool known = std::any_of(model.losses().begin(), model.losses().end(),
                                     [&](const auto& judged) { return judged.name() == loss; });
      if (!known) {
        faults.Add(path, ".margins[", loss, "]: ", model.name(), " has no such loss; it has ",
                   Names(model.losses()));
      } else if (!(margin >= 0)) {
        faults.Add(path, ".margins[", loss, "] must be >= 0: got ", margin);
      }
    }
  }
  for (const auto& [name, source] : graph.outputs()) {
    resolve(source, absl::StrCat("outputs[", name, "]"));
  }
  return faults.status();
}

}  // namespace backfire::graph
