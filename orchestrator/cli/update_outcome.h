#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/cli/exit_code.h"

namespace backfire::cli {

/// What an update's state and verdict mean for a script. A FAILED update is kFailed, a CANCELLED
/// one kUndecided. With `gate`: kRefused exactly if a loss of the candidate or of a descendant is
/// worse beyond its margin, whatever the verdict is called, kOk if it is SAFE, and else kUndecided:
/// of a first look, too. Without it anything else is kOk.
ExitCode ExitCodeOf(const v1::Update& update, bool gate);

/// One field as text: `name`, `state`, `release`, `baseline_release`, `verdict` (its outcome, empty
/// while there is none). INVALID_ARGUMENT: another field.
absl::StatusOr<std::string> UpdateField(const v1::Update& update, const std::string& field);

}  // namespace backfire::cli
