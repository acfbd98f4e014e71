#include "tests/support/planar_study.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/planar/rehearsal.h"
#include "services/yaml/yaml_message.h"

namespace backfire::testing {
namespace {

using planar::Rehearsal;
using runtime::Split;

verdict::LossSample Sample(const v1::Evaluation& evaluation) {
  const v1::LossEstimate& loss = evaluation.losses(0);
  return {loss.value(), {loss.resampled().begin(), loss.resampled().end()}};
}

}  // namespace

absl::StatusOr<diagnosis::TrueLosses> TrueLossesOf(Rehearsal& rehearsal, const std::string& vertex,
                                                   const Rehearsal::Versions& versions) {
  diagnosis::TrueLosses losses;
  const auto measure = [&](Rehearsal::Version& version) -> absl::StatusOr<double> {
    BACKFIRE_ASSIGN_OR_RETURN(const auto evaluation,
                              rehearsal.Evaluate(vertex, version, Split::kPopulation));
    losses.numerical_error =
        std::max(losses.numerical_error, evaluation.losses(0).numerical_error());
    return evaluation.losses(0).value();
  };
  const auto reference = [&](const v1::Recipe& recipe) -> absl::StatusOr<double> {
    BACKFIRE_ASSIGN_OR_RETURN(
        const auto version,
        rehearsal.Train(vertex, recipe, rehearsal.graph().system().seed(), versions));
    return measure(*version);
  };
  const v1::References& named = rehearsal.graph().node(vertex).vertex.references();
  BACKFIRE_ASSIGN_OR_RETURN(losses.version, measure(*versions.at(vertex)));
  BACKFIRE_ASSIGN_OR_RETURN(losses.bayes, reference(named.bayes()));
  BACKFIRE_ASSIGN_OR_RETURN(losses.optimal, reference(named.optimal()));
  BACKFIRE_ASSIGN_OR_RETURN(losses.optimal_in_class, reference(named.optimal_in_class()));
  if (named.has_optimal_partner()) {
    BACKFIRE_ASSIGN_OR_RETURN(losses.partner, reference(named.optimal_partner()));
  }
  return losses;
}

v1::System PlanarSystem(const std::string& name, const std::string& from, const std::string& to) {
  const std::string path =
      absl::StrCat(BACKFIRE_SOURCE_DIR, "/deploy/systems/planar/", name, ".yaml");
  absl::StatusOr<std::string> text = ReadFile(path);
  v1::System system;
  absl::Status status = text.status();
  if (status.ok() && !from.empty()) {
    const size_t at = text->find(from);
    if (at == std::string::npos) status = absl::NotFoundError(absl::StrCat("no text ", from));
    if (status.ok()) text->replace(at, from.size(), to);
  }
  if (status.ok()) status = ParseYaml(*text, path, system);
  if (status.ok()) return system;
  std::cerr << path << ": " << status << "\n";
  std::abort();
}

absl::StatusOr<StudyOutcome> RunProposal(v1::System system, int proposal, int64_t seed,
                                         bool diagnose) {
  BACKFIRE_ASSIGN_OR_RETURN(planar::Data data, planar::ParseData(system.dataset()));
  data.set_seed(data.seed() + 1000 * seed);
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(data, &json).ok()) {
    return absl::InternalError("the dataset has no JSON form");
  }
  system.set_dataset(absl::StrCat("planar:", json));
  system.set_seed(system.seed() + 1000 * seed);
  if (system.replicates() == 0) system.set_replicates(5);
  if (system.alpha() == 0) system.set_alpha(0.05);
  BACKFIRE_ASSIGN_OR_RETURN(const auto rehearsal, Rehearsal::Make(system));
  const graph::SystemGraph& graph = rehearsal->graph();
  const v1::Proposal& proposed = system.proposals(proposal);
  std::vector<std::string> judged = graph.Descendants(proposed.vertex());
  judged.insert(judged.begin(), proposed.vertex());
  verdict::Evidence evidence;
  evidence.alpha = system.alpha();
  const int64_t examples = rehearsal->dataset().size(Split::kTest);
  for (const std::string& vertex : judged) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    const v1::JudgedLoss& described = rehearsal->model(vertex).description().losses(0);
    loss.vertex = vertex;
    loss.loss = described.name();
    loss.unit = described.unit();
    loss.size = {examples, examples};
    loss.candidate = vertex == proposed.vertex();
    const auto& margins = graph.node(vertex).vertex.margins();
    if (margins.count(loss.loss) > 0) loss.margin = margins.at(loss.loss);
  }
  std::map<std::string, std::vector<diagnosis::TrueLosses>> truth_before, truth_after;
  for (int k = 0; k < system.replicates(); ++k) {
    BACKFIRE_ASSIGN_OR_RETURN(const auto before, rehearsal->TrainAll(k));
    BACKFIRE_ASSIGN_OR_RETURN(
        const auto after, rehearsal->TrainUpdate(proposed.vertex(), proposed.recipe(), k, before));
    for (verdict::LossEvidence& loss : evidence.losses) {
      const std::string& vertex = loss.vertex;
      BACKFIRE_ASSIGN_OR_RETURN(const auto was,
                                rehearsal->Evaluate(vertex, *before.at(vertex), Split::kTest));
      BACKFIRE_ASSIGN_OR_RETURN(const auto is,
                                rehearsal->Evaluate(vertex, *after.at(vertex), Split::kTest));
      loss.before.push_back(Sample(was));
      loss.after.push_back(Sample(is));
      if (!diagnose || !graph.node(vertex).vertex.has_references()) continue;
      BACKFIRE_ASSIGN_OR_RETURN(truth_before[vertex].emplace_back(),
                                TrueLossesOf(*rehearsal, vertex, before));
      BACKFIRE_ASSIGN_OR_RETURN(truth_after[vertex].emplace_back(),
                                TrueLossesOf(*rehearsal, vertex, after));
    }
  }
  StudyOutcome outcome;
  outcome.verdict = verdict::Decide(evidence);
  for (const std::string& vertex : judged) {
    if (truth_before.count(vertex) == 0) continue;
    outcome.diagnoses.push_back(
        diagnosis::Diagnose(vertex, "class_error", truth_before[vertex], truth_after[vertex]));
  }
  return outcome;
}

}  // namespace backfire::testing
