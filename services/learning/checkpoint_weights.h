#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace backfire::learning {

/// Turns a file of torch.save (see TorchCheckpoint) into weights as SaveWeights writes them.
/// @param expected  Weights of any network of the recipe: these names, shapes and types are needed.
///                  Floating point values of another width are converted. The prefix `module.` that
///                  DataParallel puts before every name is taken off. `num_batches_tracked`, which
///                  torch before 0.4.1 did not write, may be missing.
/// INVALID_ARGUMENT: the file is not of torch.save, damaged, or doesn't fit: names every missing,
/// extra and misshapen tensor in one message; or a value is NaN, infinite or too large for the type
/// that is needed, or that of a `running_var` is below 0.
absl::StatusOr<std::string> WeightsFromCheckpoint(const std::string& file,
                                                  const std::string& expected);

/// The reverse: a file that Python's torch.load reads as a dict of tensors by name. DATA_LOSS:
/// `weights` are none.
absl::StatusOr<std::string> CheckpointFromWeights(const std::string& weights);

}  // namespace backfire::learning
