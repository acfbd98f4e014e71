#include "services/planar/rehearsal.h"

#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/metrics/bootstrap.h"
#include "services/planar/planar_model.h"

namespace backfire::planar {
namespace {

using runtime::Split;
using runtime::TensorMap;
using Tensors = std::vector<TensorMap>;

class Kept : public runtime::Examples {
 public:
  explicit Kept(std::shared_ptr<const Tensors> examples) : examples_(std::move(examples)) {}
  int64_t size() const override { return static_cast<int64_t>(examples_->size()); }
  absl::StatusOr<TensorMap> Get(int64_t example) const override {
    return (*examples_)[static_cast<size_t>(example)];
  }

 private:
  const std::shared_ptr<const Tensors> examples_;
};

class QuietJob : public runtime::JobContext {
 public:
  void Report(const v1::Progress&) override {}
  bool cancelled() const override { return false; }
};

}  // namespace

struct Rehearsal::Version {
  std::unique_ptr<runtime::Predictor> predictor;
  Versions parents;
  std::map<Split, std::shared_ptr<const Tensors>> outputs;
};

Rehearsal::Rehearsal(graph::SystemGraph graph, std::shared_ptr<const PlanarDataset> dataset)
    : graph_(std::move(graph)), dataset_(std::move(dataset)) {}
Rehearsal::~Rehearsal() = default;

absl::StatusOr<std::unique_ptr<Rehearsal>> Rehearsal::Make(const v1::System& system) {
  BACKFIRE_ASSIGN_OR_RETURN(graph::SystemGraph graph, graph::SystemGraph::Build(system));
  BACKFIRE_ASSIGN_OR_RETURN(
      auto dataset, PlanarDataset::Open(system.dataset(), runtime::DatasetAccess::Unlimited()));
  BACKFIRE_ASSIGN_OR_RETURN(const auto specs, SpecsOf(system));
  std::unique_ptr<Rehearsal> made(new Rehearsal(std::move(graph), std::move(dataset)));
  const auto datasets = std::make_shared<DatasetCache>();
  for (const std::string& vertex : made->graph_.order()) {
    const std::string& model = made->graph_.node(vertex).model_name;
    for (const ModelSpec& spec : specs) {
      if ("models/" + spec.name == model) made->models_[vertex] = MakePlanarModel(spec, datasets);
    }
    if (made->models_.count(vertex) == 0) {
      return absl::InvalidArgumentError("vertex " + vertex + " is not hosted by planar-service");
    }
  }
  return made;
}

const runtime::Model& Rehearsal::model(const std::string& vertex) const {
  return *models_.at(vertex);
}

absl::StatusOr<std::shared_ptr<Rehearsal::Version>> Rehearsal::Train(const std::string& vertex,
                                                                     const v1::Recipe& recipe,
                                                                     int64_t seed,
                                                                     const Versions& parents) {
  auto version = std::make_shared<Version>();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe complete, model(vertex).ResolveRecipe(recipe));
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(complete, &json).ok()) {
    return absl::InvalidArgumentError("the recipe has no JSON form");
  }
  std::string identity =
      absl::StrCat(vertex, " ", model(vertex).DependsOnSeed(complete) ? seed : -1, " ", json);
  for (const std::string& parent : graph_.node(vertex).parents) {
    version->parents[parent] = parents.at(parent);
    absl::StrAppend(&identity, " ", reinterpret_cast<uintptr_t>(parents.at(parent).get()));
  }
  std::shared_ptr<Version>& known = trained_[identity];
  if (known != nullptr) return known;
  BACKFIRE_ASSIGN_OR_RETURN(const auto train, Inputs(vertex, *version, Split::kTrain));
  BACKFIRE_ASSIGN_OR_RETURN(const auto population, Inputs(vertex, *version, Split::kPopulation));
  const Kept train_inputs(train), population_inputs(population);
  runtime::TrainingTask task;
  task.recipe = complete;
  task.seed = seed;
  task.dataset = dataset_.get();
  task.train_inputs = &train_inputs;
  task.population_inputs = &population_inputs;
  QuietJob job;
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, model(vertex).Train(task, job));
  BACKFIRE_ASSIGN_OR_RETURN(version->predictor, model(vertex).Load(complete, weights));
  known = version;
  return version;
}

absl::StatusOr<Rehearsal::Versions> Rehearsal::TrainAll(int replicate) {
  Versions versions;
  for (const std::string& vertex : graph_.order()) {
    BACKFIRE_ASSIGN_OR_RETURN(versions[vertex],
                              Train(vertex, graph_.node(vertex).vertex.recipe(),
                                    graph_.system().seed() + replicate, versions));
  }
  return versions;
}

absl::StatusOr<Rehearsal::Versions> Rehearsal::TrainUpdate(const std::string& vertex,
                                                           const v1::Recipe& recipe, int replicate,
                                                           const Versions& before) {
  Versions versions = before;
  const int64_t seed = graph_.system().seed() + replicate;
  BACKFIRE_ASSIGN_OR_RETURN(versions[vertex], Train(vertex, recipe, seed, versions));
  for (const std::string& name : graph_.Descendants(vertex)) {
    BACKFIRE_ASSIGN_OR_RETURN(versions[name],
                              Train(name, graph_.node(name).vertex.recipe(), seed, versions));
  }
  return versions;
}

absl::StatusOr<v1::Evaluation> Rehearsal::Evaluate(const std::string& vertex, Version& version,
                                                   Split split) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto outputs, Outputs(vertex, version, split));
  v1::Bootstrap bootstrap;
  if (split != Split::kPopulation) {
    bootstrap = graph_.system().bootstrap();
    if (!graph_.system().has_bootstrap()) bootstrap.set_resample_count(1000);
  }
  QuietJob job;
  return model(vertex).Evaluate(*dataset_, split, Kept(outputs),
                                metrics::Resampling(bootstrap, Clusters(*dataset_, split)), job);
}

absl::StatusOr<std::shared_ptr<const Tensors>> Rehearsal::Inputs(const std::string& vertex,
                                                                 Version& version, Split split) {
  auto all = std::make_shared<Tensors>();
  for (int64_t i = 0; i < dataset_->size(split); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(all->emplace_back(), dataset_->RequestInputs(split, i, {"point"}));
  }
  for (const auto& [input, source] : graph_.node(vertex).inputs) {
    if (source.from_request()) continue;
    BACKFIRE_ASSIGN_OR_RETURN(const auto outputs,
                              Outputs(source.vertex, *version.parents.at(source.vertex), split));
    for (size_t i = 0; i < all->size(); ++i) {
      BACKFIRE_ASSIGN_OR_RETURN(const runtime::Tensor* tensor,
                                runtime::FindTensor((*outputs)[i], source.tensor));
      (*all)[i][input] = *tensor;
    }
  }
  return std::shared_ptr<const Tensors>(std::move(all));
}

absl::StatusOr<std::shared_ptr<const Tensors>> Rehearsal::Outputs(const std::string& vertex,
                                                                  Version& version, Split split) {
  std::shared_ptr<const Tensors>& kept = version.outputs[split];
  if (kept != nullptr) return kept;
  BACKFIRE_ASSIGN_OR_RETURN(const auto inputs, Inputs(vertex, version, split));
  auto outputs = std::make_shared<Tensors>();
  for (const TensorMap& tensors : *inputs) {
    BACKFIRE_ASSIGN_OR_RETURN(outputs->emplace_back(), Predict(version, tensors));
  }
  kept = std::move(outputs);
  return kept;
}

absl::StatusOr<TensorMap> Rehearsal::Predict(const Version& version, const TensorMap& inputs) {
  return version.predictor->Predict(inputs, [] { return false; });
}

}  // namespace backfire::planar
