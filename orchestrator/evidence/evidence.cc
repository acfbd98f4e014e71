#include "orchestrator/evidence/evidence.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/evidence/provenance.h"
#include "orchestrator/planning/plan.h"
#include "orchestrator/planning/step_plan.h"
#include "services/base/status.h"

namespace backfire::evidence {
namespace {

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

// The evaluation of a vertex in replicate k, as of `steps`.
template <typename Steps>
absl::StatusOr<v1::Evaluation> EvaluationAsOf(const Steps& steps, const std::string& vertex, int k,
                                              const ReadEvaluation& read) {
  const std::string id = planning::StepId(v1::Step::EVALUATE, vertex, k);
  BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry entry, steps.Find(id));
  if (entry.step->state() != v1::Step::SUCCEEDED) {
    return absl::InternalError(absl::StrCat("step ", id, " has not succeeded"));
  }
  return read(entry.ref);
}

// The evaluations of one vertex after an update, by replicate.
absl::StatusOr<std::vector<v1::Evaluation>> EvaluationsAfter(const Comparison& comparison,
                                                             const records::OpenUpdate& update,
                                                             const std::string& vertex) {
  std::vector<v1::Evaluation> evaluations;
  for (int k = 0; k < comparison.update.replicates(); ++k) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation after,
                              EvaluationAsOf(update, vertex, k, comparison.read));
    // Without resampled losses: what it was measured on is in the step as well.
    BACKFIRE_ASSIGN_OR_RETURN(
        const records::Standing::Entry entry,
        comparison.base.Find(planning::StepId(v1::Step::EVALUATE, vertex, k)));
    const v1::Evaluation& before = entry.step->evaluation();
    if (before.dataset_digest() != after.dataset_digest() ||
        before.example_count() != after.example_count()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "vertex ", vertex, " was evaluated on dataset ", before.dataset_digest(),
          " before and on ", after.dataset_digest(), " after: losses can't be compared"));
    }
    if (DrawnFrom(before) != DrawnFrom(after)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "vertex ", vertex, "'s service drew resamples from ", DrawnFrom(before),
          " clusters before and from ", DrawnFrom(after),
          " after: losses can't be compared; apply the system with another bootstrap seed for a "
          "baseline that can"));
    }
    evaluations.push_back(after);
  }
  return evaluations;
}

// Adds what an update made of a loss.
absl::Status AddAfter(const Comparison& comparison, const records::OpenUpdate& update,
                      const std::vector<v1::Evaluation>& evaluations, verdict::LossEvidence& loss) {
  for (size_t i = 0; i < evaluations.size(); ++i) {
    const int k = static_cast<int>(i);
    BACKFIRE_ASSIGN_OR_RETURN(loss.after.emplace_back(), Sample(evaluations[i], loss));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version old,
                              planning::VersionAsOf(comparison.base, loss.vertex, k));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Version current,
                              planning::VersionAsOf(update, loss.vertex, k));
    // A proposed version may come from anywhere.
    const bool proposed = loss.candidate && !comparison.update.version().empty();
    if (!proposed && old.build_fingerprint() != current.build_fingerprint()) {
      loss.other_build = true;
    }
    const auto swapped =
        update.plan().by_id.find(planning::StepId(v1::Step::EVALUATE_SWAPPED, loss.vertex, k));
    if (swapped == update.plan().by_id.end()) continue;
    const v1::LossEstimate* estimate =
        FindLoss(update.step(swapped->second).step.evaluation(), loss.loss, loss.slice);
    if (estimate != nullptr) loss.swapped.push_back(estimate->value());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<verdict::Evidence> BuildBaseEvidence(const Comparison& comparison, int replicates) {
  const v1::Update& update = comparison.update;
  const graph::SystemGraph& graph = comparison.system.graph;
  verdict::Evidence evidence;
  evidence.alpha = graph.system().alpha();
  evidence.look = std::max(1, update.look());
  for (int look = 1; look <= update.planned_looks(); ++look) {
    evidence.look_replicates.push_back(
        planning::ReplicatesOfLook(update.planned_replicates(), update.planned_looks(), look));
  }
  std::vector<std::string> vertices = graph.Descendants(update.vertex());
  vertices.insert(vertices.begin(), update.vertex());
  for (const std::string& vertex : vertices) {
    const v1::Model& model = comparison.system.models.at(vertex);
    const v1::Vertex& settings = graph.node(vertex).vertex;
    std::vector<v1::Evaluation> evaluations;
    for (int k = 0; k < replicates; ++k) {
      BACKFIRE_ASSIGN_OR_RETURN(evaluations.emplace_back(),
                                EvaluationAsOf(comparison.base, vertex, k, comparison.read));
    }
    std::set<std::string> missing(settings.required_slices().begin(),
                                  settings.required_slices().end());
    std::vector<std::string> slices(missing.begin(), missing.end());
    slices.insert(slices.begin(), "");
    for (const v1::JudgedLoss& judged : model.losses()) {
      for (const std::string& slice : slices) {
        if (!slice.empty() && FindLoss(evaluations[0], judged.name(), slice) == nullptr) continue;
        missing.erase(slice);
        verdict::LossEvidence& loss = evidence.losses.emplace_back();
        loss.vertex = vertex;
        loss.loss = judged.name();
        loss.slice = slice;
        loss.unit = judged.unit();
        loss.candidate = vertex == update.vertex();
        loss.judged = model.kind() != v1::Model::TRANSFORM;
        const auto margin = settings.margins().find(judged.name());
        if (margin != settings.margins().end()) loss.margin = margin->second;
        loss.size = SizeOf(evaluations[0], loss);
        for (const v1::Evaluation& evaluation : evaluations) {
          BACKFIRE_ASSIGN_OR_RETURN(loss.before.emplace_back(), Sample(evaluation, loss));
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

absl::StatusOr<verdict::Evidence> BuildEvidence(const Comparison& comparison,
                                                const records::OpenUpdate& update,
                                                int64_t judged_before) {
  BACKFIRE_ASSIGN_OR_RETURN(verdict::Evidence evidence,
                            BuildBaseEvidence(comparison, comparison.update.replicates()));
  evidence.candidates_judged += static_cast<int>(judged_before);
  std::string vertex;  // Whose evaluations these are; losses of one follow one another.
  std::vector<v1::Evaluation> evaluations;
  for (verdict::LossEvidence& loss : evidence.losses) {
    if (loss.vertex != vertex) {
      vertex = loss.vertex;
      BACKFIRE_ASSIGN_OR_RETURN(evaluations, EvaluationsAfter(comparison, update, vertex));
    }
    BACKFIRE_RETURN_IF_ERROR(AddAfter(comparison, update, evaluations, loss));
  }
  BACKFIRE_ASSIGN_OR_RETURN(evidence.commitments, CollectCommitments(comparison, update));
  evidence.unverified_vertices = UnverifiedVertices(comparison);
  return evidence;
}

std::string TestSplitDigest(const records::OpenUpdate& update) {
  for (size_t i = 0; i < update.step_count(); ++i) {
    const v1::Step& step = update.step(i).step;
    const bool on_test_split =
        step.kind() == v1::Step::EVALUATE || step.kind() == v1::Step::EVALUATE_SWAPPED;
    if (on_test_split && !step.evaluation().losses().empty()) {
      return step.evaluation().dataset_digest();
    }
  }
  return "";
}

}  // namespace backfire::evidence
