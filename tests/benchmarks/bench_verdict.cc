// What a verdict promises, measured on simulated systems of known truth: how often it calls harm
// what is none (against alpha), and how often it finds harm of a known size.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "services/base/command_line.h"
#include "services/base/random.h"
#include "tests/benchmarks/verdict_simulation.h"

namespace backfire::benchmarks {
namespace {

struct Options {
  int systems = 2000;
  int examples = 200;
  int resamples = 200;
  uint64_t seed = 1;
};

struct Rates {
  double harmed = 0, safe = 0, self_defeating = 0;
};

Rates Measure(const VerdictSimulation& simulation, const SimulatedSystem& system, int count,
              uint64_t seed) {
  Rates rates;
  for (int i = 0; i < count; ++i) {
    const v1::Verdict verdict =
        verdict::Decide(simulation.Draw(system, SplitMix64(seed) + static_cast<uint64_t>(i)));
    rates.harmed += verdict.harmed() ? 1.0 / count : 0;
    rates.safe += verdict.outcome() == v1::Verdict::SAFE ? 1.0 / count : 0;
    rates.self_defeating += verdict.outcome() == v1::Verdict::SELF_DEFEATING ? 1.0 / count : 0;
  }
  return rates;
}

std::vector<SimulatedSystem> Nulls() {
  std::vector<SimulatedSystem> systems;
  const auto add = [&](const std::string& name) -> SimulatedSystem& {
    systems.emplace_back().name = name;
    return systems.back();
  };
  for (const int replicates : {1, 2, 3, 4, 5, 7, 10}) {
    add("normal").replicates = replicates;
  }
  for (const double training : {0.0, 0.3, 3.0, 20.0}) {
    add("normal, training " + std::to_string(training).substr(0, 4)).training_noise = training;
  }
  for (const int descendants : {2, 10, 50, 200}) add("normal").descendants = descendants;
  for (const double correlation : {0.5, 0.95}) {
    SimulatedSystem& system = add("correlated " + std::to_string(correlation).substr(0, 4));
    system.correlation = correlation;
    system.descendants = 10;
  }
  for (const auto& [noise, name] : {std::pair{Noise::kSkewed, "skewed, few much worse"},
                                    {Noise::kSkewedBetter, "skewed, few much better"},
                                    {Noise::kHeavy, "heavy tails"},
                                    {Noise::kAveragePrecision, "average precision"}}) {
    for (const int replicates : {2, 5, 10}) {
      SimulatedSystem& system = add(name);
      system.noise = noise;
      system.replicates = replicates;
    }
    SimulatedSystem& system = add(name);
    system.noise = noise;
    system.descendants = noise == Noise::kAveragePrecision ? 4 : 10;
  }
  // No harm in expectation, but not exchangeable: training varies more after the update.
  SimulatedSystem& normal = add("normal, noise x 3 after");
  normal.noise_growth = 3;
  return systems;
}

// Whether the promise holds for it: before and after are exchangeable, for examples too.
bool Promised(const SimulatedSystem& system) {
  const bool symmetric = system.noise == Noise::kNormal ||
                         system.noise == Noise::kAveragePrecision || system.noise == Noise::kHeavy;
  return system.replicates >= verdict::kReplicatesToDecide && symmetric && system.noise_growth == 1;
}

bool PrintFalseAlarms(const VerdictSimulation& simulation, const Options& options) {
  std::printf(
      "False alarms: how often harm is called although there is none. %d systems a row, %d test\n"
      "examples, alpha 0.05; training 1: as much noise as the test examples; +-: 2 Monte-Carlo\n"
      "standard errors. Promised from 5 replicates on, where before and after are exchangeable.\n\n"
      "  %-28s %3s %12s %9s %7s %7s   %s\n",
      options.systems, options.examples, "system", "K", "descendants", "alarms", "+-", "SAFE",
      "at most alpha");
  bool kept = true;
  uint64_t row = 0;
  for (const SimulatedSystem& system : Nulls()) {
    const int count = system.descendants > 50 ? std::max(options.systems / 4, 1) : options.systems;
    const Rates rates = Measure(simulation, system, count, SplitMix64(options.seed) + ++row);
    const double error = std::sqrt(std::max(rates.harmed, 0.05) * 0.95 / count);
    const bool within = rates.harmed <= 0.05 + 3 * error;
    kept = kept && (within || !Promised(system));
    std::printf("  %-28s %3d %12d %9.4f %7.4f %7.2f   %s\n", system.name.c_str(), system.replicates,
                system.descendants, rates.harmed, 2 * error, rates.safe,
                within             ? "yes"
                : Promised(system) ? "NO: BROKEN"
                                   : "no (not promised)");
    std::fflush(stdout);
  }
  return kept;
}

void PrintPower(const VerdictSimulation& simulation, const Options& options) {
  std::printf(
      "\nPower: how often harm of one descendant is found, by its size.\n\n  %-28s %3s %12s",
      "system; size in", "K", "descendants");
  const std::vector<double> sizes = {0, 1, 2, 3, 4, 6, 10};
  for (const double size : sizes) std::printf(" %6g", size);
  std::printf("\n");
  const int count = std::max(options.systems / 4, 1);
  for (const Noise noise :
       {Noise::kNormal, Noise::kSkewed, Noise::kHeavy, Noise::kAveragePrecision}) {
    for (const int replicates : {3, 5, 10}) {
      for (const int descendants : {1, 10, 200}) {
        if (noise != Noise::kNormal && (descendants != 1 || replicates == 3)) continue;
        SimulatedSystem system;
        system.noise = noise;
        system.replicates = replicates;
        system.descendants = descendants;
        const char* name = noise == Noise::kNormal   ? "normal; standard errors"
                           : noise == Noise::kSkewed ? "skewed; standard errors"
                           : noise == Noise::kHeavy  ? "heavy tails; standard errors"
                                                     : "AP; points of recall";
        std::printf("  %-28s %3d %12d", name, replicates, descendants);
        for (const double size : sizes) {
          system.harm = size;
          const int rows = descendants > 50 ? std::max(count / 5, 1) : count;
          std::printf(" %6.2f", Measure(simulation, system, rows, options.seed).harmed);
          std::fflush(stdout);
        }
        std::printf("\n");
      }
    }
  }
}

int Main(int argc, char** argv) {
  CLI::App app{
      "Measures false alarms and power of the verdict on simulated systems of known truth\n\n"
      "Exits 1 if false alarms exceed alpha where docs/statistics.md promises that they don't.\n"
      "Example: bench-verdict --systems 10000"};
  Options options;
  app.add_option("--systems", options.systems, "Simulated systems a row")
      ->capture_default_str()
      ->check(CLI::Range(10, 10'000'000));
  app.add_option("--examples", options.examples, "Test examples")
      ->capture_default_str()
      ->check(CLI::Range(2, 100'000));
  app.add_option("--resamples", options.resamples, "Resamples of them")
      ->capture_default_str()
      ->check(CLI::Range(2, 10'000));
  app.add_option("--seed", options.seed, "Of all randomness")->capture_default_str();
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  const VerdictSimulation simulation(options.examples, options.resamples);
  const bool kept = PrintFalseAlarms(simulation, options);
  PrintPower(simulation, options);
  return kept ? 0 : 1;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) { return backfire::benchmarks::Main(argc, argv); }
