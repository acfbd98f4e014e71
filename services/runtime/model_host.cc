#include "services/runtime/model_host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/crash_point.h"
#include "services/base/digest.h"
#include "services/base/exceptions.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/runtime/joined_examples.h"
#include "services/runtime/limited_predictor.h"
#include "services/runtime/parent_outputs.h"
#include "services/runtime/predict_in_order.h"
#include "services/runtime/recipe.h"

namespace backfire::runtime {
namespace {

constexpr char kLoadedFile[] = "loaded";

v1::Progress Stage(const std::string& stage, int64_t step = 0, int64_t total_steps = 0) {
  v1::Progress progress;
  progress.set_stage(stage);
  progress.set_step(step);
  progress.set_total_steps(total_steps);
  return progress;
}

bool IsDigest(const std::string& digest) {
  return digest.size() == 64 && std::all_of(digest.begin(), digest.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) && !absl::ascii_isupper(c);
         });
}

// Outputs on other parents than the lineage's are other outputs, and must never be mixed up.
std::string OutputIdentity(const v1::Version& version,
                           const std::vector<v1::Parent>& swapped_parents) {
  if (swapped_parents.empty()) return version.digest();
  std::vector<v1::Parent> sorted = swapped_parents;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.input() < b.input(); });
  Sha256 digest;
  digest.UpdateField("swapped").UpdateField(version.digest());
  for (const v1::Parent& parent : sorted) {
    digest.UpdateField(parent.input()).UpdateField(parent.output()).UpdateField(parent.digest());
  }
  return digest.Finish();
}

void SetTally(const OutputTally& tally, v1::Job& result) {
  result.set_saved_seconds(tally.saved_seconds);
  result.set_outputs_reused(tally.reused);
  result.set_outputs_produced(tally.produced);
}

// Runs a version once, on nothing in particular: the first run of a network is slow, as memory and
// kernels are chosen in it, and no request should wait for that. What it says does not matter.
void WarmUp(const Predictor& predictor, const v1::Model& description) {
  constexpr int64_t kAnySize = 64;
  TensorMap inputs;
  for (const v1::TensorSignature& input : description.inputs()) {
    const absl::StatusOr<Datatype> datatype = ParseDatatype(input.datatype());
    if (!datatype.ok()) return;
    std::vector<int64_t> shape(input.shape().begin(), input.shape().end());
    for (int64_t& size : shape) size = size < 0 ? kAnySize : size;
    inputs[input.name()] = MakeTensor(*datatype, shape);
  }
  CatchExceptions([&] { return predictor.Predict(inputs, [] { return false; }); })
      .status()
      .IgnoreError();
}

absl::Status CheckHas(const Dataset& dataset, Split split) {
  if (dataset.Has(split)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("split: dataset ", dataset.uri(), " has no split ",
                                                 std::string(SplitName(split))));
}

std::vector<v1::Parent> ToVector(const google::protobuf::RepeatedPtrField<v1::Parent>& parents) {
  return {parents.begin(), parents.end()};
}

}  // namespace

ModelHost::ModelHost(const Options& options, std::unique_ptr<Model> model, OutputStore& outputs,
                     ChannelPool& channels)
    : options_(options), model_(std::move(model)), outputs_(outputs), channels_(channels) {
  description_ = model_->description();
  short_name_ = std::string(absl::StripPrefix(description_.name(), "models/"));
  for (const v1::Capability capability :
       {v1::WATCH_JOB, v1::CANCEL_JOB, v1::LIST_VERSIONS, v1::DELETE_VERSION, v1::LOAD_VERSION,
        v1::INFER, v1::IMPORT_VERSION, v1::EXPORT_VERSION}) {
    description_.add_capabilities(capability);
  }
  description_.set_build_fingerprint(Sha256()
                                         .UpdateField(options.build_fingerprint)
                                         .UpdateField(model_->NumericFingerprint())
                                         .Finish());
}

absl::StatusOr<std::unique_ptr<ModelHost>> ModelHost::Open(const Options& options,
                                                           std::unique_ptr<Model> model,
                                                           OutputStore& outputs,
                                                           ChannelPool& channels) {
  std::unique_ptr<ModelHost> host(new ModelHost(options, std::move(model), outputs, channels));
  BACKFIRE_ASSIGN_OR_RETURN(host->versions_, VersionStore::Open(options.directory / "versions",
                                                                host->description_.name()));
  BACKFIRE_RETURN_IF_ERROR(host->LoadRemembered());
  return host;
}

absl::Status ModelHost::LoadRemembered() {
  const absl::StatusOr<std::string> text = ReadFile(options_.directory / kLoadedFile);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  BACKFIRE_RETURN_IF_ERROR(text.status());
  MutexLock loading(loading_);
  for (const auto& line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    int64_t number = 0;
    absl::Status status = absl::DataLossError(absl::StrCat("not a number: ", line));
    // A replica opens with what it has; the orchestrator has it look at its primary's.
    if (absl::SimpleAtoi(line, &number)) status = LoadKept(number);
    if (!status.ok()) {
      spdlog::error("version state=NOT_LOADED version={} error=\"{}\"",
                    VersionName(description_.name(), number), std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status ModelHost::Remember(
    const std::map<int64_t, std::shared_ptr<const Predictor>>& loaded) const {
  std::string text;
  for (const auto& [number, predictor] : loaded) absl::StrAppend(&text, number, "\n");
  return WriteFileAtomically(options_.directory / kLoadedFile, text);
}

bool ModelHost::IsUnservable(const v1::Recipe& recipe) const {
  return std::any_of(
      description_.recipes().begin(), description_.recipes().end(),
      [&](const auto& known) { return known.name() == recipe.name() && known.unservable(); });
}

absl::StatusOr<std::optional<ModelHost::Start>> ModelHost::StartOf(const v1::Recipe& recipe) const {
  const auto found = recipe.parameters().fields().find(kInitializeFrom);
  if (found == recipe.parameters().fields().end() || found->second.string_value().empty()) {
    return std::nullopt;
  }
  const std::string field = absl::StrCat("recipe.parameters.", kInitializeFrom);
  if (absl::string_view name = found->second.string_value();
      absl::ConsumePrefix(&name, kPretrained)) {
    absl::StatusOr<std::string> file = model_->PretrainedFile(std::string(name));
    if (!file.ok()) return Annotate(file.status(), field);
    absl::StatusOr<std::string> weights = model_->ImportWeights(recipe, *file);
    if (!weights.ok()) return Annotate(weights.status(), field);
    std::string digest = Sha256Hex(*weights);
    return Start{std::move(digest), [weights = *std::move(weights)] { return weights; }};
  }
  const absl::StatusOr<VersionId> id = ParseVersionName(found->second.string_value());
  if (!id.ok()) return Annotate(id.status(), field);
  if (id->model_name != description_.name()) {
    return absl::InvalidArgumentError(absl::StrCat(field, " must be a version of ",
                                                   description_.name(), ": got ",
                                                   found->second.string_value()));
  }
  const absl::StatusOr<v1::Version> version = versions_->Get(id->number);
  if (!version.ok()) return Annotate(version.status(), field);
  return Start{version->digest(),
               [this, number = id->number] { return versions_->ReadWeights(number); }};
}

absl::Status ModelHost::CheckLineage(const google::protobuf::RepeatedPtrField<v1::Parent>& lineage,
                                     const std::string& field) const {
  std::set<std::string> fed;
  for (int i = 0; i < lineage.size(); ++i) {
    const v1::Parent& parent = lineage[i];
    const std::string path = absl::StrCat(field, "[", i, "]");
    const bool known =
        std::any_of(description_.inputs().begin(), description_.inputs().end(),
                    [&](const auto& input) { return input.name() == parent.input(); });
    if (!known) {
      return absl::InvalidArgumentError(absl::StrCat(path, ".input: ", description_.name(),
                                                     " has no input \"", parent.input(), "\""));
    }
    if (!fed.insert(parent.input()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ".input: \"", parent.input(), "\" is fed twice"));
    }
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(ParseVersionName(parent.version()).status(), absl::StrCat(path, ".version")));
    if (parent.output().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ".output must not be empty"));
    }
    if (!IsDigest(parent.digest())) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ".digest must have 64 lower-case hexadecimal digits: got \"",
                       parent.digest(), "\""));
    }
  }
  return absl::OkStatus();
}

absl::Status ModelHost::Check(const v1::TrainRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, model_->ResolveRecipe(request.recipe()));
  BACKFIRE_RETURN_IF_ERROR(StartOf(recipe).status());
  BACKFIRE_RETURN_IF_ERROR(CheckLineage(request.lineage(), "lineage"));
  if (request.dataset().uri().empty()) {
    return absl::InvalidArgumentError("dataset.uri must not be empty");
  }
  if (request.seed() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("seed must be >= 0: got ", request.seed()));
  }
  return absl::OkStatus();
}

absl::Status ModelHost::Check(const v1::EvaluateRequest& request) const {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_->Get(id.number));
  BACKFIRE_RETURN_IF_ERROR(Annotate(ParseSplit(request.split()).status(), "split"));
  if (request.dataset().uri().empty()) {
    return absl::InvalidArgumentError("dataset.uri must not be empty");
  }
  const int32_t resamples = request.bootstrap().resample_count();
  if (resamples < 0 || resamples > 10000) {
    return absl::InvalidArgumentError(
        absl::StrCat("bootstrap.resample_count must be in [0, 10000]: got ", resamples));
  }
  BACKFIRE_RETURN_IF_ERROR(CheckLineage(request.swapped_parents(), "swapped_parents"));
  if (request.swapped_parents().empty()) return absl::OkStatus();
  std::set<std::string> of_lineage, swapped;
  for (const v1::Parent& parent : version.lineage()) of_lineage.insert(parent.input());
  for (const v1::Parent& parent : request.swapped_parents()) swapped.insert(parent.input());
  if (of_lineage != swapped) {
    return absl::InvalidArgumentError(
        absl::StrCat("swapped_parents must feed the inputs of the lineage (",
                     absl::StrJoin(of_lineage, ", "), "): got ", absl::StrJoin(swapped, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Examples>> ModelHost::GatherInputs(
    const std::vector<std::string>& names, const std::vector<v1::Parent>& lineage,
    const std::shared_ptr<const Dataset>& dataset, Split split, const v1::Endpoints& endpoints,
    JobContext& job, OutputTally& tally) {
  const auto cancelled = [&job] { return job.cancelled(); };
  const int64_t count = dataset->size(split);
  std::vector<std::string> from_dataset;
  std::vector<JoinedExamples::ParentInput> from_parents;
  std::map<std::string, std::shared_ptr<const Examples>> pulled;  // By the parent's digest.
  for (const std::string& name : names) {
    const auto parent = std::find_if(lineage.begin(), lineage.end(),
                                     [&](const auto& p) { return p.input() == name; });
    if (parent == lineage.end()) {
      from_dataset.push_back(name);
      continue;
    }
    std::shared_ptr<const Examples>& outputs = pulled[parent->digest()];
    if (outputs == nullptr) {
      v1::MaterializeRequest request;
      request.set_version(parent->version());
      request.set_digest(parent->digest());
      request.mutable_dataset()->set_uri(dataset->uri());
      request.set_split(std::string(SplitName(split)));
      *request.mutable_endpoints() = endpoints;
      const std::string stage = absl::StrCat("reading ", parent->version());
      job.Report(Stage(stage, 0, count));
      const auto progress = [&](int64_t done) { job.Report(Stage(stage, done, count)); };
      const auto produce = [&](ExampleFileWriter& writer) {
        return PullParentOutputs(channels_, request, count, cancelled, progress, writer);
      };
      BACKFIRE_ASSIGN_OR_RETURN(outputs, outputs_.Get({OutputKey::Keeper::kChild, parent->digest(),
                                                       dataset->digest(), split},
                                                      produce, cancelled, &tally));
    }
    from_parents.push_back({name, parent->output(), outputs});
  }
  return std::make_shared<const JoinedExamples>(dataset, split, std::move(from_dataset),
                                                std::move(from_parents));
}

absl::Status ModelHost::Train(const v1::TrainRequest& request, const TrainingFiles& files,
                              JobContext& job, v1::Job& result) {
  BACKFIRE_RETURN_IF_ERROR(Check(request));
  job.Report(Stage("opening the dataset"));
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset, model_->OpenDataset(request.dataset().uri()));

  v1::Version version;
  BACKFIRE_ASSIGN_OR_RETURN(*version.mutable_recipe(), model_->ResolveRecipe(request.recipe()));
  *version.mutable_lineage() = request.lineage();
  version.mutable_dataset()->set_uri(dataset->uri());
  version.mutable_dataset()->set_digest(dataset->digest());
  BACKFIRE_ASSIGN_OR_RETURN(const auto start_weights, StartOf(version.recipe()));
  if (start_weights.has_value()) version.set_initial_digest(start_weights->digest);
  version.set_seed(model_->DependsOnSeed(version.recipe()) ? request.seed() : 0);
  version.set_build_fingerprint(description_.build_fingerprint());
  version.set_input_key(ComputeInputKey(description_.name(), version));
  if (const auto known = versions_->FindByInputKey(version.input_key()); known.has_value()) {
    *result.mutable_version() = *known;
    result.set_compute_seconds(-1);
    result.set_saved_seconds(known->training_seconds());
    return absl::OkStatus();
  }

  std::vector<std::string> fed_by_parents;
  for (const std::string& name : model_->TrainingInputs(version.recipe())) {
    for (const v1::Parent& parent : version.lineage()) {
      if (parent.input() == name) fed_by_parents.push_back(name);
    }
  }
  const auto start = std::chrono::steady_clock::now();
  OutputTally tally;
  const std::vector<v1::Parent> lineage = ToVector(version.lineage());
  const auto gather = [&](Split split) {
    return LazyExamples(dataset->Has(split) ? dataset->size(split) : 0, [&, split] {
      return GatherInputs(fed_by_parents, lineage, dataset, split, request.endpoints(), job, tally);
    });
  };
  const LazyExamples train_inputs = gather(Split::kTrain);
  const LazyExamples validation_inputs = gather(Split::kValidation);
  const LazyExamples population_inputs = gather(Split::kPopulation);
  TrainingTask task;
  task.recipe = version.recipe();
  task.seed = version.seed();
  task.dataset = dataset.get();
  task.train_inputs = &train_inputs;
  task.validation_inputs = &validation_inputs;
  task.population_inputs = &population_inputs;
  task.files = files;
  std::string initial_weights;
  if (start_weights.has_value()) {
    BACKFIRE_ASSIGN_OR_RETURN(initial_weights, start_weights->read_weights());
    task.initial_weights = &initial_weights;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights,
                            CatchExceptions([&] { return model_->Train(task, job); }));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  version.set_training_seconds(elapsed.count());
  BACKFIRE_ASSIGN_OR_RETURN(*result.mutable_version(), versions_->Add(version, weights));
  SetTally(tally, result);
  return absl::OkStatus();
}

absl::StatusOr<v1::Recipe> ModelHost::CompleteRecipe(const v1::Version& version) const {
  absl::StatusOr<v1::Recipe> recipe = model_->ResolveRecipe(version.recipe());
  if (!recipe.ok()) return Annotate(recipe.status(), version.name());
  return recipe;
}

absl::StatusOr<std::shared_ptr<const Predictor>> ModelHost::MakePredictor(
    const v1::Version& version) const {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, versions_->ReadWeights(id.number));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, CompleteRecipe(version));
  absl::StatusOr<std::unique_ptr<Predictor>> predictor =
      CatchExceptions([&] { return model_->Load(recipe, weights); });
  if (!predictor.ok()) return Annotate(predictor.status(), version.name());
  return std::shared_ptr<const Predictor>(*std::move(predictor));
}

absl::StatusOr<std::shared_ptr<const Examples>> ModelHost::ComputeOutputs(
    const v1::Version& version, const std::vector<v1::Parent>& swapped_parents,
    const std::shared_ptr<const Dataset>& dataset, Split split, const v1::Endpoints& endpoints,
    JobContext& job, OutputTally& tally) {
  const auto cancelled = [&job] { return job.cancelled(); };
  const auto produce = [&](ExampleFileWriter& writer) -> absl::Status {
    const std::string stage = absl::StrCat("predicting ", std::string(SplitName(split)));
    const int64_t size = dataset->size(split);
    const auto take = [&](int64_t example, const TensorMap& outputs) {
      job.Report(Stage(stage, example + 1, size));
      return writer.Append(outputs);
    };
    if (IsUnservable(version.recipe())) {
      BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
      BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, versions_->ReadWeights(id.number));
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, CompleteRecipe(version));
      job.Report(Stage(stage, 0, size));
      return PredictInOrder(
          size, options_.threads, cancelled,
          [&](int64_t example) {
            return model_->PredictFromDataset(recipe, weights, *dataset, split, example);
          },
          take);
    }
    BACKFIRE_ASSIGN_OR_RETURN(const auto predictor, MakePredictor(version));
    std::vector<std::string> names;
    for (const v1::TensorSignature& input : description_.inputs()) names.push_back(input.name());
    BACKFIRE_ASSIGN_OR_RETURN(
        const auto inputs,
        GatherInputs(names, swapped_parents.empty() ? ToVector(version.lineage()) : swapped_parents,
                     dataset, split, endpoints, job, tally));
    job.Report(Stage(stage, 0, size));
    return PredictInOrder(
        size, options_.threads, cancelled,
        [&](int64_t example) -> absl::StatusOr<TensorMap> {
          BACKFIRE_ASSIGN_OR_RETURN(const TensorMap example_inputs, inputs->Get(example));
          return predictor->Predict(example_inputs, cancelled);
        },
        take);
  };
  return outputs_.Get({OutputKey::Keeper::kProducer, OutputIdentity(version, swapped_parents),
                       dataset->digest(), split},
                      produce, cancelled, &tally);
}

absl::Status ModelHost::Evaluate(const v1::EvaluateRequest& request, JobContext& job,
                                 v1::Job& result) {
  BACKFIRE_RETURN_IF_ERROR(Check(request));
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_->Get(id.number));
  BACKFIRE_ASSIGN_OR_RETURN(const Split split, ParseSplit(request.split()));
  job.Report(Stage("opening the dataset"));
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset, model_->OpenDataset(request.dataset().uri()));
  BACKFIRE_RETURN_IF_ERROR(CheckHas(*dataset, split));
  OutputTally tally;
  BACKFIRE_ASSIGN_OR_RETURN(const auto outputs,
                            ComputeOutputs(version, ToVector(request.swapped_parents()), dataset,
                                           split, request.endpoints(), job, tally));
  job.Report(Stage("computing losses"));
  const metrics::Resampling resampling(request.bootstrap(), Clusters(*dataset, split));
  BACKFIRE_ASSIGN_OR_RETURN(v1::Evaluation evaluation,
                            model_->Evaluate(*dataset, split, *outputs, resampling, job));
  evaluation.set_example_count(resampling.example_count());
  evaluation.set_cluster_count(resampling.cluster_count());
  evaluation.set_dataset_digest(dataset->digest());
  if (split == Split::kTest && request.swapped_parents().empty()) {
    std::vector<v1::LossEstimate> losses(evaluation.losses().begin(), evaluation.losses().end());
    for (v1::LossEstimate& loss : losses) loss.clear_resampled();
    MutexLock lock(mutex_);
    test_losses_[id.number] = std::move(losses);
  }
  *result.mutable_version() = version;
  *result.mutable_evaluation() = std::move(evaluation);
  SetTally(tally, result);
  return absl::OkStatus();
}

absl::StatusOr<ModelHost::Outputs> ModelHost::Materialize(const v1::MaterializeRequest& request,
                                                          JobContext& job) {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(request.version()));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_->Get(id.number));
  if (!request.digest().empty() && request.digest() != version.digest()) {
    return absl::DataLossError(absl::StrCat(version.name(), " has digest ", version.digest(),
                                            ": the caller expects ", request.digest()));
  }
  Outputs outputs;
  BACKFIRE_ASSIGN_OR_RETURN(outputs.split, ParseSplit(request.split()));
  BACKFIRE_ASSIGN_OR_RETURN(outputs.dataset, model_->OpenDataset(request.dataset().uri()));
  BACKFIRE_RETURN_IF_ERROR(CheckHas(*outputs.dataset, outputs.split));
  const int64_t size = outputs.dataset->size(outputs.split);
  for (const int64_t example : request.examples()) {
    if (example < 0 || example >= size) {
      return absl::InvalidArgumentError(
          absl::StrCat("examples must be in [0, ", size, "): got ", example));
    }
  }
  OutputTally tally;
  BACKFIRE_ASSIGN_OR_RETURN(
      outputs.examples,
      ComputeOutputs(version, {}, outputs.dataset, outputs.split, request.endpoints(), job, tally));
  return outputs;
}

absl::Status ModelHost::CopyFromPrimary(int64_t number, const std::function<bool()>& cancelled) {
  const std::string name = VersionName(description_.name(), number);
  const absl::StatusOr<v1::Version> kept = versions_->Get(number);
  bool is_loaded = false;
  {
    MutexLock lock(mutex_);
    is_loaded = loaded_.count(number) > 0;
  }
  const bool is_whole = is_loaded || versions_->ReadWeights(number).ok();
  const absl::StatusOr<std::string> digest = options_.primary->Digest(name);
  const bool is_away =
      absl::IsUnavailable(digest.status()) || absl::IsDeadlineExceeded(digest.status());
  if (kept.ok() && is_whole && (is_away || (digest.ok() && *digest == kept->digest()))) {
    return absl::OkStatus();
  }
  BACKFIRE_RETURN_IF_ERROR(digest.status());
  BACKFIRE_ASSIGN_OR_RETURN(const StoredVersion stored, options_.primary->Fetch(name, cancelled));
  {
    // By this number something else would be served.
    MutexLock lock(mutex_);
    loaded_.erase(number);
  }
  BACKFIRE_RETURN_IF_ERROR(versions_->AddCopy(stored.version, stored.bytes));
  spdlog::info("version state=COPIED version={} digest={}", name, stored.version.digest());
  return absl::OkStatus();
}

absl::Status ModelHost::Load(int64_t number, const std::function<bool()>& cancelled) {
  MutexLock loading(loading_);
  if (options_.primary != nullptr) BACKFIRE_RETURN_IF_ERROR(CopyFromPrimary(number, cancelled));
  return LoadKept(number);
}

absl::Status ModelHost::LoadKept(int64_t number) {
  std::map<int64_t, std::shared_ptr<const Predictor>> loaded;
  {
    MutexLock lock(mutex_);
    loaded = loaded_;
  }
  if (loaded.count(number) > 0) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, versions_->Get(number));
  if (IsUnservable(version.recipe())) {
    return absl::FailedPreconditionError(absl::StrCat(
        version.name(), " can't be served: recipe \"", version.recipe().name(), "\" needs what no ",
        "request carries; it can be evaluated, and other models can be trained on its outputs"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(loaded[number], MakePredictor(version));
  WarmUp(*loaded[number], description_);
  if (options_.batch.size > 1) {
    std::shared_ptr<const Predictor>& predictor = loaded[number];
    if (predictor->HasBatches()) {
      predictor = std::make_shared<const BatchingPredictor>(predictor, options_.batch);
    } else {
      predictor = std::make_shared<const LimitedPredictor>(predictor, options_.threads);
    }
  }
  CrashPoint("version-load", version.name());
  BACKFIRE_RETURN_IF_ERROR(Remember(loaded));
  CrashPoint("version-loaded", version.name());
  MutexLock lock(mutex_);
  loaded_ = std::move(loaded);
  spdlog::info("version state=LOADED version={} digest={}", version.name(), version.digest());
  return absl::OkStatus();
}

absl::Status ModelHost::Unload(int64_t number) {
  MutexLock loading(loading_);
  std::map<int64_t, std::shared_ptr<const Predictor>> loaded;
  {
    MutexLock lock(mutex_);
    loaded = loaded_;
  }
  if (loaded.erase(number) > 0) {
    BACKFIRE_RETURN_IF_ERROR(Remember(loaded));
    MutexLock lock(mutex_);
    loaded_ = std::move(loaded);
    spdlog::info("version state=UNLOADED version={}", VersionName(description_.name(), number));
  }
  // A replica can get it again; kept copies would fill its disk.
  return options_.primary == nullptr ? absl::OkStatus() : versions_->Delete(number);
}

absl::StatusOr<ModelHost::Loaded> ModelHost::Find(std::optional<int64_t> number) const {
  {
    MutexLock lock(mutex_);
    const auto found = number.has_value() ? loaded_.find(*number)
                       : loaded_.empty()  ? loaded_.end()
                                          : std::prev(loaded_.end());
    if (found != loaded_.end()) return Loaded{found->first, found->second};
  }
  if (!number.has_value()) {
    return absl::NotFoundError(absl::StrCat("no version of ", description_.name(), " is loaded"));
  }
  BACKFIRE_RETURN_IF_ERROR(versions_->Get(*number).status());
  return absl::UnavailableError(
      absl::StrCat(VersionName(description_.name(), *number), " is not loaded"));
}

std::vector<v1::LossEstimate> ModelHost::TestLosses(int64_t number) const {
  MutexLock lock(mutex_);
  const auto found = test_losses_.find(number);
  return found == test_losses_.end() ? std::vector<v1::LossEstimate>() : found->second;
}

std::map<int64_t, prometheus::ClientMetric> ModelHost::BatchSizes() const {
  std::map<int64_t, std::shared_ptr<const Predictor>> loaded;
  {
    MutexLock lock(mutex_);
    loaded = loaded_;
  }
  std::map<int64_t, prometheus::ClientMetric> sizes;
  for (const auto& [number, predictor] : loaded) {
    const auto* batching = dynamic_cast<const BatchingPredictor*>(predictor.get());
    if (batching != nullptr) sizes[number] = batching->BatchSizes();
  }
  return sizes;
}

std::vector<int64_t> ModelHost::LoadedNumbers() const {
  MutexLock lock(mutex_);
  std::vector<int64_t> numbers;
  for (const auto& [number, predictor] : loaded_) numbers.push_back(number);
  return numbers;
}

absl::StatusOr<v1::Version> ModelHost::Get(int64_t number) const {
  BACKFIRE_ASSIGN_OR_RETURN(v1::Version version, versions_->Get(number));
  MutexLock lock(mutex_);
  version.set_loaded(loaded_.count(number) > 0);
  return version;
}

std::vector<v1::Version> ModelHost::List() const {
  std::vector<v1::Version> versions = versions_->List();
  MutexLock lock(mutex_);
  for (v1::Version& version : versions) {
    const absl::StatusOr<VersionId> id = ParseVersionName(version.name());
    version.set_loaded(id.ok() && loaded_.count(id->number) > 0);
  }
  return versions;
}

}  // namespace backfire::runtime
