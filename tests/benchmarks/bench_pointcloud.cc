// What a point cloud costs: back-projection of a frame of KITTI's size against a copy that moves as
// many bytes, in the same run.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include "services/base/command_line.h"
#include "services/base/random.h"
#include "services/pointcloud/back_projection.h"
#include "services/pointcloud/cloud_distance.h"
#include "services/pointcloud/subsampling.h"
#include "tests/benchmarks/measure.h"

namespace backfire::benchmarks {
namespace {

constexpr int64_t kHeight = 375, kWidth = 1242;

datasets::StereoCalibration Calibration() {
  datasets::StereoCalibration calibration;
  calibration.left = {721.5, 0, 609.6, 44.9, 0, 721.5, 172.9, 0.2, 0, 0, 1, 0};
  calibration.right = {721.5, 0, 609.6, -339.5, 0, 721.5, 172.9, 2.2, 0, 0, 1, 0};
  return calibration;
}

// A street: ground below the horizon, walls to both sides, here and there a pixel without a match.
std::vector<float> Street(double unmatched) {
  const auto calibration = Calibration();
  const double focal = calibration.focal_length_px(), base = calibration.baseline_m();
  Random random(1);
  std::vector<float> disparity(static_cast<size_t>(kHeight * kWidth));
  for (int64_t v = 0; v < kHeight; ++v) {
    for (int64_t u = 0; u < kWidth; ++u) {
      const double down = (static_cast<double>(v) - calibration.centre_y_px()) / focal;
      const double aside = std::abs(static_cast<double>(u) - calibration.centre_x_px()) / focal;
      const double ground = down > 0 ? 1.65 / down : 1e9, wall = aside > 0 ? 9 / aside : 1e9;
      const double z = std::min({ground, wall, 75.0});
      disparity[static_cast<size_t>(v * kWidth + u)] =
          random.Uniform() < unmatched ? 0 : static_cast<float>(focal * base / z);
    }
  }
  return disparity;
}

// Frames that are taken in turn: more than any cache holds, as a new frame is never in one.
constexpr size_t kFrames = 48;

void Compare(const char* what, const std::vector<float>& disparity,
             const pointcloud::BackProjectionOptions& options, int repetitions) {
  const auto calibration = Calibration();
  const auto capacity =
      static_cast<size_t>(pointcloud::BackProjectionCapacity(kHeight, kWidth, options));
  const std::vector<std::vector<float>> frames(kFrames, disparity);
  std::vector<std::vector<float>> clouds(kFrames, std::vector<float>(capacity));
  pointcloud::BackProjection result =
      BackProjectInto(disparity.data(), kHeight, kWidth, calibration, options, clouds[0].data());
  const size_t moved = disparity.size() * sizeof(float) +
                       static_cast<size_t>(result.points * options.columns()) * sizeof(float);
  // A copy reads and writes: of half the bytes that back-projection moves.
  const std::vector<std::vector<char>> from(kFrames, std::vector<char>(moved / 2, 1));
  std::vector<std::vector<char>> to(kFrames, std::vector<char>(moved / 2, 2));
  std::vector<double> project_ms, copy_ms;
  for (int i = 0; i < repetitions; ++i) {
    const size_t k = static_cast<size_t>(i) % kFrames;
    project_ms.push_back(Milliseconds([&] {
      result = BackProjectInto(frames[k].data(), kHeight, kWidth, calibration, options,
                               clouds[k].data());
    }));
    copy_ms.push_back(
        Milliseconds([&] { std::memcpy(to[k].data(), from[k].data(), to[k].size()); }));
  }
  const double project = Median(project_ms), copy = Median(copy_ms);
  const double megabytes = static_cast<double>(moved) / 1e6;
  std::printf("  %-32s %7lld points %7.3f ms %6.1f GB/s   copy %7.3f ms %6.1f GB/s   ratio %.2f\n",
              what, static_cast<long long>(result.points), project, megabytes / project, copy,
              megabytes / copy, copy / project);
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  using namespace backfire;
  using namespace backfire::benchmarks;
  int repetitions = 200;
  CLI::App app(
      "Measures back-projection of frames of 1242 x 375 against copies of as many bytes, on one "
      "thread, in turns; no frame is in a cache. A ratio of 1 is the machine's copy bandwidth. "
      "Example: bench-pointcloud "
      "--repetitions 1000",
      "bench-pointcloud");
  app.add_option("--repetitions", repetitions, "Of each measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  std::printf("Back-projection, medians of %d\n", repetitions);
  pointcloud::BackProjectionOptions options;
  const std::vector<float> street = Street(0), holes = Street(0.02);
  Compare("street", street, options, repetitions);
  Compare("street, 2 % of pixels unmatched", holes, options, repetitions);
  options.intensity = true;
  Compare("street, with intensity", street, options, repetitions);
  options.intensity = false;
  options.max_height_m = 1e6;
  Compare("street, every point", street, options, repetitions);

  std::printf("Thinning a cloud out, medians of %d\n", std::max(1, repetitions / 10));
  const std::vector<float> cloud =
      pointcloud::BackProject(street.data(), kHeight, kWidth, Calibration(), options);
  const auto count = static_cast<int64_t>(cloud.size()) / 3;
  const auto time = [&](const char* what, const auto& call) {
    std::vector<double> ms;
    size_t kept = 0;
    for (int i = 0; i < std::max(1, repetitions / 10); ++i) {
      ms.push_back(Milliseconds([&] { kept = call().size(); }));
    }
    std::printf("  %-34s %8zu points %7.3f ms\n", what, kept, Median(ms));
  };
  time("beams, 64 x 512", [&] { return pointcloud::SampleBeams(cloud.data(), count, 3, {}); });
  time("random, 16384", [&] { return pointcloud::SampleRandom(count, 16384, 1); });
  time("voxels, 0.1 m", [&] { return pointcloud::SampleVoxels(cloud.data(), count, 3, 0.1, 1); });
  std::printf("Distance to the true cloud: %lld points, 4096 measured\n",
              static_cast<long long>(count));
  time("index and search", [&] {
    const pointcloud::ReferenceCloud reference(cloud);
    std::vector<double> distances;
    for (int64_t k = 0; k < 4096; ++k) {
      const float* p = cloud.data() + 3 * (k * count / 4096);
      const float off[] = {p[0] + 0.1f, p[1], p[2] + 0.5f};
      distances.push_back(reference.DistanceTo(off));
    }
    return distances;
  });
  return 0;
}
