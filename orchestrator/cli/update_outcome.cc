#include "orchestrator/cli/update_outcome.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::cli {

ExitCode ExitCodeOf(const v1::Update& update, bool gate) {
  if (update.state() == v1::Update::FAILED) return ExitCode::kFailed;
  if (update.state() == v1::Update::CANCELLED) return ExitCode::kUndecided;
  if (!gate || update.baseline()) return ExitCode::kOk;
  // Whatever a verdict said that was void since.
  if (update.state() == v1::Update::REJECTED) return ExitCode::kUndecided;
  if (!update.has_verdict()) {
    // What completes a baseline's replicates is judged by nobody.
    return update.state() == v1::Update::PROMOTED ? ExitCode::kOk : ExitCode::kUndecided;
  }
  const v1::Verdict& verdict = update.verdict();
  if (verdict::Blocks(verdict)) return ExitCode::kRefused;
  return verdict.outcome() == v1::Verdict::SAFE ? ExitCode::kOk : ExitCode::kUndecided;
}

absl::StatusOr<std::string> UpdateField(const v1::Update& update, const std::string& field) {
  if (field == "name") return update.name();
  if (field == "state") return v1::Update::State_Name(update.state());
  if (field == "release") return update.release();
  if (field == "baseline_release") return update.baseline_release();
  if (field == "verdict") {
    return update.has_verdict() ? v1::Verdict::Outcome_Name(update.verdict().outcome()) : "";
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--field: must be name, state, release, baseline_release or verdict: got \"", field, "\""));
}

}  // namespace backfire::cli
