#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/model.h"

namespace backfire::learning {

/// How a network is optimised: Adam (Kingma and Ba, 2015), linear warm-up, constant, then linear
/// decay to a hundredth.
struct TrainingSchedule {
  int64_t steps = 0;
  double learning_rate = 1e-3;  ///< At its highest.
  int64_t warmup_steps = 0;
  double decay_fraction = 0.4;     ///< The last part of the steps, in which the rate falls.
  double gradient_norm = 1e9;      ///< Longer gradients are scaled down to it.
  int64_t checkpoint_steps = 100;  ///< A checkpoint after every so many.
  double weight_decay = 0;
  /// One-cycle instead (Smith, 2018): the rate rises from a tenth for 40 % of the steps and falls
  /// to a hundred-thousandth, by cosines, while Adam's first beta goes from 0.95 to 0.85 and back;
  /// weights decay by rate * weight_decay, apart from the gradient.
  bool one_cycle = false;
};

/// The learning rate of a step, from 0.
double LearningRate(const TrainingSchedule& schedule, int64_t step);
/// Adam's first beta.
double Momentum(const TrainingSchedule& schedule, int64_t step);

/// Loss of the network on the batch of a step; must depend on the network and the step alone.
using LossOfStep = std::function<absl::StatusOr<torch::Tensor>(int64_t step)>;

/// Optimises `network`, in place, reporting and asking for cancellation at every step. Keeps a
/// checkpoint in `checkpoint_path`, and goes on from it to the same bits as without the break.
/// CANCELLED: the job was. FAILED_PRECONDITION: the loss became NaN or infinite at some step.
absl::Status RunTraining(const TrainingSchedule& schedule, const std::string& checkpoint_path,
                         const LossOfStep& loss_of_step, torch::nn::Module& network,
                         runtime::JobContext& job);

}  // namespace backfire::learning
