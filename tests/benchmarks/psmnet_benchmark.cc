#include "tests/benchmarks/psmnet_benchmark.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <limits>
#include <string>

#include "services/base/file.h"
#include "services/base/memory.h"
#include "services/base/status.h"
#include "services/disparity/cost_volume.h"
#include "services/disparity/disparity_loss.h"
#include "services/disparity/psmnet.h"
#include "services/disparity/soft_argmin.h"
#include "services/learning/adam.h"
#include "services/learning/device.h"
#include "services/learning/weights.h"
#include "tests/benchmarks/measure.h"
#include "tests/parity/formula.h"

namespace backfire::benchmarks {
namespace {

using disparity::ConvBn;
using disparity::ConvolutionOptions;
using disparity::PsmNet;
using disparity::PsmNetOptions;

constexpr int64_t kSmallChannels = 16;

PsmNetOptions OptionsOf(const PsmNetCase& c) {
  PsmNetOptions options = c.network == "small"   ? disparity::SmallPsmNet(kSmallChannels)
                          : c.network == "basic" ? disparity::BasicPsmNet()
                                                 : PsmNetOptions();
  options.max_disparity = c.max_disparity;
  return options;
}

double PeakMib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

template <typename Call>
double Fastest(int repetitions, const Call& call) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repetitions; ++i) best = std::min(best, Milliseconds(call));
  return best;
}

// Times a differentiable function of `inputs`; the backward pass is the rest of forward and
// backward.
template <typename Call>
LayerTime TimeLayer(const std::string& name, int64_t count, int repetitions, const Call& forward) {
  LayerTime time;
  time.name = name;
  time.count = count;
  torch::Tensor output = forward();
  const torch::Tensor cotangent = torch::ones_like(output);
  output.backward(cotangent);
  time.forward_ms = Fastest(repetitions, [&] { output = forward(); });
  time.backward_ms = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repetitions; ++i) {
    output = forward();
    time.backward_ms =
        std::min(time.backward_ms, Milliseconds([&] { output.backward(cotangent); }));
  }
  return time;
}

}  // namespace

absl::Status WritePsmNetWeights(const PsmNetCase& psmnet_case, const std::string& path) {
  const PsmNet network(OptionsOf(psmnet_case), /*seed=*/1);
  return WriteFileAtomically(path, learning::SaveWeights(*network));
}

absl::StatusOr<PsmNetRun> RunPsmNet(const PsmNetCase& c) {
  learning::UseThreads(c.threads);
  KeepFreedMemory();
  PsmNet network(OptionsOf(c), /*seed=*/1);
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, ReadFile(c.weights));
  BACKFIRE_RETURN_IF_ERROR(learning::LoadWeights(weights, *network));
  const auto image = [&](const char* name) {
    return (4 * parity::FormulaU(name, {c.batch, 3, c.height, c.width}) - 2).to(torch::kFloat32);
  };
  const torch::Tensor left = image("bench.left"), right = image("bench.right");
  const double range = static_cast<double>(c.max_disparity);
  const torch::Tensor truth =
      (range * 0.9 * parity::FormulaU("bench.truth", {c.batch, c.height, c.width}) + 1)
          .to(torch::kFloat32);
  PsmNetRun run;
  const auto measure = [&](const auto& step) {
    run.value = step();
    run.seconds = run.cpu_seconds = std::numeric_limits<double>::infinity();
    for (int i = 0; i < c.repetitions; ++i) {
      const std::clock_t start = std::clock();
      run.seconds = std::min(run.seconds, Milliseconds(step) / 1000);
      run.cpu_seconds =
          std::min(run.cpu_seconds, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
    run.peak_mib = PeakMib();
  };
  if (c.mode == "inference") {
    network->eval();
    const c10::InferenceMode no_gradient;
    measure([&] { return network->forward(left, right).back().mean().item<double>(); });
    return run;
  }
  learning::Adam adam(*network);
  network->train();
  const torch::Tensor focal_times_baseline = torch::full({c.batch}, 1e-3f);
  disparity::LossRules rules;
  rules.kind = disparity::LossKind::kSmoothDisparity;
  rules.max_disparity = range;
  measure([&] {
    adam.ZeroGradients();
    const torch::Tensor loss = disparity::WeightedDisparityLoss(
        rules, network->forward(left, right), truth, focal_times_baseline);
    loss.backward();
    adam.Step({1e-3, 100});
    return loss.item<double>();
  });
  return run;
}

double ConvolutionPeak(int threads) {
  learning::UseThreads(threads);
  const c10::InferenceMode no_gradient;
  double best = 0;
  for (const int64_t channels : {64, 128, 256}) {
    const torch::Tensor x = torch::randn({8, channels, 32, 32});
    const torch::Tensor weight = torch::randn({channels, channels, 3, 3});
    const double gflop = 2.0 * static_cast<double>(x.numel() * channels * 9) / 1e9;
    for (int i = 0; i < 8; ++i) {
      const std::clock_t start = std::clock();
      at::conv2d(x, weight, {}, 1, 1);
      const double cpu_seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      best = std::max(best, gflop / cpu_seconds * threads);
    }
  }
  return best;
}

std::vector<LayerTime> TimeLayers(const PsmNetCase& c) {
  learning::UseThreads(c.threads);
  const PsmNetOptions o = OptionsOf(c);
  const int64_t n = c.batch, s = o.volume_scale, h = c.height / s, w = c.width / s, d = o.planes();
  const int64_t v = o.volume_channels;
  Random random(1);
  std::vector<LayerTime> times;
  const auto layer = [&](const std::string& name, int64_t count, ConvolutionOptions options,
                         std::vector<int64_t> sizes) {
    ConvBn module(options, random);
    sizes.insert(sizes.begin(), {n * (options.dimensions == 2 ? 2 : 1), options.in});
    const torch::Tensor x = torch::randn(sizes).requires_grad_();
    times.push_back(
        TimeLayer(name, count, c.repetitions, [&] { return module->forward(x, true); }));
    double elements = static_cast<double>(x.numel());
    if (!options.doubling) elements /= std::pow(options.stride, options.dimensions);
    times.back().forward_gflop = 2 * elements * static_cast<double>(options.out) *
                                 std::pow(options.kernel, options.dimensions) / 1e9;
  };
  const auto conv = [](int64_t dimensions, int64_t in, int64_t out, int64_t stride = 1) {
    ConvolutionOptions options;
    options.dimensions = dimensions;
    options.in = in;
    options.out = out;
    options.stride = stride;
    return options;
  };
  const int64_t ch = o.channels, deep = o.deep_channels;
  layer("first 3x3 / 2", 1, conv(2, 3, ch, 2), {c.height, c.width});
  layer("half resolution 3x3", 2 + 2 * o.blocks[0], conv(2, ch, ch), {c.height / 2, c.width / 2});
  layer("layer2 3x3", 2 * o.blocks[1] - 1, conv(2, 2 * ch, 2 * ch), {c.height / 4, c.width / 4});
  layer("layer3, 4 3x3", 2 * (o.blocks[2] + o.blocks[3]) - 1, conv(2, deep, deep),
        {c.height / 4, c.width / 4});
  layer("volume 3x3x3", 1, conv(3, 2 * o.features, v), {d, h, w});
  layer("3x3x3", 3 + (o.hourglasses == 0 ? 7 : o.hourglasses), conv(3, v, v), {d, h, w});
  if (o.hourglasses > 0) {
    layer("hourglass 3x3x3 / 2", o.hourglasses, conv(3, v, 2 * v, 2), {d, h, w});
    layer("hourglass 1/2", o.hourglasses, conv(3, 2 * v, 2 * v), {d / 2, h / 2, w / 2});
    layer("hourglass 1/2 / 2", o.hourglasses, conv(3, 2 * v, 2 * v, 2), {d / 2, h / 2, w / 2});
    layer("hourglass 1/4", o.hourglasses, conv(3, 2 * v, 2 * v), {d / 4, h / 4, w / 4});
    ConvolutionOptions up = conv(3, 2 * v, 2 * v, 2);
    up.doubling = true;
    layer("hourglass transposed 1/4", o.hourglasses, up, {d / 4, h / 4, w / 4});
    up.out = v;
    layer("hourglass transposed 1/2", o.hourglasses, up, {d / 2, h / 2, w / 2});
  }
  const int64_t heads = std::max<int64_t>(o.hourglasses, 1);
  const torch::Tensor left = torch::randn({n, o.features, h, w}).requires_grad_();
  const torch::Tensor right = torch::randn({n, o.features, h, w}).requires_grad_();
  times.push_back(TimeLayer("cost volume", 1, c.repetitions,
                            [&] { return disparity::CostVolume(left, right, d, o.volume); }));
  const torch::Tensor scores = torch::randn({n, d, h, w}).requires_grad_();
  times.push_back(TimeLayer("upsampling, soft argmin", heads, c.repetitions, [&] {
    return disparity::SoftArgmin(scores, o.max_disparity, c.height, c.width, false);
  }));
  return times;
}

}  // namespace backfire::benchmarks
