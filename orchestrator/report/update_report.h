#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// What an update is about: `baseline`, or `disparity -> psmnet-disparity-mae (steps=300)`.
std::string UpdateTitle(const v1::Update& update);

/// The same without a recipe's parameters, which may be many: for lines that say more than this.
std::string BriefUpdateTitle(const v1::Update& update);

/// Losses of a baseline's vertices on the test split, a row each; mean and spread over replicates.
std::string EvaluationTable(const v1::Update& update);

/// Everything about one update for a person: state, release, and the evaluation of a baseline or
/// the verdict of a proposal; steps as long as it is open.
std::string UpdateText(const v1::Update& update);

/// One line per update.
std::string UpdateListText(const v1::ListUpdatesResponse& updates);

/// A system: dataset, replicates, and a line per vertex.
std::string SystemText(const v1::System& system);

}  // namespace backfire::report
