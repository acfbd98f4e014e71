#pragma once

#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"
#include "orchestrator/evidence/evidence.h"

namespace backfire::evidence {

/// Collects what the losses of an update and of its base were computed on, each commitment once:
/// of every evaluation of the changed vertex and its descendants.
absl::StatusOr<std::vector<v1::OutputsCommitment>> CollectCommitments(
    const Comparison& comparison, const records::OpenUpdate& update);

/// The changed vertex, its descendants and their parents whose services neither commit to outputs
/// nor hold parents to theirs, by name: what passes between them and their neighbours rests on the
/// word of whoever answers.
std::vector<std::string> UnverifiedVertices(const Comparison& comparison);

}  // namespace backfire::evidence
