#pragma once

#include <cstdint>

namespace backfire::learning {

/// How a learning rate falls in the last part of a training.
enum class RateDecay {
  kLinear,  ///< In a line to a hundredth.
  kCosine,  ///< Along half a cosine to a hundredth.
  kStep,    ///< At once to a tenth.
};

/// How a network is optimised: Adam (Kingma and Ba, 2015) with linear warm-up, a constant rate,
/// then decay.
struct TrainingSchedule {
  int64_t steps = 0;
  double learning_rate = 1e-3;  ///< At its highest.
  int64_t warmup_steps = 0;
  double decay_fraction = 0.4;  ///< The last part of the steps, in which the rate falls.
  RateDecay decay = RateDecay::kLinear;
  double gradient_norm = 1e9;      ///< Longer gradients are scaled down to it.
  int64_t checkpoint_steps = 100;  ///< A checkpoint after every so many.
  double weight_decay = 0;         ///< L2, added to the gradient.
  /// One-cycle instead (Smith, 2018): the rate rises from a tenth for 40 % of the steps and falls
  /// to a hundred-thousandth, by cosines, while Adam's first beta goes from 0.95 to 0.85 and back;
  /// weights decay by rate * weight_decay, apart from the gradient.
  bool one_cycle = false;
};

/// The learning rate of a step, from 0.
double LearningRate(const TrainingSchedule& schedule, int64_t step);
/// Adam's first beta.
double Momentum(const TrainingSchedule& schedule, int64_t step);

}  // namespace backfire::learning
