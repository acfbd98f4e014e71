#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::benchmarks {

/// A network and what it is run on.
struct PsmNetCase {
  std::string network = "small";  ///< small, stackhourglass or basic.
  std::string mode = "training";  ///< training (a step with its update) or inference.
  int64_t max_disparity = 64, batch = 2, height = 96, width = 256;
  int threads = 1, repetitions = 3;
  std::string weights;  ///< A file, as learning::SaveWeights writes it.
};

/// What a run found.
struct PsmNetRun {
  double seconds = 0;  ///< The fastest repetition, by the clock.
  double cpu_seconds =
      0;                ///< The same in processor time of all threads: other programs slow it less.
  double peak_mib = 0;  ///< Largest memory of this process so far.
  double value = 0;     ///< Loss, or mean disparity, of the first repetition.
};

/// Writes a network's initial weights. Errors of writing.
absl::Status WritePsmNetWeights(const PsmNetCase& psmnet_case, const std::string& path);

/// Runs the case in this process.
absl::StatusOr<PsmNetRun> RunPsmNet(const PsmNetCase& psmnet_case);

/// Billions of multiplications and additions a second that this machine's convolutions reach: the
/// best of several large ones through LibTorch, forward, by processor time.
double ConvolutionPeak(int threads);

/// Time of one kind of layer, forward and backward.
struct LayerTime {
  std::string name;
  int64_t count = 0;  ///< How many of it the network has.
  double forward_ms = 0, backward_ms = 0;
  double forward_gflop = 0;
};
/// Times the network's layers one by one at their sizes.
std::vector<LayerTime> TimeLayers(const PsmNetCase& psmnet_case);

}  // namespace backfire::benchmarks
