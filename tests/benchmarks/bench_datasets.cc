// What datasets cost: rendering a frame (both images, dense disparity, labels) in memory, reading
// one from files, and scan disparity. The reference, in the same run, is encoding the frame's two
// images as PNG: work that everybody knows and that scales with pixels.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_writer.h"
#include "services/datasets/lidar.h"
#include "services/datasets/rendered_world.h"
#include "tests/benchmarks/measure.h"

namespace backfire::benchmarks {
namespace {

using datasets::StereoFrame;

// Milliseconds of this thread's own work, whatever else the machine does.
template <typename Call>
double OwnMilliseconds(const Call& call) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
  };
  const double start = now();
  call();
  return now() - start;
}

void BenchProfile(const std::string& name, int frames, int threads) {
  const auto profile = datasets::FindRenderProfile(name);
  const auto render = [&](int64_t i) {
    return RenderFrame(*profile, 1, runtime::Split::kTrain, i);
  };
  StereoFrame frame = render(0);  // Also makes the tables that are made once.
  std::vector<double> rendering, encoding;
  size_t bytes = 0;
  for (int i = 0; i < frames; ++i) {  // In turns, so that both meet the same machine.
    rendering.push_back(OwnMilliseconds([&] { frame = render(i); }));
    encoding.push_back(OwnMilliseconds([&] {
      bytes += datasets::EncodeRgbPng(frame.left)->size();
      bytes += datasets::EncodeRgbPng(frame.right)->size();
    }));
  }
  // All threads at once, by the clock on the wall.
  std::atomic<int> next{0};
  const double wall = Milliseconds([&] {
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&] {
        for (int i = next++; i < frames * threads; i = next++) render(i);
      });
    }
    for (std::thread& worker : workers) worker.join();
  });
  const double own = Median(rendering), reference = Median(encoding);
  std::printf(
      "render %-6s %4dx%-4d %7.2f ms of one core: %6.1f frames/s a core; %.2f of encoding its "
      "images as PNG (%.2f ms, %zu bytes)\n",
      name.c_str(), profile->width, profile->height, own, 1e3 / own, own / reference, reference,
      bytes / static_cast<size_t>(frames));
  std::printf("       %d threads, by the clock on the wall: %.1f frames/s\n", threads,
              1e3 * frames * threads / wall);
}

void BenchLidar() {
  datasets::KittiCalibration calibration;
  calibration.image_from_rect[2] = {721.5, 0, 609.6, 44.9, 0, 721.5, 172.9, 0.2, 0, 0, 1, 0.003};
  calibration.image_from_rect[3] = {721.5, 0, 609.6, -339.5, 0, 721.5, 172.9, 2.2, 0, 0, 1, 0.003};
  calibration.rect_from_cam0 = datasets::Rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  calibration.cam0_from_velo = datasets::RigidMotion{0, -1, 0, 0, 0, 0, -1, -0.08, 1, 0, 0, -0.27};
  Random random(1);
  std::vector<datasets::LidarPoint> scan(120000);
  for (auto& point : scan) {
    const double z = random.Uniform(4, 60);
    point = {static_cast<float>(z), static_cast<float>(z * random.Uniform(-0.8, 0.8)),
             static_cast<float>(random.Uniform(-1.7, 1)), 0.3f};
  }
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    times.push_back(OwnMilliseconds([&] {
      (void)DisparityFromLidar(scan, calibration, {1242, 375});
    }));
  }
  std::printf("disparity of a scan of 120000 points: %.1f ms\n", Median(times));
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  CLI::App app{"What rendering and reading stereo frames costs."};
  int frames = 20, threads = 2;
  app.add_option("--frames", frames, "Frames of each profile and thread")
      ->check(CLI::Range(1, 10000));
  app.add_option("--threads", threads, "Threads of the run by the clock")
      ->check(CLI::Range(1, 256));
  app.footer("Example: ./dev bench datasets --frames 50 --threads 2");
  CLI11_PARSE(app, argc, argv);
  for (const char* profile : {"tiny", "half", "kitti"}) {
    backfire::benchmarks::BenchProfile(profile, frames, threads);
  }
  backfire::benchmarks::BenchLidar();
  return 0;
}
