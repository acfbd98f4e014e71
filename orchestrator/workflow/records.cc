#include "orchestrator/workflow/records.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/verdict/looks.h"
#include "orchestrator/workflow/plan.h"
#include "orchestrator/workflow/references.h"
#include "orchestrator/workflow/seeds.h"
#include "services/base/status.h"

namespace backfire::workflow {
namespace {

constexpr char kPopulationSplit[] = "population";

// Endpoints of all ancestors of a vertex, whose outputs its service pulls.
v1::Endpoints AncestorEndpoints(const graph::SystemGraph& graph, const std::string& vertex) {
  v1::Endpoints endpoints;
  for (const std::string& name : graph.WithAncestors({vertex})) {
    const auto& node = graph.node(name);
    if (name != vertex) (*endpoints.mutable_by_model())[node.model_name] = node.vertex.endpoint();
  }
  return endpoints;
}

const v1::LossEstimate* FindLoss(const v1::Evaluation& evaluation, const std::string& name,
                                 const std::string& slice) {
  for (const v1::LossEstimate& loss : evaluation.losses()) {
    if (loss.loss() == name && loss.slice() == slice) return &loss;
  }
  return nullptr;
}

absl::StatusOr<verdict::LossSample> Sample(const v1::Evaluation& evaluation,
                                           const verdict::LossEvidence& evidence) {
  const v1::LossEstimate* loss = FindLoss(evaluation, evidence.loss, evidence.slice);
  if (loss == nullptr) {
    return absl::InternalError(absl::StrCat("the evaluation of vertex ", evidence.vertex,
                                            " has no loss ", evidence.loss, " on slice \"",
                                            evidence.slice, "\""));
  }
  verdict::LossSample sample;
  sample.value = loss->value();
  sample.resampled.assign(loss->resampled().begin(), loss->resampled().end());
  return sample;
}

// What a loss was measured on. Services that don't say which examples and clusters bear upon it
// mean all, and all of one size.
verdict::SampleSize SizeOf(const v1::Evaluation& evaluation,
                           const verdict::LossEvidence& evidence) {
  const auto within = [](auto some, auto all) { return some > 0 ? std::min(some, all) : all; };
  v1::LossEstimate unsaid;
  const v1::LossEstimate* loss = FindLoss(evaluation, evidence.loss, evidence.slice);
  if (loss == nullptr) loss = &unsaid;
  verdict::SampleSize size;
  size.examples = evaluation.example_count();
  size.bearing = within(loss->example_count(), size.examples);
  if (evaluation.cluster_count() > 0) {
    verdict::ClusterCounts& clusters = size.clusters.emplace();
    clusters.all = evaluation.cluster_count();
    clusters.bearing = within(loss->cluster_count(), clusters.all);
    clusters.effective =
        within(loss->effective_cluster_count(), static_cast<double>(clusters.bearing));
  }
  return size;
}

// What the resamples of an evaluation were drawn from.
int64_t DrawnFrom(const v1::Evaluation& evaluation) {
  return evaluation.cluster_count() > 0 ? evaluation.cluster_count() : evaluation.example_count();
}

// The dataset on whose test split an update was judged, whatever system it belonged to.
std::string TestSplitDigest(const store::UpdateRecord& update) {
  for (const store::StepRecord& record : update.steps) {
    const bool on_test_split = record.step.kind() == v1::Step::EVALUATE ||
                               record.step.kind() == v1::Step::EVALUATE_SWAPPED;
    if (on_test_split && record.evaluation.losses_size() > 0) {
      return record.evaluation.dataset_digest();
    }
  }
  return "";
}

// What is judged of the changed vertex and its descendants, with the baseline's losses.
absl::StatusOr<verdict::Evidence> BaselineEvidence(const store::Contents& contents,
                                                   const graph::SystemGraph& graph,
                                                   const store::UpdateRecord& update,
                                                   int replicates) {
  const store::SystemRecord& system = contents.systems.at(update.update.system_revision());
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t baseline, BaselineOf(contents, update));
  verdict::Evidence evidence;
  evidence.alpha = graph.system().alpha();
  evidence.look = std::max(1, update.update.look());
  for (int look = 1; look <= update.update.planned_looks(); ++look) {
    evidence.look_replicates.push_back(
        ReplicatesOfLook(update.update.planned_replicates(), update.update.planned_looks(), look));
  }
  std::vector<std::string> vertices = graph.Descendants(update.update.vertex());
  vertices.insert(vertices.begin(), update.update.vertex());
  for (const std::string& vertex : vertices) {
    const v1::Model& model = system.models.at(vertex);
    const v1::Vertex& settings = graph.node(vertex).vertex;
    std::vector<const v1::Evaluation*> evaluations;
    for (int k = 0; k < replicates; ++k) {
      BACKFIRE_ASSIGN_OR_RETURN(evaluations.emplace_back(),
                                EvaluationAsOf(contents, baseline, vertex, k));
    }
    std::set<std::string> missing(settings.required_slices().begin(),
                                  settings.required_slices().end());
    std::vector<std::string> slices(missing.begin(), missing.end());
    slices.insert(slices.begin(), "");
    for (const v1::JudgedLoss& judged : model.losses()) {
      for (const std::string& slice : slices) {
        if (!slice.empty() && FindLoss(*evaluations[0], judged.name(), slice) == nullptr) continue;
        missing.erase(slice);
        verdict::LossEvidence& loss = evidence.losses.emplace_back();
        loss.vertex = vertex;
        loss.loss = judged.name();
        loss.slice = slice;
        loss.unit = judged.unit();
        loss.candidate = vertex == update.update.vertex();
        loss.judged = model.kind() != v1::Model::TRANSFORM;
        const auto margin = settings.margins().find(judged.name());
        if (margin != settings.margins().end()) loss.margin = margin->second;
        loss.size = SizeOf(*evaluations[0], loss);
        for (const v1::Evaluation* evaluation : evaluations) {
          BACKFIRE_ASSIGN_OR_RETURN(loss.before.emplace_back(), Sample(*evaluation, loss));
        }
      }
    }
    if (!missing.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("vertex ", vertex, ": none of its judged losses has the required slice ",
                       *missing.begin()));
    }
  }
  return evidence;
}

}  // namespace

absl::StatusOr<int64_t> ParseNumber(const std::string& name, const std::string& collection) {
  absl::string_view rest = name;
  int64_t number = 0;
  if (!absl::ConsumePrefix(&rest, absl::StrCat(collection, "/")) ||
      !absl::SimpleAtoi(rest, &number) || number < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a name must be ", collection, "/{number}: got \"", name, "\""));
  }
  return number;
}

absl::StatusOr<int64_t> BaselineOf(const store::Contents& contents,
                                   const store::UpdateRecord& update) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t release,
                            ParseNumber(update.update.baseline_release(), "releases"));
  const auto found = contents.releases.find(release);
  if (found == contents.releases.end()) {
    return absl::InternalError(absl::StrCat(update.update.baseline_release(), " is not known"));
  }
  return ParseNumber(found->second.update(), "updates");
}

absl::StatusOr<const store::StepRecord*> FindStep(const store::Contents& contents, int64_t number,
                                                  const std::string& id) {
  while (true) {
    const auto update = contents.updates.find(number);
    if (update == contents.updates.end()) {
      return absl::InternalError(absl::StrCat("updates/", number, " is not known"));
    }
    for (const store::StepRecord& record : update->second.steps) {
      if (record.step.id() == id) return &record;
    }
    if (update->second.update.baseline()) {
      return absl::InternalError(absl::StrCat("no update has a step ", id));
    }
    BACKFIRE_ASSIGN_OR_RETURN(number, BaselineOf(contents, update->second));
  }
}

absl::StatusOr<const v1::Version*> VersionAsOf(const store::Contents& contents, int64_t update,
                                               const std::string& vertex, int replicate) {
  const std::string id = StepId(v1::Step::TRAIN, vertex, replicate);
  BACKFIRE_ASSIGN_OR_RETURN(const store::StepRecord* record, FindStep(contents, update, id));
  if (record->step.state() == v1::Step::SUCCEEDED) return &record->step.version();
  return absl::InternalError(absl::StrCat("step ", id, " has not succeeded"));
}

absl::StatusOr<std::vector<v1::Parent>> LineageAsOf(const store::Contents& contents,
                                                    const graph::SystemGraph& graph, int64_t update,
                                                    const std::string& vertex, int replicate) {
  std::vector<v1::Parent> lineage;
  for (const auto& [input, source] : graph.node(vertex).inputs) {
    if (source.from_request()) continue;
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version* version,
                              VersionAsOf(contents, update, source.vertex, replicate));
    v1::Parent& parent = lineage.emplace_back();
    parent.set_input(input);
    parent.set_version(version->name());
    parent.set_output(source.tensor);
    parent.set_digest(version->digest());
  }
  return lineage;
}

absl::StatusOr<const v1::Evaluation*> EvaluationAsOf(const store::Contents& contents,
                                                     int64_t update, const std::string& vertex,
                                                     int replicate) {
  const std::string id = StepId(v1::Step::EVALUATE, vertex, replicate);
  BACKFIRE_ASSIGN_OR_RETURN(const store::StepRecord* record, FindStep(contents, update, id));
  if (record->step.state() == v1::Step::SUCCEEDED) return &record->evaluation;
  return absl::InternalError(absl::StrCat("step ", id, " has not succeeded"));
}

absl::StatusOr<JobRequest> BuildJobRequest(const store::Contents& contents,
                                           const graph::SystemGraph& graph,
                                           const store::UpdateRecord& update,
                                           const store::StepRecord& record) {
  const v1::Step& step = record.step;
  const v1::System& system = graph.system();
  const store::SeedRule seed_rule = contents.systems.at(update.update.system_revision()).seed_rule;
  const std::string request_id = absl::StrCat(contents.identity, "/updates/", update.number, "/",
                                              step.id(), "/", record.attempt);
  BACKFIRE_ASSIGN_OR_RETURN(
      const std::vector<v1::Parent> lineage,
      LineageAsOf(contents, graph, update.number, step.vertex(), step.replicate()));
  if (step.kind() == v1::Step::TRAIN || step.kind() == v1::Step::TRAIN_REFERENCE) {
    v1::TrainRequest request;
    request.set_request_id(request_id);
    request.set_model(graph.node(step.vertex()).model_name);
    if (step.kind() == v1::Step::TRAIN_REFERENCE) {
      for (const auto& [name, recipe] : ReferencesOf(graph.node(step.vertex()).vertex)) {
        if (name == step.reference()) *request.mutable_recipe() = recipe;
      }
    } else if (update.update.baseline()) {
      *request.mutable_recipe() = graph.node(step.vertex()).vertex.recipe();
    } else if (step.vertex() == update.update.vertex()) {
      *request.mutable_recipe() = update.update.recipe();
    } else {
      BACKFIRE_ASSIGN_OR_RETURN(const int64_t baseline, BaselineOf(contents, update));
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Version* before,
                                VersionAsOf(contents, baseline, step.vertex(), 0));
      *request.mutable_recipe() = before->recipe();
    }
    for (const v1::Parent& parent : lineage) *request.add_lineage() = parent;
    request.mutable_dataset()->set_uri(system.dataset());
    request.set_seed(TrainingSeed(seed_rule, system.seed(), request.model(), step.replicate()));
    // What is solved on a known distribution has no seed: on equal parents it is the same version.
    if (step.kind() == v1::Step::TRAIN_REFERENCE) request.set_seed(system.seed());
    *request.mutable_endpoints() = AncestorEndpoints(graph, step.vertex());
    return request;
  }
  v1::EvaluateRequest request;
  request.set_request_id(request_id);
  int64_t evaluated = update.number;
  if (step.kind() == v1::Step::EVALUATE_SWAPPED) {
    BACKFIRE_ASSIGN_OR_RETURN(evaluated, BaselineOf(contents, update));
    for (const v1::Parent& parent : lineage) *request.add_swapped_parents() = parent;
  }
  std::string trained = StepId(v1::Step::TRAIN, step.vertex(), step.replicate());
  if (step.kind() == v1::Step::EVALUATE_REFERENCE) {
    trained = ReferenceStepId(v1::Step::TRAIN_REFERENCE, step.vertex(), step.replicate(),
                              step.reference());
  }
  BACKFIRE_ASSIGN_OR_RETURN(const store::StepRecord* training,
                            FindStep(contents, evaluated, trained));
  if (training->step.state() != v1::Step::SUCCEEDED) {
    return absl::InternalError(absl::StrCat("step ", trained, " has not succeeded"));
  }
  request.set_version(training->step.version().name());
  request.mutable_dataset()->set_uri(system.dataset());
  if (step.kind() == v1::Step::EVALUATE_TRUE || step.kind() == v1::Step::EVALUATE_REFERENCE) {
    request.set_split(kPopulationSplit);  // No sample: nothing to resample.
  } else {
    request.set_split(kTestSplit);
    *request.mutable_bootstrap() = BootstrapOf(seed_rule, system);
  }
  *request.mutable_endpoints() = AncestorEndpoints(graph, step.vertex());
  return request;
}

absl::StatusOr<verdict::Evidence> BuildEvidence(const store::Contents& contents,
                                                const graph::SystemGraph& graph,
                                                const store::UpdateRecord& update) {
  const int replicates = update.update.replicates();
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t baseline, BaselineOf(contents, update));
  BACKFIRE_ASSIGN_OR_RETURN(verdict::Evidence evidence,
                            BaselineEvidence(contents, graph, update, replicates));
  const std::string test_split = TestSplitDigest(update);
  for (const auto& [number, other] : contents.updates) {
    const bool judged_here = number < update.number && other.update.has_verdict() &&
                             TestSplitDigest(other) == test_split;
    if (judged_here) ++evidence.candidates_judged;
  }
  for (verdict::LossEvidence& loss : evidence.losses) {
    for (int k = 0; k < replicates; ++k) {
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation* before,
                                EvaluationAsOf(contents, baseline, loss.vertex, k));
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation* after,
                                EvaluationAsOf(contents, update.number, loss.vertex, k));
      if (before->dataset_digest() != after->dataset_digest() ||
          before->example_count() != after->example_count()) {
        return absl::FailedPreconditionError(absl::StrCat(
            "vertex ", loss.vertex, " was evaluated on dataset ", before->dataset_digest(),
            " before and on ", after->dataset_digest(), " after: losses can't be compared"));
      }
      if (DrawnFrom(*before) != DrawnFrom(*after)) {
        return absl::FailedPreconditionError(absl::StrCat(
            "vertex ", loss.vertex, "'s service drew resamples from ", DrawnFrom(*before),
            " clusters before and from ", DrawnFrom(*after),
            " after: losses can't be compared; apply the system with another bootstrap seed for a "
            "baseline that can"));
      }
      BACKFIRE_ASSIGN_OR_RETURN(loss.after.emplace_back(), Sample(*after, loss));
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Version* old,
                                VersionAsOf(contents, baseline, loss.vertex, k));
      BACKFIRE_ASSIGN_OR_RETURN(const v1::Version* current,
                                VersionAsOf(contents, update.number, loss.vertex, k));
      // A proposed version may come from anywhere.
      const bool proposed = loss.candidate && !update.update.version().empty();
      if (!proposed && old->build_fingerprint() != current->build_fingerprint()) {
        loss.other_build = true;
      }
      const std::string swapped_id = StepId(v1::Step::EVALUATE_SWAPPED, loss.vertex, k);
      for (const store::StepRecord& record : update.steps) {
        if (record.step.id() != swapped_id) continue;
        const v1::LossEstimate* swapped = FindLoss(record.evaluation, loss.loss, loss.slice);
        if (swapped != nullptr) loss.swapped.push_back(swapped->value());
      }
    }
  }
  return evidence;
}

absl::StatusOr<std::vector<v1::Sensitivity>> BuildSensitivities(const store::Contents& contents,
                                                                const graph::SystemGraph& graph,
                                                                const store::UpdateRecord& update) {
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t baseline, BaselineOf(contents, update));
  // All of the baseline's replicates tell of its noise, however many the update has.
  BACKFIRE_ASSIGN_OR_RETURN(
      const verdict::Evidence evidence,
      BaselineEvidence(contents, graph, update, contents.updates.at(baseline).update.replicates()));
  const auto family = std::count_if(evidence.losses.begin(), evidence.losses.end(),
                                    [](const auto& loss) { return loss.judged; });
  // The last look may test at most of alpha, and has all replicates. Test examples, which the looks
  // share, make it a little less than their number says.
  std::vector<double> fractions = {1};
  if (!evidence.look_replicates.empty()) fractions.clear();
  for (const int replicates : evidence.look_replicates) {
    fractions.push_back(static_cast<double>(replicates) / evidence.look_replicates.back());
  }
  const double alpha = verdict::Looks(fractions).Level(evidence.alpha);
  std::vector<v1::Sensitivity> sensitivities;
  for (const verdict::LossEvidence& loss : evidence.losses) {
    if (!loss.judged) continue;
    sensitivities.push_back(verdict::EstimateSensitivity(loss, update.update.planned_replicates(),
                                                         alpha, static_cast<int>(family)));
  }
  return sensitivities;
}

absl::StatusOr<v1::Reuse> BuildReuse(const store::Contents& contents,
                                     const graph::SystemGraph& graph, const v1::Update& update) {
  store::UpdateRecord record;
  record.update = update;
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t baseline, BaselineOf(contents, record));
  const std::set<std::string> touched = TouchedVertices(graph, update);
  const int replicates =
      std::min(update.replicates(), contents.updates.at(baseline).update.replicates());
  v1::Reuse reuse;
  for (const std::string& vertex : graph.WithAncestors(touched)) {
    for (int k = 0; k < replicates; ++k) {
      const std::string training = StepId(v1::Step::TRAIN, vertex, k);
      BACKFIRE_ASSIGN_OR_RETURN(const store::StepRecord* step,
                                FindStep(contents, baseline, training));
      reuse.set_versions(reuse.versions() + 1);
      reuse.set_seconds(reuse.seconds() + step->step.compute_seconds());
      if (touched.count(vertex) == 0) continue;
      const std::string evaluation = StepId(v1::Step::EVALUATE, vertex, k);
      BACKFIRE_ASSIGN_OR_RETURN(step, FindStep(contents, baseline, evaluation));
      reuse.set_evaluations(reuse.evaluations() + 1);
      reuse.set_seconds(reuse.seconds() + step->step.compute_seconds());
    }
  }
  return reuse;
}

}  // namespace backfire::workflow
