// What a verdict promises, measured on simulated systems of known truth: how often it calls harm
// what is none (against alpha), how often it calls safe what is not, and how often it finds harm.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "services/base/command_line.h"
#include "services/base/parallel.h"
#include "services/base/random.h"
#include "tests/benchmarks/verdict_simulation.h"
#include "tests/support/sufficient_simulation.h"

namespace backfire::benchmarks {
namespace {

using testing::NoiseShares;
using testing::SufficientSimulation;

constexpr double kAlpha = 0.05;
constexpr double kTolerance = 0.005;
// A standard normal exceeds it with probability kAlpha / 2.
constexpr double kNormalHalfAlpha = 1.959963985;

struct Options {
  int systems = 2000;
  int draws = 20000;
  uint64_t seed = 1;
  int threads = 0;
  std::vector<int> parts = {1, 2, 3, 4, 5, 6};
};

std::string YesNo(bool within, bool promised) {
  return within ? "yes" : promised ? "NO: BROKEN" : "no (not promised)";
}

// Chance of any false alarm among so many independent losses.
double OfFamily(double one, int family) { return -std::expm1(family * std::log1p(-one)); }

// Part 1: the full cross, from sufficient statistics.

bool PrintCross(const Options& options) {
  const std::vector<double> trainings = {0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 1};
  const std::vector<double> interactions = {0, 0.1, 0.3, 0.5, 0.7, 0.9};
  std::printf(
      "1. False alarms in a family of independent losses, each worse by just its margin: the\n"
      "greatest over training's share 0 to 1 of what is no interaction. 200 test examples, 1000\n"
      "resamples, alpha 0.05, from %d draws of the variances; +-0.005. Non-inferiority is the "
      "same\n"
      "test from the other side: the rows of one loss are how often a loss at its margin passes, "
      "too.\n\n"
      "  %4s %7s   share of interaction:",
      options.draws, "K", "losses");
  for (const double interaction : interactions) std::printf(" %6.1f", interaction);
  std::printf("   at most alpha\n");
  bool kept = true;
  for (const int replicates : {5, 7, 10, 20}) {
    const SufficientSimulation simulation(replicates, 200, 1000, options.draws, options.seed);
    for (const int family : {1, 2, 6, 11, 51, 201}) {
      const testing::CriticalValues critical = simulation.At(kAlpha / family);
      const auto count = static_cast<int64_t>(trainings.size() * interactions.size());
      std::vector<double> alarms(static_cast<size_t>(count));
      ParallelFor(count, options.threads, [&](int64_t i) {
        const NoiseShares shares = {trainings[static_cast<size_t>(i) % trainings.size()],
                                    interactions[static_cast<size_t>(i) / trainings.size()]};
        alarms[static_cast<size_t>(i)] =
            OfFamily(simulation.Rejections(critical, shares, {0})[0], family);
      });
      std::printf("  %4d %7d                        ", replicates, family);
      for (size_t i = 0; i < interactions.size(); ++i) {
        const auto begin = alarms.begin() + static_cast<std::ptrdiff_t>(i * trainings.size());
        std::printf(" %6.4f", *std::max_element(
                                  begin, begin + static_cast<std::ptrdiff_t>(trainings.size())));
      }
      const bool within = *std::max_element(alarms.begin(), alarms.end()) <= kAlpha + kTolerance;
      kept = kept && within;
      std::printf("   %s\n", YesNo(within, true).c_str());
      std::fflush(stdout);
    }
  }
  return kept;
}

bool PrintChosenByNobody(const Options& options) {
  constexpr int kCells = 60;
  struct Cell {
    int replicates, family, examples, resamples;
    NoiseShares shares;
    double alarms;
  };
  std::vector<Cell> cells;
  Random random(options.seed, 21);
  const auto log_uniform = [&](double low, double high) {
    return static_cast<int>(std::lround(low * std::pow(high / low, random.Uniform())));
  };
  for (int i = 0; i < kCells; ++i) {
    Cell& cell = cells.emplace_back();
    cell = {log_uniform(5, 40),     log_uniform(1, 400),   log_uniform(20, 20000),
            log_uniform(100, 2000), {random.Uniform(), 0}, 0};
    if (i % 3 != 0) cell.shares.interaction = random.Uniform();
  }
  ParallelFor(kCells, options.threads, [&](int64_t i) {
    Cell& cell = cells[static_cast<size_t>(i)];
    const SufficientSimulation simulation(cell.replicates, cell.examples, cell.resamples,
                                          options.draws, options.seed);
    cell.alarms =
        OfFamily(simulation.Rejections(simulation.At(kAlpha / cell.family), cell.shares, {0})[0],
                 cell.family);
  });
  std::sort(cells.begin(), cells.end(),
            [](const Cell& a, const Cell& b) { return a.alarms > b.alarms; });
  std::printf(
      "\n2. The same in %d cells that seed %llu drew, from 20 to 20000 test examples; the six with "
      "most.\n\n  %4s %7s %9s %10s %9s %12s %9s\n",
      kCells, static_cast<unsigned long long>(options.seed), "K", "losses", "examples", "resamples",
      "training", "interaction", "alarms");
  for (int i = 0; i < 6; ++i) {
    const Cell& cell = cells[static_cast<size_t>(i)];
    std::printf("  %4d %7d %9d %10d %9.3f %12.3f %9.4f\n", cell.replicates, cell.family,
                cell.examples, cell.resamples, cell.shares.training, cell.shares.interaction,
                cell.alarms);
  }
  return cells[0].alarms <= kAlpha + kTolerance;
}

// Parts 3 to 5: whole verdicts on simulated losses.

struct Rates {
  double blocked = 0, harmed = 0, safe = 0;
};

Rates Measure(const VerdictSimulation& simulation, const SimulatedSystem& system, int count,
              const Options& options, uint64_t row) {
  std::atomic<int> blocked{0}, harmed{0}, safe{0};
  const uint64_t seed = SplitMix64(SplitMix64(options.seed) + row);
  ParallelFor(count, options.threads, [&](int64_t i) {
    const v1::Verdict verdict =
        verdict::Decide(simulation.Draw(system, seed + static_cast<uint64_t>(i)));
    blocked += verdict::Blocks(verdict) ? 1 : 0;
    harmed += verdict.harmed() ? 1 : 0;
    safe += verdict.outcome() == v1::Verdict::SAFE ? 1 : 0;
  });
  const auto share = [count](const std::atomic<int>& some) {
    return static_cast<double>(some.load()) / count;
  };
  return {share(blocked), share(harmed), share(safe)};
}

struct Row {
  SimulatedSystem system;
  SimulatedSplit split;
  bool promised = true;
};

std::vector<Row> Rows() {
  std::vector<Row> rows;
  const auto add = [&](const std::string& name, bool promised = true) -> Row& {
    Row& row = rows.emplace_back();
    row.system.name = name;
    row.promised = promised;
    return row;
  };
  for (const int replicates : {5, 10}) add("normal").system.replicates = replicates;
  for (const int descendants : {10, 50}) add("normal").system.descendants = descendants;
  for (const double training : {0.0, 0.3, 3.0, 20.0}) {
    SimulatedSystem& system = add("training " + std::to_string(training).substr(0, 4)).system;
    system.training_noise = training;
    system.descendants = 10;
  }
  for (const double interaction : {1.0, 3.0}) {
    SimulatedSystem& system = add("interaction " + std::to_string(interaction).substr(0, 4)).system;
    system.interaction = interaction;
    system.descendants = 10;
  }
  for (const double correlation : {0.5, 0.95}) {
    SimulatedSystem& system = add("correlated " + std::to_string(correlation).substr(0, 4)).system;
    system.correlation = correlation;
    system.descendants = 10;
  }
  for (const CandidateTruth truth : {CandidateTruth::kAtMargin, CandidateTruth::kWorse}) {
    SimulatedSystem& system =
        add(truth == CandidateTruth::kWorse ? "candidate worse" : "candidate at its margin").system;
    system.candidate = truth;
    system.descendants = 4;
  }
  for (const int examples : {20, 1000}) add("normal").split.examples = examples;
  for (const int bearing : {5, 20}) {
    add("slice of " + std::to_string(bearing)).system.bearing = bearing;
  }
  add("first look").system.replicates = 2;
  add("noise x 3 after").system.noise_growth = 3;
  add("0 or 1 by example").system.noise = Noise::kErrors;
  add("heavy tails").system.noise = Noise::kHeavy;
  for (const int descendants : {1, 4}) {
    SimulatedSystem& system = add("average precision").system;
    system.noise = Noise::kAveragePrecision;
    system.margin = 0;
    system.descendants = descendants;
  }
  for (const Noise noise : {Noise::kSkewed, Noise::kSkewedBetter}) {
    for (const int descendants : {1, 10}) {
      SimulatedSystem& system =
          add(noise == Noise::kSkewed ? "skewed, few much worse" : "skewed, few much better", false)
              .system;
      system.noise = noise;
      system.descendants = descendants;
    }
  }
  for (const bool named : {true, false}) {
    for (const double correlation : {0.05, 0.1, 0.3}) {
      Row& row = add("20 a drive, alike " + std::to_string(correlation).substr(0, 4) +
                         (named ? "" : ", unnamed"),
                     named);
      row.split = {320, 400, /*cluster=*/20, /*cluster_growth=*/1, named};
      row.system.cluster_correlation = correlation;
    }
  }
  for (const int descendants : {1, 10}) {
    for (const double correlation : {0.0, 0.3}) {
      Row& row = add("4 to 50 a drive, alike " + std::to_string(correlation).substr(0, 4));
      row.split = {320, 400, /*cluster=*/4, /*cluster_growth=*/1.2, /*clusters_named=*/true};
      row.system.cluster_correlation = correlation;
      row.system.descendants = descendants;
    }
  }
  return rows;
}

// Whole verdicts in which every two levels of any two of these factors meet: a covering array, made
// greedily.
struct PairedLevels {
  std::array<std::vector<std::string>, 5> names = {
      {{"96", "320", "1000"},                       // Test examples.
       {"each", "16 equal", "16 unequal"},          // Clusters, alike by 0.3.
       {"0", "0.5", "2", "8"},                      // Margin, in standard errors.
       {"normal", "heavy", "0 or 1", "AP"},         // Distribution.
       {"null", "better", "at margin", "worse"}}};  // The candidate.
};

using Levels = std::array<size_t, 5>;

std::vector<Levels> CoverPairs(const PairedLevels& levels) {
  std::set<std::array<size_t, 4>> open;  // Two factors, and a level of each.
  for (size_t f = 0; f < 5; ++f) {
    for (size_t g = f + 1; g < 5; ++g) {
      for (size_t i = 0; i < levels.names[f].size(); ++i) {
        for (size_t j = 0; j < levels.names[g].size(); ++j) open.insert({f, g, i, j});
      }
    }
  }
  const auto pairs = [](const Levels& row) {
    std::vector<std::array<size_t, 4>> met;
    for (size_t f = 0; f < 5; ++f) {
      for (size_t g = f + 1; g < 5; ++g) met.push_back({f, g, row[f], row[g]});
    }
    return met;
  };
  std::vector<Levels> rows;
  while (!open.empty()) {
    Levels best{}, row{};
    size_t most = 0;
    // All combinations: a few hundred.
    const std::function<void(size_t)> vary = [&](size_t factor) {
      if (factor < 5) {
        for (row[factor] = 0; row[factor] < levels.names[factor].size(); ++row[factor]) {
          vary(factor + 1);
        }
        row[factor] = 0;
        return;
      }
      size_t news = 0;
      for (const auto& pair : pairs(row)) news += open.count(pair);
      if (news > most) most = news, best = row;
    };
    vary(0);
    for (const auto& pair : pairs(best)) open.erase(pair);
    rows.push_back(best);
  }
  return rows;
}

Row PairedRow(const PairedLevels& levels, const Levels& chosen) {
  Row row;
  for (size_t f = 0; f < 5; ++f) {
    row.system.name += (f == 0 ? "" : ", ") + levels.names[f][chosen[f]];
  }
  constexpr std::array kExamples = {96, 320, 1000};
  row.split.examples = kExamples[chosen[0]];
  if (chosen[1] > 0) {
    row.system.cluster_correlation = 0.3;
    row.split.clusters_named = true;
    row.split.cluster = chosen[1] == 1 ? row.split.examples / 16 : row.split.examples / 80;
    row.split.cluster_growth = chosen[1] == 1 ? 1 : 1.2;
  }
  row.system.margin = std::array{0.0, 0.5, 2.0, 8.0}[chosen[2]];
  row.system.noise = std::array{Noise::kNormal, Noise::kHeavy, Noise::kErrors,
                                Noise::kAveragePrecision}[chosen[3]];
  // In points, and not so many that precision is no linear function of skill.
  if (row.system.noise == Noise::kAveragePrecision) {
    row.system.margin = std::array{0.0, 0.5, 2.0, 4.0}[chosen[2]];
  }
  row.system.candidate = std::array{CandidateTruth::kNull, CandidateTruth::kBetter,
                                    CandidateTruth::kAtMargin, CandidateTruth::kWorse}[chosen[4]];
  row.system.descendants = 2;
  return row;
}

bool PrintRows(const std::vector<Row>& rows, const Options& options, uint64_t& number) {
  std::printf("  %-40s %3s %12s %9s %7s %7s %11s   at most alpha\n", "system", "K", "descendants",
              "examples", "alarms", "+-", "false SAFE");
  bool kept = true;
  for (const Row& row : rows) {
    const VerdictSimulation simulation(row.split);
    SimulatedSystem system = row.system;
    // What costs most is simulated less.
    const bool is_dear = system.descendants > 10 || system.noise == Noise::kAveragePrecision;
    const int count = std::max(options.systems / (is_dear ? 4 : 1), 1);
    const double error = std::sqrt(kAlpha * (1 - kAlpha) / count);
    const Rates at_margin = Measure(simulation, system, count, options, ++number);
    system.others = 0;
    const Rates one = Measure(simulation, system, count, options, ++number);
    const bool candidate_worse = system.candidate == CandidateTruth::kWorse;
    const double alarms = candidate_worse ? at_margin.harmed : at_margin.blocked;
    const bool within = std::max(alarms, one.safe) <= kAlpha + 3 * error;
    kept = kept && (within || !row.promised);
    std::printf("  %-40s %3d %12d %9d %7.4f %7.4f %11.4f   %s\n", system.name.c_str(),
                system.replicates, system.descendants, row.split.examples, alarms, 2 * error,
                one.safe, YesNo(within, row.promised).c_str());
    std::fflush(stdout);
  }
  return kept;
}

bool PrintVerdicts(const Options& options) {
  std::printf(
      "\n3. Whole verdicts. alarms: exit 1 (with a candidate that is worse: harm of a descendant)\n"
      "although each descendant is worse by just its margin; false SAFE: although the first one "
      "is,\n"
      "and the others are as before. %d systems a cell, 400 resamples; +-: 2 Monte-Carlo standard\n"
      "errors of alpha.\n\n",
      options.systems);
  uint64_t number = 0;
  bool kept = PrintRows(Rows(), options, number);
  std::printf(
      "\nThe same with every two levels of examples, clusters (alike by 0.3), margin (in standard "
      "errors;\nof AP in points, at most 4), distribution and candidate in some row.\n\n");
  const PairedLevels levels;
  std::vector<Row> rows;
  for (const Levels& chosen : CoverPairs(levels)) rows.push_back(PairedRow(levels, chosen));
  kept = PrintRows(rows, options, number) && kept;
  return kept;
}

void PrintPower(const Options& options) {
  const std::vector<double> sizes = {0, 1, 2, 3, 4, 6, 10};
  std::printf(
      "\n4. Power: how often one loss of a family is found to be beyond its margin, by how far it "
      "is,\n"
      "in true standard errors; training as much noise as the test examples.\n\n  %4s %7s "
      "%12s",
      "K", "losses", "interaction");
  for (const double size : sizes) std::printf(" %6g", size);
  std::printf("\n");
  for (const int replicates : {5, 10, 20}) {
    const SufficientSimulation simulation(replicates, 200, 1000, options.draws, options.seed);
    for (const int family : {1, 11, 201}) {
      for (const double interaction : {0.0, 0.5}) {
        std::printf("  %4d %7d %12.1f", replicates, family, interaction);
        for (const double power :
             simulation.Rejections(simulation.At(kAlpha / family), {0.5, interaction}, sizes)) {
          std::printf(" %6.2f", power);
        }
        std::printf("\n");
      }
    }
  }
}

// Standard deviation over systems of the first descendant's mean difference: what no verdict can
// know, as it sees one system.
double TrueError(const VerdictSimulation& simulation, const SimulatedSystem& system, int count,
                 const Options& options, uint64_t row) {
  std::vector<double> differences(static_cast<size_t>(count));
  const uint64_t seed = SplitMix64(SplitMix64(options.seed) + row);
  ParallelFor(count, options.threads, [&](int64_t i) {
    const verdict::Evidence evidence = simulation.Draw(system, seed + static_cast<uint64_t>(i));
    const verdict::LossEvidence& loss = evidence.losses[1];
    double sum = 0;
    for (size_t k = 0; k < loss.before.size(); ++k)
      sum += loss.after[k].value - loss.before[k].value;
    differences[static_cast<size_t>(i)] = sum / static_cast<double>(loss.before.size());
  });
  double mean = 0, squares = 0;
  for (const double difference : differences) mean += difference / count;
  for (const double difference : differences) squares += std::pow(difference - mean, 2);
  return std::sqrt(squares / (count - 1));
}

void PrintPrecisions(const Options& options) {
  std::printf(
      "\n5. An average precision on 320 test images: how often 1 and 2 points less are found to "
      "be\n"
      "worse beyond the margin (candidate and one descendant), and how often no change is SAFE.\n"
      "training: standard deviation of one model's precision over trainings, points; error: the\n"
      "mean difference's, over systems. known: what a normal test would find that knew the "
      "error.\n\n"
      "  %4s %9s %6s %7s %8s %6s %9s %6s %6s\n",
      "K", "training", "error", "margin", "1 point", "known", "2 points", "known", "SAFE");
  const VerdictSimulation simulation(SimulatedSplit{320}), once(SimulatedSplit{320, 2});
  uint64_t number = 1000;
  const auto print = [&](int replicates, double training, double margin) {
    SimulatedSystem system;
    system.noise = Noise::kAveragePrecision;
    system.replicates = replicates;
    system.training_noise = training;
    system.margin = margin;
    system.first = system.others = 0;
    const int count = std::max(options.systems / 4, 2);
    const double error = TrueError(once, system, 4 * count, options, ++number);
    std::printf("  %4d %9.1f %6.2f %7g", replicates, once.TrainingPoints(system), error, margin);
    const Rates none = Measure(simulation, system, count, options, ++number);
    for (const double points : {1.0, 2.0}) {
      system.harm = points;
      // Of a family of two, the candidate's loss has no say: Holm's correction halves alpha.
      const double known =
          0.5 * std::erfc((kNormalHalfAlpha - (points - margin) / error) / M_SQRT2);
      std::printf(" %8.2f %6.2f", Measure(simulation, system, count, options, ++number).blocked,
                  known);
    }
    std::printf("  %6.2f\n", none.safe);
    std::fflush(stdout);
  };
  for (const double training : {0.1, 0.3, 1.0}) {
    for (const int replicates : {5, 10}) print(replicates, training, 0);
  }
  for (const int replicates : {5, 10}) print(replicates, 0.3, 1);
}

// The evidence as a planned look finds it.
verdict::Evidence AtLook(verdict::Evidence evidence, int look, const std::vector<int>& replicates) {
  evidence.look = look;
  evidence.look_replicates = replicates;
  const auto count = static_cast<size_t>(replicates[static_cast<size_t>(look) - 1]);
  for (verdict::LossEvidence& loss : evidence.losses) {
    loss.before.resize(count);
    loss.after.resize(count);
  }
  return evidence;
}

bool PrintLooks(const Options& options) {
  std::printf(
      "\n6. Two planned looks, at 5 and 10 replicates, of a candidate and one descendant: how "
      "often\n"
      "either blocks an update whose descendant is worse by its margin (alarms), and by three "
      "true\n"
      "standard errors more (found), with how often the first look does; beside it what one look "
      "at\n"
      "10 finds, and two looks of alpha / 2 each.\n\n  %8s %7s %7s %7s %7s %9s %11s   at most "
      "alpha\n",
      "training", "alarms", "+-", "found", "early", "one look", "alpha / 2");
  const VerdictSimulation simulation(SimulatedSplit{200});
  const double error = std::sqrt(kAlpha * (1 - kAlpha) / options.systems);
  bool kept = true;
  uint64_t row = 2000;
  for (const double training : {0.3, 1.0, 3.0, 10.0}) {
    std::atomic<int> alarms{0}, found{0}, early{0}, at_once{0}, split{0};
    const uint64_t seed = SplitMix64(SplitMix64(options.seed) + ++row);
    ParallelFor(options.systems, options.threads, [&](int64_t i) {
      SimulatedSystem system;
      system.replicates = 10;
      system.training_noise = training;
      const auto blocks = [&](const verdict::Evidence& evidence) {
        return verdict::Blocks(verdict::Decide(evidence));
      };
      const std::vector<int> looks = {5, 10};
      verdict::Evidence all = simulation.Draw(system, seed + static_cast<uint64_t>(i));
      alarms += blocks(AtLook(all, 1, looks)) || blocks(AtLook(all, 2, looks)) ? 1 : 0;
      system.harm = 3;
      all = simulation.Draw(system, seed + static_cast<uint64_t>(i));
      const bool first = blocks(AtLook(all, 1, looks));
      early += first ? 1 : 0;
      found += first || blocks(AtLook(all, 2, looks)) ? 1 : 0;
      at_once += blocks(all) ? 1 : 0;
      all.alpha = kAlpha / 2;
      split += blocks(AtLook(all, 1, {5})) || blocks(all) ? 1 : 0;
    });
    const auto share = [&](const std::atomic<int>& some) {
      return static_cast<double>(some.load()) / options.systems;
    };
    const bool within = share(alarms) <= kAlpha + 3 * error;
    kept = kept && within;
    std::printf("  %8g %7.4f %7.4f %7.2f %7.2f %9.2f %11.2f   %s\n", training, share(alarms),
                2 * error, share(found), share(early), share(at_once), share(split),
                YesNo(within, true).c_str());
    std::fflush(stdout);
  }
  return kept;
}

int Main(int argc, char** argv) {
  CLI::App app{
      "Measures false alarms, false assurance and power of the verdict on systems of known "
      "truth\n\n"
      "Exits 1 if one exceeds alpha where docs/statistics.md promises that it does not.\n"
      "Example: bench-verdict --seed 7 --part 1,3"};
  Options options;
  options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  app.add_option("--systems", options.systems, "Simulated systems a cell of whole verdicts")
      ->capture_default_str()
      ->check(CLI::Range(10, 10'000'000));
  app.add_option("--draws", options.draws, "Draws of the variances a cell of the cross")
      ->capture_default_str()
      ->check(CLI::Range(100, 10'000'000));
  app.add_option("--seed", options.seed, "Of all randomness, and of the cells that nobody chose")
      ->capture_default_str();
  app.add_option("--part", options.parts, "Parts to run; all, unless given")
      ->check(CLI::Range(1, 6))
      ->delimiter(',');
  app.add_option("--threads", options.threads, "Threads at work")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  const auto wanted = [&](int part) {
    return std::find(options.parts.begin(), options.parts.end(), part) != options.parts.end();
  };
  bool kept = true;
  if (wanted(1)) kept = PrintCross(options) && kept;
  if (wanted(2)) kept = PrintChosenByNobody(options) && kept;
  if (wanted(3)) kept = PrintVerdicts(options) && kept;
  if (wanted(4)) PrintPower(options);
  if (wanted(5)) PrintPrecisions(options);
  if (wanted(6)) kept = PrintLooks(options) && kept;
  return kept ? 0 : 1;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) { return backfire::benchmarks::Main(argc, argv); }
