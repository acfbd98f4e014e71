#include "services/learning/training_loop.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/learning/weights.h"

namespace backfire::learning {
namespace {

constexpr double kFinalRate = 0.01;
constexpr double kSmoothing = 0.95;
constexpr double kOneCyclePeak = 0.4;

// What a training is between two steps.
struct State {
  int64_t step = 0;
  double smoothed_loss = 0;
};

std::string Serialize(const State& state, const torch::nn::Module& network,
                      const torch::optim::Adam& optimizer) {
  torch::serialize::OutputArchive archive;
  archive.write("step", torch::tensor(state.step));
  archive.write("smoothed_loss", torch::tensor(state.smoothed_loss, torch::kFloat64));
  torch::serialize::OutputArchive network_archive, optimizer_archive;
  network.save(network_archive);
  archive.write("network", network_archive);
  optimizer.save(optimizer_archive);
  archive.write("optimizer", optimizer_archive);
  std::ostringstream bytes;
  archive.save_to(bytes);
  return bytes.str();
}

absl::Status Restore(const std::string& bytes, State& state, torch::nn::Module& network,
                     torch::optim::Adam& optimizer) {
  try {
    std::istringstream stream(bytes);
    torch::serialize::InputArchive archive, network_archive, optimizer_archive;
    archive.load_from(stream);
    torch::Tensor value;
    archive.read("step", value);
    state.step = value.item<int64_t>();
    archive.read("smoothed_loss", value);
    state.smoothed_loss = value.item<double>();
    archive.read("network", network_archive);
    network.load(network_archive);
    archive.read("optimizer", optimizer_archive);
    optimizer.load(optimizer_archive);
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::DataLossError(error.what());
  }
}

// From `start` to `peak` in the first 40 % of the steps, then to `end`, by half cosines.
double OneCycle(const TrainingSchedule& schedule, int64_t step, double start, double peak,
                double end) {
  const double steps = static_cast<double>(std::max<int64_t>(schedule.steps, 1));
  const double rising = kOneCyclePeak * steps, at = static_cast<double>(step);
  const auto between = [](double from, double to, double part) {
    return to + (from - to) / 2 * (1 + std::cos(M_PI * part));
  };
  return at < rising ? between(start, peak, at / rising)
                     : between(peak, end, (at - rising) / (steps - rising));
}

}  // namespace

double Momentum(const TrainingSchedule& schedule, int64_t step) {
  return schedule.one_cycle ? OneCycle(schedule, step, 0.95, 0.85, 0.95) : 0.9;
}

double LearningRate(const TrainingSchedule& schedule, int64_t step) {
  if (schedule.one_cycle) {
    return OneCycle(schedule, step, schedule.learning_rate / 10, schedule.learning_rate,
                    schedule.learning_rate * 1e-5);
  }
  const double at = static_cast<double>(step);
  const double steps = static_cast<double>(schedule.steps);
  const double decay_start = steps * (1 - schedule.decay_fraction);
  if (step < schedule.warmup_steps) {
    return schedule.learning_rate * (at + 1) / static_cast<double>(schedule.warmup_steps);
  }
  if (at < decay_start) return schedule.learning_rate;
  const double progress = (at - decay_start) / std::max(steps - decay_start, 1.0);
  return schedule.learning_rate * (1 - (1 - kFinalRate) * progress);
}

absl::Status RunTraining(const TrainingSchedule& schedule, const std::string& checkpoint_path,
                         const LossOfStep& loss_of_step, torch::nn::Module& network,
                         runtime::JobContext& job) {
  torch::optim::Adam optimizer(network.parameters(),
                               torch::optim::AdamOptions(schedule.learning_rate)
                                   .weight_decay(schedule.one_cycle ? 0 : schedule.weight_decay));
  State state;
  const absl::StatusOr<std::string> checkpoint = ReadFile(checkpoint_path);
  if (checkpoint.ok()) {
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(Restore(*checkpoint, state, network, optimizer), checkpoint_path));
  } else if (!absl::IsNotFound(checkpoint.status())) {
    return checkpoint.status();
  }
  network.train();
  const int64_t first_step = state.step;
  const auto start = std::chrono::steady_clock::now();
  for (; state.step < schedule.steps; ++state.step) {
    if (job.cancelled()) return absl::CancelledError("cancelled while training");
    const double rate = LearningRate(schedule, state.step);
    for (auto& group : optimizer.param_groups()) {
      static_cast<torch::optim::AdamOptions&>(group.options())
          .lr(rate)
          .betas({Momentum(schedule, state.step), 0.999});
    }
    optimizer.zero_grad();
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Tensor loss, loss_of_step(state.step));
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the loss is ", value, " at step ", state.step,
                       ": lower recipe.parameters.learning_rate, or look for bad data"));
    }
    loss.backward();
    torch::nn::utils::clip_grad_norm_(network.parameters(), schedule.gradient_norm);
    if (schedule.one_cycle && schedule.weight_decay > 0) {
      const torch::NoGradGuard no_gradient;
      for (torch::Tensor& weights : network.parameters()) {
        weights.mul_(1 - rate * schedule.weight_decay);
      }
    }
    optimizer.step();
    state.smoothed_loss =
        state.step == 0 ? value : kSmoothing * state.smoothed_loss + (1 - kSmoothing) * value;

    v1::Progress progress;
    progress.set_stage("training");
    progress.set_step(state.step + 1);
    progress.set_total_steps(schedule.steps);
    progress.set_loss(state.smoothed_loss);
    progress.set_learning_rate(rate);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    progress.set_eta_seconds(elapsed.count() / static_cast<double>(state.step + 1 - first_step) *
                             static_cast<double>(schedule.steps - state.step - 1));
    job.Report(progress);
    if ((state.step + 1) % schedule.checkpoint_steps == 0) {
      State next = state;
      ++next.step;
      BACKFIRE_RETURN_IF_ERROR(
          WriteFileAtomically(checkpoint_path, Serialize(next, network, optimizer)));
    }
  }
  return absl::OkStatus();
}

}  // namespace backfire::learning
