// bench-disparity: PSMNet's training step and inference against the same network in PyTorch.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "services/base/command_line.h"
#include "tests/benchmarks/psmnet_benchmark.h"

namespace backfire::benchmarks {
namespace {

constexpr char kReference[] = BACKFIRE_PSMNET_REFERENCE;

struct Options {
  std::string network = "small";
  int threads = 1, rounds = 3;
  bool layers = false, kitti = false;
  std::string python = "/usr/bin/python3";
  std::string child;  // A child measures one case, and prints it.
  PsmNetCase child_case;
};

// Output of a command; empty where it failed.
std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  char buffer[512];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  return pclose(pipe) == 0 ? output : "";
}

// What one side did in a round: seconds, processor seconds, MiB, value, GFLOP (the reference's
// alone).
std::vector<double> NumbersOf(const std::string& line) {
  std::vector<double> numbers;
  for (const auto word : absl::StrSplit(line, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (!absl::SimpleAtod(word, &numbers.emplace_back())) return {};
  }
  return numbers;
}

std::string Arguments(const PsmNetCase& c) {
  return absl::StrCat(" --network ", c.network, " --mode ", c.mode, " --weights ", c.weights,
                      " --max-disparity ", c.max_disparity, " --batch ", c.batch, " --height ",
                      c.height, " --width ", c.width, " --threads ", c.threads, " --repetitions ",
                      c.repetitions);
}

struct Side {
  double seconds = 1e30, cpu_seconds = 1e30, peak_mib = 0, value = 0, gflop = 0;
  bool ran = false;
  void Add(const std::vector<double>& numbers) {
    if (numbers.size() < 4) return;
    ran = true;
    seconds = std::min(seconds, numbers[0]);
    cpu_seconds = std::min(cpu_seconds, numbers[1]);
    peak_mib = std::max(peak_mib, numbers[2]);
    value = numbers[3];
    if (numbers.size() > 4) gflop = numbers[4];
  }
};

// Rounds take turns, so that what else the machine does falls on both.
bool Compare(const Options& options, const std::string& self, const PsmNetCase& c, double peak) {
  Side ours, reference;
  for (int round = 0; round < options.rounds; ++round) {
    ours.Add(NumbersOf(OutputOf(absl::StrCat("'", self, "' --child run", Arguments(c)))));
    reference.Add(NumbersOf(OutputOf(
        absl::StrCat(options.python, " '", kReference, "'", Arguments(c), " 2>/dev/null"))));
  }
  const std::string label = absl::StrFormat("%s %s, %dx%dx%d, max disparity %d", c.network, c.mode,
                                            c.batch, c.height, c.width, c.max_disparity);
  if (!ours.ran) {
    std::printf("%s: failed\n", label.c_str());
    return false;
  }
  const auto print = [](const char* who, const Side& side) {
    std::printf("  %-10s %9.1f ms  %9.1f ms of processor  %7.0f MiB\n", who, 1000 * side.seconds,
                1000 * side.cpu_seconds, side.peak_mib);
  };
  std::printf("%s\n", label.c_str());
  print("here", ours);
  if (!reference.ran) {
    std::printf("  PyTorch did not run: apt-get install python3-torch python3-numpy\n");
    return true;
  }
  print("PyTorch", reference);
  const double rate = reference.gflop / ours.cpu_seconds * options.threads;
  std::printf(
      "  %.2f times as fast (%.2f in processor time), %.2f of the memory; %.0f GFLOP/s, %.0f %% of "
      "the peak; %s differs by %.1e\n",
      reference.seconds / ours.seconds, reference.cpu_seconds / ours.cpu_seconds,
      ours.peak_mib / reference.peak_mib, rate, 100 * rate / peak,
      c.mode == "training" ? "loss" : "mean disparity", std::abs(ours.value - reference.value));
  return std::abs(ours.value - reference.value) <= 1e-3 * std::abs(reference.value);
}

void PrintLayers(const PsmNetCase& c, double peak) {
  std::printf("%-26s %5s %12s %12s %14s\n", "layer", "count", "forward ms", "backward ms",
              "GFLOP/s (peak)");
  for (const LayerTime& time : TimeLayers(c)) {
    std::string rate;
    if (time.forward_gflop > 0) {
      const double value = 3 * time.forward_gflop / (time.forward_ms + time.backward_ms) * 1000;
      rate = absl::StrFormat("%.0f (%.0f %%)", value, 100 * value / peak);
    }
    std::printf("%-26s %5lld %12.2f %12.2f %14s\n", time.name.c_str(),
                static_cast<long long>(time.count), time.forward_ms, time.backward_ms,
                rate.c_str());
  }
}

int RunChild(const Options& options) {
  if (options.child == "peak") {
    std::printf("%.3f\n", ConvolutionPeak(options.child_case.threads));
    return 0;
  }
  const auto run = RunPsmNet(options.child_case);
  if (!run.ok()) {
    std::fprintf(stderr, "bench-disparity: %s\n", run.status().ToString().c_str());
    return 1;
  }
  std::printf("%.6f %.6f %.1f %.9g\n", run->seconds, run->cpu_seconds, run->peak_mib, run->value);
  return 0;
}

int Run(Options options, const std::string& self) {
  if (!options.child.empty()) return RunChild(options);
  std::vector<PsmNetCase> cases;
  PsmNetCase one;
  one.network = options.network;
  one.threads = options.threads;
  if (options.network == "small") {
    one.repetitions = 10;
    cases = {one, one};
    cases[1].mode = "inference";
    cases[1].batch = 1;
    cases[1].height = 128;
    cases[1].width = 384;
  } else {
    one.max_disparity = 192;
    one.height = 256;
    one.width = 512;
    one.repetitions = 1;
    cases = {one, one};
    cases[1].mode = "inference";
    cases[1].batch = 1;
    if (options.kitti) {
      cases.push_back(cases[1]);
      cases[2].height = 384;
      cases[2].width = 1248;
    }
  }
  const auto file =
      std::filesystem::temp_directory_path() / absl::StrCat("backfire-bench-disparity-", getpid());
  const absl::Status written = WritePsmNetWeights(one, file.string());
  if (!written.ok()) {
    std::fprintf(stderr, "bench-disparity: %s\n", written.ToString().c_str());
    return 1;
  }
  const auto peaks =
      NumbersOf(OutputOf(absl::StrCat("'", self, "' --child peak --threads ", options.threads)));
  const double peak = peaks.empty() ? NAN : peaks[0];
  std::printf("%d threads; best convolution of this machine: %.0f GFLOP/s (by processor time)\n",
              options.threads, peak);
  if (options.layers) PrintLayers(one, peak);
  bool good = true;
  for (PsmNetCase& c : cases) {
    c.weights = file.string();
    good = Compare(options, self, c, peak) && good;
    std::fflush(stdout);
  }
  std::filesystem::remove(file);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  CLI::App app(
      "PSMNet's training step and inference, against the same network on the same weights in "
      "Debian's PyTorch: time, memory, and what share of the machine's convolution peak.",
      "bench-disparity");
  backfire::benchmarks::Options options;
  auto& c = options.child_case;
  app.add_option("--network", options.network, "small, stackhourglass or basic")
      ->check(CLI::IsMember({"small", "stackhourglass", "basic"}))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads of either side")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Either side runs so often, in turns")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--layers", options.layers, "Also times the layers one by one");
  app.add_flag("--kitti", options.kitti, "Of a full network, also inference at 384 x 1248");
  app.add_option("--python", options.python, "An interpreter with torch and numpy")
      ->capture_default_str();
  app.add_option("--child", options.child)->group("");
  app.add_option("--mode", c.mode)->group("");
  app.add_option("--weights", c.weights)->group("");
  app.add_option("--max-disparity", c.max_disparity)->group("");
  app.add_option("--batch", c.batch)->group("");
  app.add_option("--height", c.height)->group("");
  app.add_option("--width", c.width)->group("");
  app.add_option("--repetitions", c.repetitions)->group("");
  app.footer(
      "Example: bench-disparity --network stackhourglass --threads 2 --kitti\n"
      "Exit codes: 0 done; 1 a side failed, or they computed different things; 2 usage.");
  if (const auto code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  c.network = options.network;
  c.threads = options.threads;
  return backfire::benchmarks::Run(options, std::filesystem::read_symlink("/proc/self/exe"));
}
