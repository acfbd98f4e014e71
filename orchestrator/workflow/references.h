#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/store/store.h"
#include "services/graph/system_graph.h"

namespace backfire::workflow {

/// The reference recipes that a vertex names, by their field of v1.References, in its order.
std::vector<std::pair<std::string, v1::Recipe>> ReferencesOf(const v1::Vertex& vertex);

/// `evaluate-true/w/0`; `train-reference/w/0/bayes` and `evaluate-reference/w/0/bayes`.
std::string ReferenceStepId(v1::Step::Kind kind, const std::string& vertex, int replicate,
                            const std::string& reference);

/// Appends the steps that find a vertex's true losses in replicate k, if it names references.
void AppendReferenceSteps(const v1::Vertex& vertex, int replicate, std::vector<v1::Step>& steps);

/// Splits the errors of all descendants that name references, before and after an update; all its
/// steps are done. INTERNAL: one is missing.
absl::StatusOr<std::vector<v1::VertexDiagnosis>> BuildDiagnoses(const store::Contents& contents,
                                                                const graph::SystemGraph& graph,
                                                                const store::UpdateRecord& update);

}  // namespace backfire::workflow
