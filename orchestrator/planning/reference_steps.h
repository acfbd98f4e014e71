#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::planning {

/// The reference recipes that a vertex names, by their field of v1.References, in its order.
std::vector<std::pair<std::string, v1::Recipe>> ReferencesOf(const v1::Vertex& vertex);

/// `evaluate-true/w/0`; `train-reference/w/0/bayes` and `evaluate-reference/w/0/bayes`.
std::string ReferenceStepId(v1::Step::Kind kind, const std::string& vertex, int replicate,
                            const std::string& reference);

/// Appends the steps that find a vertex's true losses in replicate k, if it names references.
void AppendReferenceSteps(const v1::Vertex& vertex, int replicate, std::vector<v1::Step>& steps);

}  // namespace backfire::planning
