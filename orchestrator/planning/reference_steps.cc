#include "orchestrator/planning/reference_steps.h"

#include "absl/strings/str_cat.h"

namespace backfire::planning {

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

}  // namespace backfire::planning
