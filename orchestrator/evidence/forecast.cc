#include "orchestrator/evidence/forecast.h"

#include <algorithm>
#include <set>
#include <string>

#include "orchestrator/planning/plan.h"
#include "orchestrator/verdict/looks.h"
#include "orchestrator/verdict/sensitivity.h"
#include "services/base/status.h"

namespace backfire::evidence {

absl::StatusOr<std::vector<v1::Sensitivity>> BuildSensitivities(const Comparison& comparison) {
  // All of the base's replicates tell of its noise, however many the update has.
  BACKFIRE_ASSIGN_OR_RETURN(const verdict::Evidence evidence,
                            BuildBaseEvidence(comparison, comparison.base.update().replicates()));
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
    sensitivities.push_back(verdict::EstimateSensitivity(
        loss, comparison.update.planned_replicates(), alpha, static_cast<int>(family)));
  }
  return sensitivities;
}

absl::StatusOr<v1::Reuse> BuildReuse(const Comparison& comparison) {
  const graph::SystemGraph& graph = comparison.system.graph;
  const std::set<std::string> touched = planning::TouchedVertices(graph, comparison.update);
  // Others are trained before it begins, and are no work that was done already.
  const int replicates =
      std::min(comparison.update.replicates(), comparison.base.update().replicates());
  v1::Reuse reuse;
  const auto add_seconds = [&](v1::Step::Kind kind, const std::string& vertex,
                               int k) -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const records::Standing::Entry entry,
                              comparison.base.Find(planning::StepId(kind, vertex, k)));
    reuse.set_seconds(reuse.seconds() + entry.step->compute_seconds());
    return absl::OkStatus();
  };
  for (const std::string& vertex : graph.WithAncestors(touched)) {
    for (int k = 0; k < replicates; ++k) {
      BACKFIRE_RETURN_IF_ERROR(add_seconds(v1::Step::TRAIN, vertex, k));
      reuse.set_versions(reuse.versions() + 1);
      if (touched.count(vertex) == 0) continue;
      BACKFIRE_RETURN_IF_ERROR(add_seconds(v1::Step::EVALUATE, vertex, k));
      reuse.set_evaluations(reuse.evaluations() + 1);
    }
  }
  return reuse;
}

}  // namespace backfire::evidence
