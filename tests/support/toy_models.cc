#include "tests/support/toy_models.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/digest.h"
#include "services/base/mutex.h"
#include "services/base/random.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"
#include "services/metrics/bootstrap.h"
#include "services/runtime/recipe.h"

namespace backfire::testing {
namespace {

using runtime::Datatype;
using runtime::MakeTensor;
using runtime::Split;
using runtime::Tensor;
using runtime::TensorMap;

double X(Split split, int64_t example) {
  return Random(static_cast<uint64_t>(split), static_cast<uint64_t>(example)).Uniform();
}

Tensor Scalar(double value) {
  Tensor tensor = MakeTensor(Datatype::kFp64, {1});
  *tensor.MutableAs<double>() = value;
  return tensor;
}

class ToyDataset : public runtime::Dataset {
 public:
  ToyDataset(std::string uri, int64_t size, int64_t per_cluster)
      : uri_(std::move(uri)),
        digest_(Sha256Hex(absl::StrCat("toy ", size, "/", per_cluster))),
        size_(size),
        per_cluster_(per_cluster) {}
  const std::string& uri() const override { return uri_; }
  const std::string& digest() const override { return digest_; }
  int64_t size(Split) const override { return size_; }
  std::string ExampleId(Split, int64_t example) const override {
    return absl::StrFormat("%06d", example);
  }
  std::string Cluster(Split, int64_t example) const override {
    return per_cluster_ == 0 ? "" : absl::StrCat("drive-", example / per_cluster_);
  }
  absl::StatusOr<TensorMap> RequestInputs(Split split, int64_t example,
                                          const std::vector<std::string>& names) const override {
    TensorMap inputs;
    for (const std::string& name : names) {
      if (name != "x") {
        return absl::InvalidArgumentError(absl::StrCat("toy dataset has no tensor \"", name, "\""));
      }
      inputs["x"] = Scalar(X(split, example));
    }
    return inputs;
  }

 private:
  const std::string uri_;
  const std::string digest_;
  const int64_t size_;
  const int64_t per_cluster_;
};

class ToyPredictor : public runtime::Predictor {
 public:
  ToyPredictor(std::string input, double slope) : input_(std::move(input)), slope_(slope) {}
  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs,
                                    const std::function<bool()>&) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Tensor* x, runtime::FindTensor(inputs, input_));
    if (!std::isfinite(*x->As<double>())) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", input_, "\" must be finite"));
    }
    TensorMap outputs;
    outputs["y"] = Scalar(slope_ * *x->As<double>());
    return outputs;
  }
  // So that a service with --batch gathers its requests.
  bool HasBatches() const override { return true; }

 private:
  const std::string input_;
  const double slope_;
};

// Lasts for so long, and says so every tenth of a second.
absl::Status Work(double seconds, runtime::JobContext& job) {
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  const auto start = std::chrono::steady_clock::now();
  const auto tenths = static_cast<int64_t>(seconds * 10);
  for (int64_t tenth = 1; tenth <= tenths; ++tenth) {
    while (never.WaitUntil(mutex, start + std::chrono::milliseconds(100 * tenth))) {
    }
    if (job.cancelled()) return absl::CancelledError("cancelled while training");
    v1::Progress progress;
    progress.set_stage("working");
    progress.set_step(tenth);
    progress.set_total_steps(tenths);
    job.Report(progress);
  }
  return absl::OkStatus();
}

class ToyModel : public runtime::Model {
 public:
  ToyModel(const std::string& name, const std::string& input) : input_(input) {
    description_.set_name(absl::StrCat("models/", name));
    description_.set_kind(v1::Model::MODEL);
    description_.set_description("Multiplies its input by a slope.");
    auto* in = description_.add_inputs();
    in->set_name(input);
    in->set_datatype("FP64");
    in->add_shape(1);
    auto* out = description_.add_outputs();
    out->set_name("y");
    out->set_datatype("FP64");
    out->add_shape(1);
    v1::Recipe* recipe = description_.add_recipes();
    recipe->set_name("least-squares");
    runtime::SetParameter(*recipe, "offset", 0);
    runtime::SetParameter(*recipe, "seconds_of_work", 0);
    runtime::SetParameter(*recipe, "fail", 0);
    runtime::SetParameter(*recipe, runtime::kInitializeFrom, "");
    v1::Recipe* truth = description_.add_recipes();
    truth->set_name("truth");
    truth->set_unservable(true);
    auto* loss = description_.add_losses();
    loss->set_name("mae");
    loss->set_unit("1");
    loss->set_maximum(std::numeric_limits<double>::infinity());
  }

  const v1::Model& description() const override { return description_; }

  absl::StatusOr<v1::Recipe> ResolveRecipe(const v1::Recipe& recipe) const override {
    return runtime::CompleteRecipe(description_, recipe);
  }

  std::vector<std::string> TrainingInputs(const v1::Recipe&) const override { return {input_}; }

  absl::StatusOr<std::shared_ptr<const runtime::Dataset>> OpenDataset(
      const std::string& uri, const runtime::DatasetAccess& access) const override {
    // A source that never ends.
    while (uri == "toy:endless") BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
    int64_t size = 0, per_cluster = 1;
    absl::string_view rest = uri;
    const bool is_toy = absl::ConsumePrefix(&rest, "toy:");
    std::string content;
    if (absl::ConsumePrefix(&rest, "@")) {
      const std::string path(rest);
      BACKFIRE_RETURN_IF_ERROR(access.roots.Check(path));
      BACKFIRE_ASSIGN_OR_RETURN(content, ReadRegularFile(path));
      rest = content;
    }
    const std::vector<absl::string_view> parts = absl::StrSplit(rest, absl::MaxSplits('/', 1));
    if (!is_toy || !absl::SimpleAtoi(parts[0], &size) || size < 1 ||
        (parts.size() > 1 && (!absl::SimpleAtoi(parts[1], &per_cluster) || per_cluster < 0))) {
      return absl::InvalidArgumentError(
          absl::StrCat("dataset.uri must be toy:N or toy:N/C: got ", uri));
    }
    return std::make_shared<const ToyDataset>(uri, size, per_cluster);
  }

  absl::StatusOr<std::string> Train(const runtime::TrainingTask& task,
                                    runtime::JobContext& job) const override {
    if (task.recipe.name() == "truth") return "";
    runtime::ParameterReader parameters(task.recipe);
    const double offset = parameters.Number("offset", -1e6, 1e6);
    const double seconds = parameters.Number("seconds_of_work", 0, 600);
    const bool fail = parameters.Integer("fail", 0, 1) == 1;
    BACKFIRE_RETURN_IF_ERROR(parameters.status());
    if (fail) return absl::InternalError("the recipe asked to fail");
    BACKFIRE_RETURN_IF_ERROR(Work(seconds, job));
    double xy = 0, xx = 0;
    for (int64_t i = 0; i < task.dataset->size(Split::kTrain); ++i) {
      const double truth = 2 * X(Split::kTrain, i);
      double x = truth / 2;
      if (input_ != "x") {
        BACKFIRE_ASSIGN_OR_RETURN(const TensorMap inputs, task.train_inputs->Get(i));
        BACKFIRE_ASSIGN_OR_RETURN(const Tensor* tensor, runtime::FindTensor(inputs, input_));
        x = *tensor->As<double>();
      }
      xy += x * truth;
      xx += x * x;
      v1::Progress progress;
      progress.set_stage("training");
      progress.set_step(i + 1);
      progress.set_total_steps(task.dataset->size(Split::kTrain));
      job.Report(progress);
    }
    const double noise = 1e-3 * Random(static_cast<uint64_t>(task.seed), 7).Normal();
    double slope = xy / xx;
    // Half the way from where it starts.
    double start = 0;
    if (task.initial_weights != nullptr && absl::SimpleAtod(*task.initial_weights, &start)) {
      slope = (slope + start) / 2;
    }
    return absl::StrFormat("%.17g", slope + offset + noise);
  }

  absl::StatusOr<std::unique_ptr<runtime::Predictor>> Load(
      const v1::Recipe& recipe, const std::string& weights) const override {
    // As models do whose networks are built by their recipes.
    runtime::ParameterReader parameters(recipe);
    if (recipe.name() == "least-squares") parameters.Number("offset", -1e6, 1e6);
    BACKFIRE_RETURN_IF_ERROR(parameters.status());
    double slope = 0;
    if (!absl::SimpleAtod(weights, &slope)) {
      return absl::DataLossError("weights are not a number");
    }
    return std::make_unique<ToyPredictor>(input_, slope);
  }

  absl::StatusOr<std::string> PretrainedFile(std::string_view name) const override {
    if (name == "steep") return "10";
    if (name == "damaged") return "no number";
    return absl::NotFoundError("there are steep and damaged");
  }

  bool DependsOnSeed(const v1::Recipe& recipe) const override { return recipe.name() != "truth"; }

  absl::StatusOr<TensorMap> PredictFromDataset(const v1::Recipe&, const std::string&,
                                               const runtime::Dataset&, Split split,
                                               int64_t example) const override {
    TensorMap outputs;
    outputs["y"] = Scalar(2 * X(split, example));
    return outputs;
  }

  absl::StatusOr<v1::Evaluation> Evaluate(const runtime::Dataset& dataset, Split split,
                                          const runtime::Examples& outputs,
                                          const metrics::Resampling& resampling,
                                          runtime::JobContext&) const override {
    const int64_t n = dataset.size(split);
    std::vector<double> errors;
    for (int64_t i = 0; i < n; ++i) {
      BACKFIRE_ASSIGN_OR_RETURN(const TensorMap tensors, outputs.Get(i));
      BACKFIRE_ASSIGN_OR_RETURN(const Tensor* y, runtime::FindTensor(tensors, "y"));
      errors.push_back(std::abs(*y->As<double>() - 2 * X(split, i)));
    }
    v1::Evaluation evaluation;
    metrics::AddRatioLoss(errors, std::vector<double>(errors.size(), 1), resampling, "mae",
                          /*slice=*/"", /*judged=*/true, evaluation);
    return evaluation;
  }

 private:
  const std::string input_;
  v1::Model description_;
};

}  // namespace

std::unique_ptr<runtime::Model> MakeToyModel(const std::string& name, const std::string& input) {
  return std::make_unique<ToyModel>(name, input);
}

}  // namespace backfire::testing
