#include "services/learning/training_loop.h"

#include <torch/serialize.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/exceptions.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/learning/adam.h"
#include "services/learning/checkpoint_weights.h"
#include "services/learning/weights.h"

namespace backfire::learning {
namespace {

constexpr double kFinalRate = 0.01, kStepRate = 0.1;
constexpr double kSmoothing = 0.95;
constexpr double kOneCyclePeak = 0.4;
// On a GPU, the loss is fetched after every so many steps.
constexpr int64_t kGpuLookSteps = 20;
constexpr double kBeta2 = 0.999, kEpsilon = 1e-8;

// What a training is between two steps.
struct State {
  int64_t step = 0;
  double smoothed_loss = 0;
};

std::string Serialize(const State& state, const torch::nn::Module& network, const Adam& adam) {
  torch::serialize::OutputArchive archive;
  archive.write("step", torch::tensor(state.step));
  archive.write("smoothed_loss", torch::tensor(state.smoothed_loss, torch::kFloat64));
  std::string weights = SaveWeights(network);
  archive.write("weights", torch::from_blob(weights.data(), {static_cast<int64_t>(weights.size())},
                                            torch::kUInt8));
  archive.write("first_moment", adam.first_moment());
  archive.write("second_moment", adam.second_moment());
  std::ostringstream bytes;
  archive.save_to(bytes);
  return bytes.str();
}

// A checkpoint as it was written.
struct Checkpoint {
  State state;
  std::string weights;
  torch::Tensor first_moment, second_moment;
};

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  const auto read = [&]() -> absl::StatusOr<Checkpoint> {
    std::istringstream stream(bytes);
    torch::serialize::InputArchive archive;
    archive.load_from(stream);
    torch::Tensor step, smoothed_loss, weights;
    archive.read("step", step);
    archive.read("smoothed_loss", smoothed_loss);
    archive.read("weights", weights);
    Checkpoint checkpoint;
    checkpoint.state = {step.item<int64_t>(), smoothed_loss.item<double>()};
    checkpoint.weights.assign(static_cast<const char*>(weights.data_ptr()),
                              static_cast<size_t>(weights.numel()));
    archive.read("first_moment", checkpoint.first_moment);
    archive.read("second_moment", checkpoint.second_moment);
    return checkpoint;
  };
  absl::StatusOr<Checkpoint> checkpoint = CatchExceptions(read);
  if (!checkpoint.ok()) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", std::string(checkpoint.status().message())));
  }
  return checkpoint;
}

// Leaves the last checkpoint's weights where people find them, and says so.
std::string RescueWeights(const runtime::TrainingFiles& files) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(files.checkpoint);
  if (absl::IsNotFound(checkpoint.status())) return "there was no checkpoint yet";
  absl::Status status = checkpoint.status();
  if (status.ok()) {
    const absl::StatusOr<std::string> file = CheckpointFromWeights(checkpoint->weights);
    status = file.ok() ? WriteFileAtomically(files.last_good_weights, *file) : file.status();
  }
  if (!status.ok()) {
    return absl::StrCat("the last good weights are lost: ", std::string(status.message()));
  }
  return absl::StrCat("the weights of step ", checkpoint->state.step, ", the last good ones, are ",
                      "in ", files.last_good_weights, ", as torch.save writes them");
}

absl::Status NotFinite(const char* what, double value, int64_t step,
                       const runtime::TrainingFiles& files) {
  return absl::FailedPreconditionError(
      absl::StrCat("the ", what, " is ", value, " at step ", step,
                   ": lower recipe.parameters.learning_rate or gradient_norm, or look for bad "
                   "data; ",
                   RescueWeights(files)));
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

Adam::Adam(torch::nn::Module& network) {
  const torch::NoGradGuard no_gradient;
  // Kernels like their arrays aligned to a cache line.
  constexpr int64_t kAlignment = 16;
  int64_t size = 0;
  const auto all = network.parameters();
  TORCH_CHECK(!all.empty(), "the network has no parameters");
  for (const torch::Tensor& parameter : all) {
    TORCH_CHECK(parameter.scalar_type() == torch::kFloat32, "parameters must be float32");
    size += (parameter.numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
  parameters_ = torch::zeros({size}, all[0].options().requires_grad(false));
  gradient_ = torch::zeros_like(parameters_);
  first_moment_ = torch::zeros_like(parameters_);
  second_moment_ = torch::zeros_like(parameters_);
  int64_t offset = 0;
  for (torch::Tensor parameter : all) {
    // Keeps the parameter's layout, which may be channels-last.
    const auto view = [&](const torch::Tensor& array) {
      return array.narrow(0, offset, parameter.numel())
          .as_strided(parameter.sizes(), parameter.strides());
    };
    const torch::Tensor values = view(parameters_), gradient = view(gradient_);
    values.copy_(parameter);
    parameter.set_data(values);
    parameter.mutable_grad() = gradient;
    offset += (parameter.numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
}

void Adam::Step(const AdamStep& step) {
  const torch::NoGradGuard no_gradient;
  ++steps_;
  const torch::Tensor scale = torch::clamp_max(step.gradient_norm / (GradientNorm() + 1e-6), 1.0);
  gradient_.mul_(scale);
  if (step.weight_decay != 0) {
    if (step.decoupled) {
      parameters_.mul_(1 - step.learning_rate * step.weight_decay);
    } else {
      gradient_.add_(parameters_, step.weight_decay);
    }
  }
  first_moment_.mul_(step.beta1).add_(gradient_, 1 - step.beta1);
  second_moment_.mul_(kBeta2).addcmul_(gradient_, gradient_, 1 - kBeta2);
  const double correction1 = 1 - std::pow(step.beta1, static_cast<double>(steps_));
  const double correction2 = 1 - std::pow(kBeta2, static_cast<double>(steps_));
  const torch::Tensor root = second_moment_.sqrt().div_(std::sqrt(correction2)).add_(kEpsilon);
  parameters_.addcdiv_(first_moment_, root, -step.learning_rate / correction1);
}

void Adam::Restore(const torch::Tensor& first_moment, const torch::Tensor& second_moment,
                   int64_t steps) {
  first_moment_.copy_(first_moment);
  second_moment_.copy_(second_moment);
  steps_ = steps;
}

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
  switch (schedule.decay) {
    case RateDecay::kLinear:
      return schedule.learning_rate * (1 - (1 - kFinalRate) * progress);
    case RateDecay::kCosine:
      return schedule.learning_rate *
             (kFinalRate + (1 - kFinalRate) * (1 + std::cos(M_PI * progress)) / 2);
    case RateDecay::kStep:
      return schedule.learning_rate * kStepRate;
  }
  return schedule.learning_rate;
}

absl::Status RunTraining(const TrainingSchedule& schedule, const runtime::TrainingFiles& files,
                         const LossOfStep& loss_of_step, torch::nn::Module& network,
                         runtime::JobContext& job) {
  Adam adam(network);
  State state;
  absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(files.checkpoint);
  if (checkpoint.ok()) {
    state = checkpoint->state;
    BACKFIRE_RETURN_IF_ERROR(Annotate(LoadWeights(checkpoint->weights, network), files.checkpoint));
    adam.Restore(checkpoint->first_moment, checkpoint->second_moment, state.step);
    checkpoint = Checkpoint();  // Its memory.
  } else if (!absl::IsNotFound(checkpoint.status())) {
    return checkpoint.status();
  }
  network.train();
  const bool on_cpu = network.parameters()[0].is_cpu();
  const int64_t look_steps = on_cpu ? 1 : kGpuLookSteps;
  const int64_t first_step = state.step;
  const auto start = std::chrono::steady_clock::now();
  torch::Tensor loss_sum;  // Of the steps since the last look.
  int64_t loss_count = 0;
  for (; state.step < schedule.steps; ++state.step) {
    if (job.cancelled()) return absl::CancelledError("cancelled while training");
    const double rate = LearningRate(schedule, state.step);
    adam.ZeroGradients();
    BACKFIRE_ASSIGN_OR_RETURN(const torch::Tensor loss, loss_of_step(state.step));
    loss.backward();
    loss_sum = loss_count == 0 ? loss.detach() : loss_sum + loss.detach();
    ++loss_count;

    const int64_t done = state.step + 1;
    const bool keep = done % schedule.checkpoint_steps == 0;
    if (done % look_steps == 0 || keep || done == schedule.steps) {
      const double value = loss_sum.item<double>() / static_cast<double>(loss_count);
      if (!std::isfinite(value)) {
        return NotFinite("loss", value, state.step, files);
      }
      const double norm = adam.GradientNorm().item<double>();
      if (!std::isfinite(norm)) {
        return NotFinite("gradient's norm", norm, state.step, files);
      }
      const double memory = std::pow(kSmoothing, static_cast<double>(loss_count));
      state.smoothed_loss =
          done == loss_count ? value : memory * state.smoothed_loss + (1 - memory) * value;
      loss_count = 0;
    }
    adam.Step({rate, schedule.gradient_norm, Momentum(schedule, state.step), schedule.weight_decay,
               schedule.one_cycle});

    v1::Progress progress;
    progress.set_stage("training");
    progress.set_step(done);
    progress.set_total_steps(schedule.steps);
    progress.set_loss(state.smoothed_loss);
    progress.set_learning_rate(rate);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    progress.set_eta_seconds(elapsed.count() / static_cast<double>(done - first_step) *
                             static_cast<double>(schedule.steps - done));
    job.Report(progress);
    if (keep) {
      State next = state;
      ++next.step;
      BACKFIRE_RETURN_IF_ERROR(
          WriteFileAtomically(files.checkpoint, Serialize(next, network, adam)));
    }
  }
  return absl::OkStatus();
}

}  // namespace backfire::learning
