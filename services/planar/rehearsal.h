#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/graph/system_graph.h"
#include "services/planar/planar_dataset.h"
#include "services/runtime/model.h"

namespace backfire::planar {

/// A planar system in one process, without servers or files: to draw it, and to test it. One
/// thread.
class Rehearsal {
 public:
  /// A trained version. What it says is computed once per split.
  struct Version;
  using Versions = std::map<std::string, std::shared_ptr<Version>>;  // By vertex.

  /// Errors as SystemGraph::Build, PlanarDataset::Open and SpecsOf.
  static absl::StatusOr<std::unique_ptr<Rehearsal>> Make(const v1::System& system);
  ~Rehearsal();

  const graph::SystemGraph& graph() const { return graph_; }
  const PlanarDataset& dataset() const { return *dataset_; }
  const runtime::Model& model(const std::string& vertex) const;

  /// Trains a vertex on the versions that `parents` has of its parents. What was trained is kept:
  /// the same again is the same version.
  absl::StatusOr<std::shared_ptr<Version>> Train(const std::string& vertex,
                                                 const v1::Recipe& recipe, int64_t seed,
                                                 const Versions& parents);
  /// Trains every vertex by its recipe, replicate k of them.
  absl::StatusOr<Versions> TrainAll(int replicate);
  /// `before` with `vertex` trained by another recipe, and its descendants retrained.
  absl::StatusOr<Versions> TrainUpdate(const std::string& vertex, const v1::Recipe& recipe,
                                       int replicate, const Versions& before);

  absl::StatusOr<v1::Evaluation> Evaluate(const std::string& vertex, Version& version,
                                          runtime::Split split);
  /// What a version gives for every example of a split.
  absl::StatusOr<std::shared_ptr<const std::vector<runtime::TensorMap>>> Outputs(
      const std::string& vertex, Version& version, runtime::Split split);
  /// What a version says to these features, given as its inputs have them in a request.
  static absl::StatusOr<runtime::TensorMap> Predict(const Version& version,
                                                    const runtime::TensorMap& inputs);

 private:
  Rehearsal(graph::SystemGraph graph, std::shared_ptr<const PlanarDataset> dataset);
  absl::StatusOr<std::shared_ptr<const std::vector<runtime::TensorMap>>> Inputs(
      const std::string& vertex, Version& version, runtime::Split split);

  const graph::SystemGraph graph_;
  const std::shared_ptr<const PlanarDataset> dataset_;
  std::map<std::string, std::unique_ptr<runtime::Model>> models_;  // By vertex.
  std::map<std::string, std::shared_ptr<Version>> trained_;  // By all that decides what it is.
};

}  // namespace backfire::planar
