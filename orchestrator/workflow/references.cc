#include "orchestrator/workflow/references.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/diagnosis/diagnosis.h"
#include "orchestrator/workflow/records.h"
#include "services/base/status.h"

namespace backfire::workflow {

std::vector<std::pair<std::string, v1::Recipe>> ReferencesOf(const v1::Vertex& vertex) {
  std::vector<std::pair<std::string, v1::Recipe>> references;
  const v1::References& named = vertex.references();
  if (named.has_bayes()) references.emplace_back("bayes", named.bayes());
  if (named.has_optimal()) references.emplace_back("optimal", named.optimal());
  if (named.has_optimal_in_class()) {
    references.emplace_back("optimal_in_class", named.optimal_in_class());
  }
  if (named.has_optimal_partner()) {
    references.emplace_back("optimal_partner", named.optimal_partner());
  }
  return references;
}

std::string ReferenceStepId(v1::Step::Kind kind, const std::string& vertex, int replicate,
                            const std::string& reference) {
  if (kind == v1::Step::EVALUATE_TRUE)
    return absl::StrCat("evaluate-true/", vertex, "/", replicate);
  const char* verb = kind == v1::Step::TRAIN_REFERENCE ? "train-reference" : "evaluate-reference";
  return absl::StrCat(verb, "/", vertex, "/", replicate, "/", reference);
}

void AppendReferenceSteps(const v1::Vertex& vertex, int replicate, std::vector<v1::Step>& steps) {
  const auto append = [&](v1::Step::Kind kind, const std::string& reference) {
    v1::Step& step = steps.emplace_back();
    step.set_id(ReferenceStepId(kind, vertex.name(), replicate, reference));
    step.set_kind(kind);
    step.set_vertex(vertex.name());
    step.set_replicate(replicate);
    step.set_reference(reference);
    step.set_state(v1::Step::WAITING);
  };
  const auto references = ReferencesOf(vertex);
  if (!references.empty()) append(v1::Step::EVALUATE_TRUE, "");
  for (const auto& [name, recipe] : references) {
    append(v1::Step::TRAIN_REFERENCE, name);
    append(v1::Step::EVALUATE_REFERENCE, name);
  }
}

absl::StatusOr<std::vector<v1::VertexDiagnosis>> BuildDiagnoses(const store::Contents& contents,
                                                                const graph::SystemGraph& graph,
                                                                const store::UpdateRecord& update) {
  std::vector<v1::VertexDiagnosis> diagnoses;
  const auto& models = contents.systems.at(update.update.system_revision()).models;
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t baseline, BaselineOf(contents, update));
  for (const std::string& vertex : graph.Descendants(update.update.vertex())) {
    const v1::References& named = graph.node(vertex).vertex.references();
    // Terms are differences: without any of these there are none.
    if (!named.has_bayes() || !named.has_optimal() || !named.has_optimal_in_class()) continue;
    if (models.at(vertex).losses().empty()) continue;
    const std::string& loss = models.at(vertex).losses(0).name();
    std::vector<diagnosis::TrueLosses> sides[2];
    for (const bool after : {false, true}) {
      for (int k = 0; k < update.update.replicates(); ++k) {
        diagnosis::TrueLosses& losses = sides[after].emplace_back();
        const auto read = [&](v1::Step::Kind kind,
                              const std::string& reference) -> absl::StatusOr<double> {
          const std::string id = ReferenceStepId(kind, vertex, k, reference);
          BACKFIRE_ASSIGN_OR_RETURN(const store::StepRecord* record,
                                    FindStep(contents, after ? update.number : baseline, id));
          for (const v1::LossEstimate& estimate : record->evaluation.losses()) {
            if (estimate.loss() != loss || !estimate.slice().empty()) continue;
            losses.numerical_error = std::max(losses.numerical_error, estimate.numerical_error());
            return estimate.value();
          }
          return absl::InternalError(absl::StrCat("step ", id, " has no loss ", loss));
        };
        BACKFIRE_ASSIGN_OR_RETURN(losses.version, read(v1::Step::EVALUATE_TRUE, ""));
        constexpr v1::Step::Kind kReference = v1::Step::EVALUATE_REFERENCE;
        BACKFIRE_ASSIGN_OR_RETURN(losses.bayes, read(kReference, "bayes"));
        BACKFIRE_ASSIGN_OR_RETURN(losses.optimal, read(kReference, "optimal"));
        BACKFIRE_ASSIGN_OR_RETURN(losses.optimal_in_class, read(kReference, "optimal_in_class"));
        if (named.has_optimal_partner()) {
          BACKFIRE_ASSIGN_OR_RETURN(losses.partner, read(kReference, "optimal_partner"));
        }
      }
    }
    diagnoses.push_back(diagnosis::Diagnose(vertex, loss, sides[false], sides[true]));
  }
  return diagnoses;
}

}  // namespace backfire::workflow
