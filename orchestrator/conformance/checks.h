#pragma once

#include "absl/status/statusor.h"
#include "orchestrator/conformance/trial.h"

namespace backfire::conformance {

/// Each tries one part of the contract, and notes what it finds in `trial`. `base` is a version
/// that was trained by the recipe as it was asked for, on plain parents, with seed 0.

/// Names, tensors, recipes, losses.
void TryDescription(Trial& trial);
/// Trains `base`. INVALID_ARGUMENT: the service refuses what the user asked for. An empty version
/// name: training is broken, as is noted, and there is nothing more to try.
absl::StatusOr<Trained> TryFirstTraining(Trial& trial);
/// Jobs by their request_id, and bad requests to train.
void TryTrainRequests(Trial& trial, const Trained& base);
/// What makes another version, and what makes the same one: parents, seed, parameters.
void TryIdentity(Trial& trial, const Trained& base);
void TryParameters(Trial& trial, const Trained& base);
/// ResolveRecipe.
void TryResolving(Trial& trial, const Trained& base);
/// Which parents are pulled, with which digest; swapped parents; parents that fail.
void TryFeeding(Trial& trial, const Trained& base);
/// Losses of an evaluation, and bad requests to evaluate.
void TryEvaluation(Trial& trial, const Trained& base);
/// Resamples, where the contract fixes them whatever a loss is.
void TryResamples(Trial& trial, const Trained& base);
/// Materialize.
void TryOutputs(Trial& trial, const Trained& base);
/// LoadVersion and ModelInfer.
void TryServing(Trial& trial, const Trained& base);
/// Listing, watching, moving and deleting. Deletes versions, so it comes last.
void TryVersions(Trial& trial, const Trained& base);

}  // namespace backfire::conformance
