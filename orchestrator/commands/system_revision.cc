#include "orchestrator/commands/system_revision.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"

namespace backfire::commands {
namespace {

constexpr int kDefaultReplicates = 5;
constexpr double kDefaultAlpha = 0.05;
constexpr int kDefaultResamples = 1000;
constexpr int64_t kDefaultServiceTimeoutSeconds = 300;

// A replica must take and give what its primary does.
absl::Status CheckReplica(const v1::Model& primary, const absl::StatusOr<v1::Model>& replica) {
  BACKFIRE_RETURN_IF_ERROR(replica.status());
  const auto tensors = [](const v1::Model& model) {
    v1::Model signature;
    *signature.mutable_inputs() = model.inputs();
    *signature.mutable_outputs() = model.outputs();
    return signature;
  };
  if (google::protobuf::util::MessageDifferencer::Equals(tensors(primary), tensors(*replica))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("its inputs or outputs are not those of ", primary.name(), " at the endpoint"));
}

v1::System Experiment(v1::System system) {
  system.clear_outputs();
  system.clear_alpha();
  system.clear_parallel_jobs();
  system.clear_service_timeout();
  system.clear_proposals();
  system.clear_retention();
  for (v1::Vertex& vertex : *system.mutable_vertices()) {
    vertex.clear_endpoint();
    vertex.clear_replicas();
    vertex.clear_process();
    vertex.clear_margins();
    vertex.clear_required_slices();
  }
  std::sort(system.mutable_vertices()->begin(), system.mutable_vertices()->end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
  return system;
}

// Where a vertex is that names no endpoint only `backfire` knows, on the machine of its mesh. Two
// vertices of one model at two places could not both be named in Endpoints.
absl::Status CheckEndpoints(const graph::SystemGraph& graph) {
  std::map<std::string, std::string> by_model;
  for (const std::string& vertex : graph.order()) {
    const auto& node = graph.node(vertex);
    if (node.vertex.endpoint().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("vertices[", vertex,
                       "].endpoint must not be empty: it may be left out only on the "
                       "machine of a mesh that `backfire up` started"));
    }
    const auto [found, added] = by_model.emplace(node.model_name, node.vertex.endpoint());
    if (!added && found->second != node.vertex.endpoint()) {
      return absl::InvalidArgumentError(
          absl::StrCat("vertices[", vertex, "].endpoint: ", node.model_name, " is at ",
                       found->second, " for another vertex: got ", node.vertex.endpoint()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

v1::System WithDefaults(v1::System system) {
  if (system.replicates() == 0) system.set_replicates(kDefaultReplicates);
  if (system.alpha() == 0) system.set_alpha(kDefaultAlpha);
  if (system.bootstrap().resample_count() == 0) {
    system.mutable_bootstrap()->set_resample_count(kDefaultResamples);
  }
  if (system.parallel_jobs() == 0) {
    system.set_parallel_jobs(
        static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency())));
  }
  if (!system.has_service_timeout()) {
    system.mutable_service_timeout()->set_seconds(kDefaultServiceTimeoutSeconds);
  }
  return system;
}

bool SameExperiment(const v1::System& a, const std::map<std::string, v1::Model>& a_models,
                    const v1::System& b, const std::map<std::string, v1::Model>& b_models) {
  using google::protobuf::util::MessageDifferencer;
  if (!MessageDifferencer::Equals(Experiment(a), Experiment(b))) return false;
  return std::all_of(a_models.begin(), a_models.end(), [&](const auto& entry) {
    const auto other = b_models.find(entry.first);
    if (other == b_models.end() || other->second.kind() != entry.second.kind()) return false;
    return std::equal(
        entry.second.losses().begin(), entry.second.losses().end(), other->second.losses().begin(),
        other->second.losses().end(),
        [](const auto& x, const auto& y) { return x.name() == y.name() && x.unit() == y.unit(); });
  });
}

bool SameRules(const v1::System& a, const v1::System& b) {
  const auto rules = [](const v1::System& system) {
    v1::System only;
    only.set_alpha(system.alpha());
    for (const v1::Vertex& vertex : system.vertices()) {
      v1::Vertex& kept = *only.add_vertices();
      kept.set_name(vertex.name());
      *kept.mutable_margins() = vertex.margins();
      *kept.mutable_required_slices() = vertex.required_slices();
    }
    std::sort(only.mutable_vertices()->begin(), only.mutable_vertices()->end(),
              [](const auto& x, const auto& y) { return x.name() < y.name(); });
    return only;
  };
  return google::protobuf::util::MessageDifferencer::Equals(rules(a), rules(b));
}

absl::StatusOr<std::map<std::string, v1::Model>> FetchModels(
    const graph::SystemGraph& graph,
    const std::function<absl::StatusOr<v1::Model>(const std::string& endpoint,
                                                  const std::string& name)>& get_model) {
  BACKFIRE_RETURN_IF_ERROR(CheckEndpoints(graph));
  std::map<std::string, v1::Model> models;
  std::vector<std::string> faults;
  bool unavailable = false;
  for (const std::string& vertex : graph.order()) {
    const auto& node = graph.node(vertex);
    const auto note = [&](const std::string& path, const absl::Status& status) {
      unavailable = unavailable || !(absl::IsNotFound(status) || absl::IsInvalidArgument(status));
      faults.push_back(absl::StrCat("vertices[", vertex, "]", path, ": ", status.message()));
    };
    absl::StatusOr<v1::Model> model = get_model(node.vertex.endpoint(), node.model_name);
    if (!model.ok()) {
      note("", model.status());
      continue;
    }
    for (int i = 0; i < node.vertex.replicas_size(); ++i) {
      const absl::Status fits =
          CheckReplica(*model, get_model(node.vertex.replicas(i), node.model_name));
      if (!fits.ok()) note(absl::StrCat(".replicas[", i, "]"), fits);
    }
    models[vertex] = *std::move(model);
  }
  if (!faults.empty()) {
    const std::string message = absl::StrJoin(faults, "\n");
    return unavailable ? absl::UnavailableError(message) : absl::InvalidArgumentError(message);
  }
  BACKFIRE_RETURN_IF_ERROR(graph::CheckModels(graph, models));
  return models;
}

}  // namespace backfire::commands
