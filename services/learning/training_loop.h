#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learning/training_schedule.h"
#include "services/runtime/model.h"

namespace backfire::learning {

/// Loss of the network on the batch of a step; must depend on the network and the step alone.
using LossOfStep = std::function<absl::StatusOr<torch::Tensor>(int64_t step)>;

/// Optimises `network`, in place, reporting and asking for cancellation at every step. Keeps a
/// checkpoint in `files`, and goes on from it to the same bits as without the break.
/// On a GPU the loss is only looked at now and then, so that the host never waits inside a step.
/// CANCELLED: the job was. FAILED_PRECONDITION: the loss or the gradient became NaN or infinite;
/// the message names the step, and the weights of the last checkpoint are left in
/// `files.last_good_weights`, as a file of torch.save.
absl::Status RunTraining(const TrainingSchedule& schedule, const runtime::TrainingFiles& files,
                         const LossOfStep& loss_of_step, torch::nn::Module& network,
                         runtime::JobContext& job);

}  // namespace backfire::learning
