#include "services/planar/planar_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/metrics/bootstrap.h"
#include "services/planar/parameters.h"
#include "services/runtime/for_each_example.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

using runtime::Datatype;
using runtime::MakeTensor;
using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

constexpr char kPoint[] = "point";
constexpr char kProgram[] = "planar-service";

Kind::Gives GivenBy(const Target& target) {
  return target.loss() == "position_error" ? Kind::Gives::kPosition : Kind::Gives::kLabel;
}

void AddSignature(google::protobuf::RepeatedPtrField<v1::TensorSignature>& list,
                  const std::string& name, int size, const std::string& description) {
  v1::TensorSignature& signature = *list.Add();
  signature.set_name(name);
  signature.set_datatype("FP64");
  signature.add_shape(size);
  signature.set_description(description);
}

Tensor ToTensor(std::initializer_list<double> numbers) {
  Tensor tensor = MakeTensor(Datatype::kFp64, {static_cast<int64_t>(numbers.size())});
  std::copy(numbers.begin(), numbers.end(), tensor.MutableAs<double>());
  return tensor;
}

absl::StatusOr<std::vector<double>> ReadTensor(const TensorMap& tensors, const std::string& name,
                                               int size) {
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor* tensor, runtime::FindTensor(tensors, name));
  if (tensor->datatype != Datatype::kFp64 || tensor->ElementCount() != size) {
    return absl::InvalidArgumentError(
        absl::StrCat("input \"", name, "\" must be FP64 [", size, "]"));
  }
  const double* numbers = tensor->As<double>();
  for (int i = 0; i < size; ++i) {
    if (std::isfinite(numbers[i])) continue;
    return absl::InvalidArgumentError(absl::StrCat("input \"", name, "\" must be finite"));
  }
  return std::vector<double>(numbers, numbers + size);
}

// What a rule looks at, from what a request carries.
absl::StatusOr<std::vector<double>> ReadFeatures(const ModelSpec& spec, const TensorMap& tensors,
                                                 Position point) {
  if (spec.inputs.empty()) return std::vector<double>{point.x, point.y};
  std::vector<double> features;
  for (const auto& [name, size] : spec.inputs) {
    BACKFIRE_ASSIGN_OR_RETURN(const auto numbers, ReadTensor(tensors, name, size));
    features.insert(features.end(), numbers.begin(), numbers.end());
  }
  return features;
}

class PlanarPredictor : public runtime::Predictor {
 public:
  PlanarPredictor(ModelSpec spec, std::unique_ptr<const Rule> rule)
      : spec_(std::move(spec)), rule_(std::move(rule)) {}
  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>&) const override {
    Input input;
    BACKFIRE_ASSIGN_OR_RETURN(const auto point, ReadTensor(inputs, kPoint, 2));
    input.point = {point[0], point[1]};
    BACKFIRE_ASSIGN_OR_RETURN(input.features, ReadFeatures(spec_, inputs, input.point));
    const Output output = rule_->Apply(input);
    TensorMap outputs;
    if (GivenBy(spec_.target) == Kind::Gives::kPosition) {
      outputs["position"] = ToTensor({output.position.x, output.position.y});
    } else {
      outputs["label"] = ToTensor({output.score > 0 ? 1.0 : 0.0});
      outputs["score"] = ToTensor({output.score});
    }
    return outputs;
  }

 private:
  const ModelSpec spec_;
  const std::unique_ptr<const Rule> rule_;
};

// Which of `count` examples a recipe learns from.
std::vector<size_t> ChooseExamples(size_t count, int64_t training_size, const std::string& resample,
                                   int64_t seed) {
  const size_t size = training_size == 0 ? count : static_cast<size_t>(training_size);
  std::vector<size_t> chosen(count);
  std::iota(chosen.begin(), chosen.end(), size_t{0});
  Random random(static_cast<uint64_t>(seed), /*stream=*/5);
  if (resample == "bootstrap") {
    std::vector<size_t> drawn;
    for (size_t i = 0; i < size; ++i) {
      drawn.push_back(static_cast<size_t>(random.Below(static_cast<int64_t>(count))));
    }
    return drawn;
  }
  if (resample == "fresh") {
    for (size_t i = 0; i < size; ++i) {
      const auto rest = static_cast<int64_t>(count - i);
      std::swap(chosen[i], chosen[i + static_cast<size_t>(random.Below(rest))]);
    }
  }
  chosen.resize(size);
  return chosen;
}

class PlanarModel : public runtime::Model {
 public:
  PlanarModel(const ModelSpec& spec, std::shared_ptr<DatasetCache> datasets)
      : spec_(spec), datasets_(std::move(datasets)) {
    const bool gives_position = GivenBy(spec.target) == Kind::Gives::kPosition;
    description_.set_name(absl::StrCat("models/", spec.name));
    description_.set_kind(v1::Model::MODEL);
    description_.set_description(gives_position ? "Says where points of the plane are."
                                                : "Labels points of the plane 0 or 1.");
    AddSignature(*description_.mutable_inputs(), kPoint, 2, "where the example is: [x, y]");
    for (const auto& [name, size] : spec.inputs) {
      AddSignature(*description_.mutable_inputs(), name, size,
                   size == 2 ? "a position: [x, y]" : "a label or a score");
    }
    if (gives_position) {
      AddSignature(*description_.mutable_outputs(), "position", 2, "[x, y]");
    } else {
      AddSignature(*description_.mutable_outputs(), "label", 1, "0 or 1");
      AddSignature(*description_.mutable_outputs(), "score", 1, "> 0 for label 1");
    }
    for (const Kind* kind : Kinds()) {
      if (kind->gives() == GivenBy(spec.target)) *description_.add_recipes() = kind->defaults();
    }
    v1::JudgedLoss& loss = *description_.add_losses();
    loss.set_name(gives_position ? "position_error" : "class_error");
    loss.set_unit("1");
    loss.set_maximum(gives_position ? std::numeric_limits<double>::infinity()
                                    : std::max({1.0, spec.target.false_positive_cost(),
                                                spec.target.false_negative_cost()}));
    loss.set_description(gives_position ? "mean distance from where the point is"
                                        : "share of wrong labels, times what each costs");
  }

  const v1::Model& description() const override { return description_; }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    BACKFIRE_ASSIGN_OR_RETURN(v1::Recipe complete, runtime::CompleteRecipe(description_, recipe));
    if (complete.parameters().fields().count("training_size") > 0) {
      runtime::ParameterReader parameters(complete);
      parameters.Integer("training_size");
      BACKFIRE_RETURN_IF_ERROR(parameters.status());
    }
    BACKFIRE_RETURN_IF_ERROR(FindKind(complete.name())->Check(complete));
    return complete;
  }

  bool DependsOnSeed(const v1::Recipe& recipe) const override {
    return FindKind(recipe.name())->random() || SamplesBySeed(recipe);
  }

  std::vector<std::string> TrainingInputs(const v1::Recipe&) const override {
    std::vector<std::string> names;
    for (const auto& [name, size] : spec_.inputs) names.push_back(name);
    return names;
  }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri, const runtime::DatasetAccess& access) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto dataset, datasets_->Open(uri, access));
    return std::shared_ptr<const runtime::Dataset>(dataset);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const PlanarDataset&>(*task.dataset);
    BACKFIRE_ASSIGN_OR_RETURN(const Judge judge, Judge::Make(dataset, spec_.target));
    Lesson lesson;
    lesson.recipe = task.recipe;
    lesson.seed = task.seed;
    lesson.inputs = spec_.inputs;
    lesson.observed = [&] { return Observe(task, dataset, judge); };
    lesson.population = [&]() -> absl::StatusOr<std::vector<Example>> {
      std::vector<Example> nodes;
      for (size_t i = 0; i < judge.node_costs().size(); ++i) {
        BACKFIRE_ASSIGN_OR_RETURN(
            Input input, ReadInput(dataset.population().nodes()[i], *task.population_inputs, i));
        nodes.push_back({std::move(input), judge.node_costs()[i]});
      }
      return nodes;
    };
    lesson.true_cost = [&](const std::vector<double>& scores) {
      return judge.TrueCostValue(scores);
    };
    lesson.cancelled = [&job] { return job.cancelled(); };
    return FindKind(task.recipe.name())->Train(lesson);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    size_t features = spec_.inputs.empty() ? 2 : 0;  // See ReadFeatures.
    for (const auto& [name, size] : spec_.inputs) features += static_cast<size_t>(size);
    BACKFIRE_ASSIGN_OR_RETURN(auto rule, FindKind(recipe.name())->Load(recipe, weights, features));
    return std::make_unique<PlanarPredictor>(spec_, std::move(rule));
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& any, Split split,
                                          const runtime::Examples& outputs,
                                          const metrics::Resampling& resampling,
                                          runtime::JobContext& job) const override {
    const auto& dataset = static_cast<const PlanarDataset&>(any);
    BACKFIRE_ASSIGN_OR_RETURN(const Judge judge, Judge::Make(dataset, spec_.target));
    const bool gives_position = GivenBy(spec_.target) == Kind::Gives::kPosition;
    const std::string& loss = description_.losses(0).name();
    const bool whole = split == Split::kPopulation;
    std::vector<double> scores, numerators, denominators;  // Or distances, for scores.
    const auto read = [&](int64_t i) -> absl::Status {
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(i));
      const auto at = static_cast<size_t>(i);
      const Position truth =
          whole ? dataset.population().nodes()[at] : dataset.examples(split)[at].point;
      if (gives_position) {
        BACKFIRE_ASSIGN_OR_RETURN(const auto position, ReadTensor(tensors, "position", 2));
        scores.push_back(Distance({position[0], position[1]}, truth));
      } else {
        BACKFIRE_ASSIGN_OR_RETURN(const auto score, ReadTensor(tensors, "score", 1));
        scores.push_back(score[0]);
      }
      if (whole) return absl::OkStatus();
      const PointCost cost = judge.CostOf(dataset.examples(split)[at]);
      denominators.push_back(cost.count);
      const double each = gives_position      ? scores.back()
                          : scores.back() > 0 ? cost.if_1
                                              : cost.if_0;
      numerators.push_back(cost.count * each);
      return absl::OkStatus();
    };
    BACKFIRE_RETURN_IF_ERROR(
        runtime::ForEachExample(outputs.size(), "computing losses", job, read));
    v1::Evaluation evaluation;
    if (whole) {
      const Integral integral =
          gives_position ? judge.TrueDistance(scores) : judge.TrueCost(scores);
      v1::LossEstimate& estimate = *evaluation.add_losses();
      estimate.set_loss(loss);
      estimate.set_judged(true);
      estimate.set_value(integral.value);
      estimate.set_numerical_error(integral.error);
      return evaluation;
    }
    metrics::AddRatioLoss(numerators, denominators, resampling, loss, /*slice=*/"", /*judged=*/true,
                          evaluation);
    return evaluation;
  }

 private:
  absl::StatusOr<Input> ReadInput(Position point, const runtime::Examples& fed, size_t i) const {
    Input input;
    input.point = point;
    TensorMap tensors;
    if (!spec_.inputs.empty()) {
      BACKFIRE_ASSIGN_OR_RETURN(tensors, fed.Get(static_cast<int64_t>(i)));
    }
    BACKFIRE_ASSIGN_OR_RETURN(input.features, ReadFeatures(spec_, tensors, point));
    return input;
  }

  absl::StatusOr<std::vector<Example>> Observe(const runtime::TrainingTask& task,
                                               const PlanarDataset& dataset,
                                               const Judge& judge) const {
    const auto& pool = dataset.examples(Split::kTrain);
    BACKFIRE_ASSIGN_OR_RETURN(const auto chosen,
                              TrainingExamples(dataset, spec_.target, task.recipe, task.seed));
    runtime::ParameterReader parameters(task.recipe);
    const double noise = parameters.Number("label_noise", 0, 0.5);
    std::vector<Example> examples;
    Random flips(static_cast<uint64_t>(task.seed), /*stream=*/7);
    for (const size_t i : chosen) {
      Example& example = examples.emplace_back();
      BACKFIRE_ASSIGN_OR_RETURN(example.input, ReadInput(pool[i].point, *task.train_inputs, i));
      PlanarDataset::Example observed = pool[i];
      if (flips.Uniform() < noise) {
        for (int8_t& label : observed.labels) {
          if (label >= 0) label = static_cast<int8_t>(1 - label);
        }
      }
      example.cost = judge.CostOf(observed);
      example.cost.if_0 *= example.cost.count;
      example.cost.if_1 *= example.cost.count;
    }
    return examples;
  }

  const ModelSpec spec_;
  const std::shared_ptr<DatasetCache> datasets_;
  v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakePlanarModel(const ModelSpec& spec,
                                                std::shared_ptr<DatasetCache> datasets) {
  return std::make_unique<PlanarModel>(spec, std::move(datasets));
}

absl::StatusOr<std::vector<size_t>> TrainingExamples(const PlanarDataset& dataset,
                                                     const Target& target, const v1::Recipe& recipe,
                                                     int64_t seed) {
  BACKFIRE_ASSIGN_OR_RETURN(const Judge judge, Judge::Make(dataset, target));
  const auto& pool = dataset.examples(Split::kTrain);
  std::vector<size_t> counted;
  for (size_t i = 0; i < pool.size(); ++i) {
    if (judge.CostOf(pool[i]).count > 0) counted.push_back(i);
  }
  runtime::ParameterReader parameters(recipe);
  const int64_t size = parameters.Integer("training_size", 0, 1000000);
  const std::string resample = parameters.Text("resample");
  if (counted.empty() || (resample != "bootstrap" && size > static_cast<int64_t>(counted.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(ParameterPath("training_size"),
                                                   " must be at most what split train has, ",
                                                   counted.size(), ": got ", size));
  }
  std::vector<size_t> chosen;
  for (const size_t k : ChooseExamples(counted.size(), size, resample, seed)) {
    chosen.push_back(counted[k]);
  }
  return chosen;
}

absl::StatusOr<std::vector<ModelSpec>> SpecsOf(const v1::System& system) {
  BACKFIRE_ASSIGN_OR_RETURN(const Data data, ParseData(system.dataset()));
  std::vector<ModelSpec> specs;
  std::map<std::string, std::pair<std::string, ModelSpec>> known;  // By model: of which vertex.
  for (const v1::Vertex& vertex : system.vertices()) {
    const std::string& program = vertex.process().program();
    if (vertex.has_process() && program != kProgram &&
        !absl::EndsWith(program, absl::StrCat("/", kProgram))) {
      continue;
    }
    ModelSpec spec;
    spec.name = vertex.model().empty() ? vertex.name() : vertex.model();
    const std::map<std::string, std::string> inputs(vertex.inputs().begin(), vertex.inputs().end());
    for (const auto& [name, source] : inputs) {
      if (name == kPoint) continue;
      const std::string tensor = source.substr(source.find('.') + 1);
      int size = 0;
      if (tensor == "label" || tensor == "score") size = 1;
      if (tensor == "position" || source == "request.point") size = 2;
      if (size == 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("vertices[", vertex.name(), "].inputs[", name,
                         "] must be a position, a label or a score: got ", source));
      }
      spec.inputs.emplace_back(name, size);
    }
    const auto target = data.targets().find(spec.name);
    spec.target = target == data.targets().end() ? data.default_target() : target->second;
    const auto [other, is_new] = known.emplace(spec.name, std::pair{vertex.name(), spec});
    if (is_new) {
      specs.push_back(spec);
    } else if (other->second.second.inputs != spec.inputs) {
      return absl::InvalidArgumentError(absl::StrCat("vertices[", vertex.name(), "].inputs: model ",
                                                     spec.name, " has other inputs in vertex ",
                                                     other->second.first));
    }
  }
  if (!specs.empty()) return specs;
  return absl::InvalidArgumentError("no vertex of the system is hosted by planar-service");
}

}  // namespace backfire::planar
