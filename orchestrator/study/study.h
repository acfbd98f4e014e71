#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/study/study.pb.h"
#include "orchestrator/study/study_mesh.h"

namespace backfire::study {

/// Runs the first proposal of a system file.
/// @param replicates  0: as the file says.
/// @param evidence    File that gets what the verdict was made of; empty: none.
absl::StatusOr<SystemResult> RunSystem(const StudyPlace& place, const std::string& system_file,
                                       int replicates, const std::string& evidence);

/// What an update came to, beside what its proposal expects. Pure.
SystemResult Summarise(const v1::System& system, const v1::Proposal& proposal,
                       const v1::Update& update);

/// Results for a person: a line per system, and a table of terms for each vertex.
std::string ResultsText(const std::vector<SystemResult>& results);

}  // namespace backfire::study
