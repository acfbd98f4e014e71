#include "orchestrator/records/update_state.h"

namespace backfire::records {

bool IsOpen(v1::Update::State state) {
  switch (state) {
    case v1::Update::PROPOSED:
    case v1::Update::TRAINING_CANDIDATE:
    case v1::Update::EVALUATING_CANDIDATE:
    case v1::Update::RETRAINING:
    case v1::Update::EVALUATING:
      return true;
    default:
      return false;
  }
}

v1::Update::State PhaseOf(const v1::Update& update, const v1::Step& step) {
  const bool is_candidate = update.baseline() || step.vertex() == update.vertex();
  switch (step.kind()) {
    case v1::Step::TRAIN:
    case v1::Step::COMMIT:  // What is trained on its outputs waits for it.
      return is_candidate ? v1::Update::TRAINING_CANDIDATE : v1::Update::RETRAINING;
    case v1::Step::EVALUATE:
    case v1::Step::EVALUATE_SWAPPED:
    case v1::Step::EVALUATE_TRUE:
    case v1::Step::TRAIN_REFERENCE:
    case v1::Step::EVALUATE_REFERENCE:
      return is_candidate ? v1::Update::EVALUATING_CANDIDATE : v1::Update::EVALUATING;
    default:
      return v1::Update::EVALUATING;
  }
}

bool TakesProposedVersion(const v1::Update& update, const v1::Step& step) {
  return !update.version().empty() && step.kind() == v1::Step::TRAIN &&
         step.vertex() == update.vertex();
}

}  // namespace backfire::records
