// What KITTI's evaluation costs here, against the official C++ tool on the same files.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "services/base/command_line.h"
#include "services/base/random.h"
#include "services/metrics/footprint.h"
#include "services/metrics/kitti_evaluation.h"
#include "services/metrics/object_files.h"
#include "tests/benchmarks/kitti_like_set.h"
#include "tests/benchmarks/measure.h"
#include "tests/benchmarks/reference_evaluator.h"

namespace backfire::benchmarks {
namespace {

namespace fs = std::filesystem;
using metrics::MatchPool;
using metrics::PrecisionRecall;

struct Arguments {
  std::string official, folder;
  int64_t frames = 3769;
  uint64_t seed = 1;
  int32_t resamples = 1000;
  int repetitions = 5;
  int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
};

// Wall time, and time on processors: of this process's threads and of children that have ended.
// Where others keep the processors busy, only the second means much.
struct Cost {
  double wall_ms = 0, cpu_ms = 0;
};

double ProcessorMilliseconds() {
  double total = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
      total += 1e3 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_usec);
    }
  }
  return total;
}

template <typename Call>
Cost CostOf(const Call& call) {
  const double before = ProcessorMilliseconds();
  const double wall_ms = Milliseconds(call);
  return {wall_ms, ProcessorMilliseconds() - before};
}

Cost MedianOf(const std::vector<Cost>& costs) {
  std::vector<double> wall, cpu;
  for (const Cost& cost : costs) {
    wall.push_back(cost.wall_ms);
    cpu.push_back(cost.cpu_ms);
  }
  return {Median(wall), Median(cpu)};
}

void PrintRow(const std::string& name, const Cost& cost, const Cost& reference) {
  std::printf("  %-28s %9.0f %9.0f   %6.1f %6.1f\n", name.c_str(), cost.wall_ms, cost.cpu_ms,
              reference.wall_ms / cost.wall_ms, reference.cpu_ms / cost.cpu_ms);
}

struct Evaluated {
  std::vector<MatchPool> pools;
  std::vector<PrecisionRecall> results;
  double read_ms = 0, match_ms = 0, average_ms = 0;
};

metrics::EvaluationFrames Read(const fs::path& folder, int threads) {
  auto frames = metrics::ReadEvaluationFrames(folder / "label_2", folder / "results", threads);
  if (!frames.ok()) throw std::runtime_error(std::string(frames.status().message()));
  return *std::move(frames);
}

// All that the official tool does but drawing: reads, matches, averages.
Evaluated EvaluateFiles(const fs::path& folder, int threads) {
  Evaluated evaluated;
  metrics::EvaluationFrames frames;
  evaluated.read_ms = Milliseconds([&] { frames = Read(folder, threads); });
  evaluated.match_ms = Milliseconds([&] {
    evaluated.pools =
        metrics::MatchAll(frames.images, metrics::KittiRules(metrics::KittiClasses()), threads);
  });
  evaluated.average_ms = Milliseconds([&] {
    for (const MatchPool& pool : evaluated.pools) evaluated.results.push_back(pool.Compute());
  });
  return evaluated;
}

// Runs the official tool once. Its folder for plots exists beforehand, and
// its PATH is empty: it finds no gnuplot, which would only add to its time.
Cost RunOfficial(const std::string& tool, const fs::path& folder) {
  fs::create_directories(folder / "results" / "plot");
  const std::string labels = folder / "label_2", results = folder / "results";
  int status = 0;
  std::fflush(stdout);  // Or the child would print it as well.
  const Cost took = CostOf([&] {
    const pid_t child = ::fork();
    if (child == 0) {
      if (std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(126);
      if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(126);
      const char* const environment[] = {"PATH=/nonexistent", nullptr};
      const char* const arguments[] = {tool.c_str(), labels.c_str(), results.c_str(), nullptr};
      ::execve(tool.c_str(), const_cast<char* const*>(arguments),
               const_cast<char* const*>(environment));
      ::_exit(127);
    }
    ::waitpid(child, &status, 0);
  });
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw std::runtime_error("the official tool failed: " + tool);
  }
  return took;
}

// Rows of 41 numbers: easy, moderate, hard. Empty if the tool wrote no such file.
std::vector<std::vector<double>> ReadStats(const fs::path& path) {
  std::vector<std::vector<double>> rows;
  std::ifstream file(path);
  std::vector<double> numbers;
  for (double number = 0; file >> number;) numbers.push_back(number);
  for (size_t i = 0; i + 41 <= numbers.size(); i += 41) {
    rows.emplace_back(numbers.begin() + static_cast<std::ptrdiff_t>(i),
                      numbers.begin() + static_cast<std::ptrdiff_t>(i + 41));
  }
  return rows;
}

// Compares with the files stats_CLASS_detection*.txt, six decimals each. Some copies of the tool
// write the 3D numbers over those of bird's eye view: then only 3D can be compared.
bool AgreesWithOfficial(const fs::path& folder, const Evaluated& evaluated) {
  const fs::path results = folder / "results";
  int compared = 0;
  double largest = 0;
  const char* const classes[] = {"car", "pedestrian", "cyclist"};
  for (size_t c = 0; c < 3; ++c) {
    const std::string stem = std::string("stats_") + classes[c];
    const bool has_3d = fs::exists(results / (stem + "_detection_3d.txt"));
    const auto compare = [&](const std::string& ending, size_t view, bool similarity) {
      const auto rows = ReadStats(results / (stem + ending));
      for (size_t d = 0; d < rows.size() && d < 3; ++d) {
        const PrecisionRecall& ours = evaluated.results[9 * c + 3 * view + d];
        const auto& samples = similarity ? ours.similarity : ours.precision;
        for (size_t k = 0; k < 41; ++k) {
          largest = std::max(largest, std::abs(rows[d][k] - samples[k]));
        }
        ++compared;
      }
    };
    compare("_detection.txt", 0, false);
    compare("_orientation.txt", 0, true);
    compare("_detection_ground.txt", has_3d ? 1 : 2, false);
    if (has_3d) compare("_detection_3d.txt", 2, false);
  }
  std::printf("  %d arrays of 41 compared, largest difference %.1e (it prints six decimals): %s\n",
              compared, largest, compared > 0 && largest < 6e-7 ? "equal" : "DIFFER");
  return compared > 0 && largest < 6e-7;
}

bool CompareEvaluators(const fs::path& folder, const Arguments& arguments) {
  Evaluated evaluated = EvaluateFiles(folder, arguments.threads);  // Also warms the file cache.
  bool agrees = true;
  Cost once;
  std::string name;
  if (!arguments.official.empty()) {
    name = "official tool";
    once = RunOfficial(arguments.official, folder);
    std::printf("%s\n", arguments.official.c_str());
    agrees = AgreesWithOfficial(folder, evaluated);
  } else {
    name = "reference evaluator";
    std::printf(
        "No --official PATH was given: an ESTIMATE against the reference evaluator, this "
        "benchmark's "
        "own\nrewriting of the official tool's flow (polygons anew for each pair, difficulty and "
        "threshold).\n");
    double largest = 0;
    once = CostOf([&] {
      const metrics::EvaluationFrames frames = Read(folder, /*threads=*/1);
      const auto rules = metrics::KittiRules(metrics::KittiClasses());
      for (size_t r = 0; r < rules.size(); ++r) {
        const auto precision = ReferencePrecision(frames.images, rules[r]);
        for (size_t k = 0; k < precision.size(); ++k) {
          largest = std::max(largest, std::abs(precision[k] - evaluated.results[r].precision[k]));
        }
      }
    });
    agrees = largest < 1e-9;
    std::printf("  27 arrays of 41 compared, largest difference %.1e: %s\n", largest,
                agrees ? "equal" : "DIFFER");
  }

  std::vector<Cost> ones, alls;
  std::vector<double> read_ms, match_ms, average_ms;
  for (int i = 0; i < arguments.repetitions; ++i) {
    ones.push_back(CostOf([&] {
      const Evaluated one = EvaluateFiles(folder, 1);
      read_ms.push_back(one.read_ms);
      match_ms.push_back(one.match_ms);
      average_ms.push_back(one.average_ms);
    }));
    alls.push_back(CostOf([&] { EvaluateFiles(folder, arguments.threads); }));
  }
  // Car and Pedestrian, every view, difficulty and average.
  evaluated.pools.resize(18);
  const Cost bootstrap = CostOf([&] {
    metrics::BootstrapAverages(evaluated.pools, arguments.seed, arguments.resamples,
                               arguments.threads);
  });
  const std::string threads = std::to_string(arguments.threads) + " threads";
  std::printf("%-30s %9s %9s   %s\n", "", "wall, ms", "CPU, ms", "times faster (wall, CPU)");
  std::printf("Evaluating the files: reading, 3 classes, 3 views, 3 difficulties (wanted: 30)\n");
  PrintRow(name + ", once", once, once);
  PrintRow("here, 1 thread", MedianOf(ones), once);
  PrintRow("here, " + threads, MedianOf(alls), once);
  std::printf("  (medians of %d; with 1 thread: reading %.0f, matching %.0f, averaging %.0f ms)\n",
              arguments.repetitions, Median(read_ms), Median(match_ms), Median(average_ms));
  std::printf("%d resamples of all of Car and Pedestrian, recomputed exactly (wanted: 1)\n",
              arguments.resamples);
  PrintRow("here, " + threads, bootstrap, once);
  return agrees;
}

// Pairs of boxes near each other, as they meet in a frame.
bool CompareOverlaps() {
  constexpr size_t kBoxes = 16, kPairs = 60 * kBoxes;
  Random random(3);
  std::vector<metrics::Box3d> boxes;
  for (size_t i = 0; i < kPairs; ++i) {
    boxes.push_back({1.5, random.Uniform(1.4, 2), random.Uniform(3, 5), random.Uniform(-3, 3), 1.65,
                     random.Uniform(20, 25), random.Uniform(-3.14, 3.14)});
  }
  std::vector<metrics::Footprint> prints;
  for (const metrics::Box3d& box : boxes) prints.push_back(metrics::FootprintOf(box));
  double largest = 0, sink = 0;
  // The least of many short runs: what the machine does besides only ever adds.
  const auto nanoseconds_a_pair = [](const auto& all_pairs) {
    double least = Milliseconds(all_pairs);
    for (int i = 0; i < 30; ++i) least = std::min(least, Milliseconds(all_pairs));
    return least * 1e6 / kPairs;
  };
  const double reference = nanoseconds_a_pair([&] {
    for (size_t i = 0; i < kPairs; ++i) {
      const metrics::Box3d &a = boxes[i], &b = boxes[(i + 1) % kPairs];
      const double common = CommonArea(prints[i], prints[(i + 1) % kPairs]);
      const double iou = common / (a.length * a.width + b.length * b.width - common);
      largest = std::max(largest, std::abs(ReferenceIouBirdsEye(a, b) - iou));
    }
  });
  const double single = nanoseconds_a_pair([&] {
    for (size_t i = 0; i < kPairs; ++i) sink += CommonArea(prints[i], prints[(i + 1) % kPairs]);
  });
  std::vector<metrics::Footprints> groups(kPairs / kBoxes);
  for (size_t i = 0; i < kPairs; ++i) groups[i / kBoxes].Add(prints[i]);
  std::vector<double> areas;
  const double many = nanoseconds_a_pair([&] {
    for (size_t i = 0; i < groups.size(); ++i) {
      groups[i].CommonAreas(prints[i], areas);
      sink += areas[0];
    }
  });
  std::printf("Overlap of rotated boxes, a pair (largest difference %.1e)%s\n", largest,
              sink == 0.5 ? " " : "");
  std::printf("  Boost.Geometry, intersection and union %8.0f ns\n", reference);
  std::printf("  one by one                             %8.1f ns\n", single);
  std::printf("  %zu at once                             %8.1f ns\n", kBoxes, many);
  return largest < 1e-6;  // Boost 1.74 rounds coordinates to a grid.
}

int Run(const Arguments& arguments) {
  std::string pattern = (fs::temp_directory_path() / "bench-metrics.XXXXXX").string();
  const bool keep = !arguments.folder.empty();
  if (!keep && ::mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("no temporary folder");
  }
  const fs::path folder = keep ? arguments.folder : pattern;
  bool agrees = false;
  try {
    const KittiLikeSet set = WriteKittiLikeSet(folder, arguments.frames, arguments.seed);
    std::printf("%lld frames shaped like KITTI's validation split: %lld labels, %lld detections\n",
                static_cast<long long>(arguments.frames), static_cast<long long>(set.labels),
                static_cast<long long>(set.detections));
    agrees = CompareEvaluators(folder, arguments);
    agrees = CompareOverlaps() && agrees;
  } catch (...) {
    if (!keep) fs::remove_all(folder);
    throw;
  }
  if (!keep) fs::remove_all(folder);
  return agrees ? 0 : 1;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  backfire::benchmarks::Arguments arguments;
  CLI::App app(
      "Measures KITTI's evaluation here against the official C++ tool, on files that it generates. "
      "Exits 1 if the numbers differ. Example: bench-metrics --official "
      "./evaluate_object_3d_offline",
      "bench-metrics");
  app.add_option("--official", arguments.official,
                 "The official tool (`tool LABELS RESULTS`); without it, an estimate")
      ->check(CLI::ExistingFile);
  app.add_option("--folder", arguments.folder,
                 "Write label_2/ and results/data/ there and keep them (default: a temporary one)");
  app.add_option("--frames", arguments.frames)->capture_default_str()->check(CLI::Range(1, 100000));
  app.add_option("--seed", arguments.seed, "Of the files and resamples")->capture_default_str();
  app.add_option("--resamples", arguments.resamples)
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--repetitions", arguments.repetitions, "Of our own runs")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--threads", arguments.threads)->capture_default_str()->check(CLI::Range(1, 256));
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  try {
    return backfire::benchmarks::Run(arguments);
  } catch (const std::exception& error) {
    std::cerr << "bench-metrics: " << error.what() << "\n";
    return 1;
  }
}
