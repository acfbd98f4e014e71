#include "orchestrator/evidence/judgement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/diagnosis/diagnosis.h"
#include "orchestrator/planning/reference_steps.h"
#include "orchestrator/verdict/verdict.h"
#include "services/base/status.h"

namespace backfire::evidence {

absl::StatusOr<std::vector<v1::VertexDiagnosis>> BuildDiagnoses(const Comparison& comparison,
                                                                const records::OpenUpdate& update) {
  std::vector<v1::VertexDiagnosis> diagnoses;
  const auto& models = comparison.system.models;
  const graph::SystemGraph& graph = comparison.system.graph;
  for (const std::string& vertex : graph.Descendants(comparison.update.vertex())) {
    const v1::References& named = graph.node(vertex).vertex.references();
    // Terms are differences: without any of these there are none.
    if (!named.has_bayes() || !named.has_optimal() || !named.has_optimal_in_class()) continue;
    if (models.at(vertex).losses().empty()) continue;
    const std::string& loss = models.at(vertex).losses(0).name();
    std::vector<diagnosis::TrueLosses> sides[2];
    for (const bool after : {false, true}) {
      for (int k = 0; k < comparison.update.replicates(); ++k) {
        diagnosis::TrueLosses& losses = sides[after].emplace_back();
        const auto read = [&](v1::Step::Kind kind,
                              const std::string& reference) -> absl::StatusOr<double> {
          const std::string id = planning::ReferenceStepId(kind, vertex, k, reference);
          BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry entry,
                                    after ? update.Find(id) : comparison.base.Find(id));
          // Nothing is resampled on a population, so that the step has all of it.
          for (const v1::LossEstimate& estimate : entry.step->evaluation().losses()) {
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

absl::StatusOr<planning::Judgement> Judge(
    const records::SystemRevision& system, const records::OpenUpdate& update,
    const ReadEvaluation& read,
    const std::function<absl::StatusOr<int64_t>(const std::string& test_split)>& count_judged) {
  const Comparison comparison{system, update.update(), *update.base(), read};
  planning::Judgement judgement;
  judgement.test_split = TestSplitDigest(update);
  BACKFIRE_ASSIGN_OR_RETURN(const int64_t judged_before, count_judged(judgement.test_split));
  BACKFIRE_ASSIGN_OR_RETURN(const verdict::Evidence evidence,
                            BuildEvidence(comparison, update, judged_before));
  judgement.verdict = verdict::Decide(evidence);
  if (update.unfinished().steps == 0) {
    BACKFIRE_ASSIGN_OR_RETURN(judgement.diagnoses, BuildDiagnoses(comparison, update));
  }
  return judgement;
}

}  // namespace backfire::evidence
