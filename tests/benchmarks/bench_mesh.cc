// What the mesh costs: a frame through all processes against the same models in one, and a tensor
// there and back against plain sockets.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <vector>

#include "services/base/command_line.h"
#include "services/base/memory.h"
#include "services/base/random.h"
#include "services/datasets/calibration.h"
#include "services/rpc/rpc_server.h"
#include "tests/benchmarks/measure.h"
#include "tests/benchmarks/mesh_fixture.h"
#include "tests/benchmarks/round_trip.h"

namespace backfire::benchmarks {
namespace {

using runtime::TensorMap;

// A pair of the size of KITTI's, of noise: networks cost the same whatever they see.
TensorMap MakeFrame(int64_t height, int64_t width) {
  Random random(1);
  TensorMap frame;
  for (const char* side : {"left", "right"}) {
    runtime::Tensor& image = frame[side];
    image = runtime::MakeTensor(runtime::Datatype::kUint8, {height, width, 3});
    for (char& byte : image.data) byte = static_cast<char>(random.Bits());
  }
  datasets::StereoCalibration calibration;
  calibration.left = {721.5, 0, 609.6, 44.9, 0, 721.5, 172.9, 0.2, 0, 0, 1, 0};
  calibration.right = {721.5, 0, 609.6, -339.5, 0, 721.5, 172.9, 2.2, 0, 0, 1, 0};
  frame["calibration"] = datasets::ToTensor(calibration);
  return frame;
}

bool CompareFrames(const std::string& binaries, int repetitions) {
  MeshFixture fixture(binaries);
  const TensorMap frame = MakeFrame(375, 1242);
  bool equal = true;
  std::vector<double> mesh_ms, single_ms;
  for (int i = -1; i < repetitions; ++i) {
    TensorMap mesh, single;
    const double through = Milliseconds([&] { mesh = fixture.ThroughProcesses(frame); });
    const double within = Milliseconds([&] { single = fixture.InOneProcess(frame); });
    for (const char* name : {"cars", "pedestrians"}) {
      equal = equal && mesh.at(name).data == single.at(name).data;
    }
    if (i < 0) continue;
    mesh_ms.push_back(through);
    single_ms.push_back(within);
  }
  const double mesh = Median(mesh_ms), single = Median(single_ms);
  // What crosses process boundaries: the pair twice over, the image once more, disparity, points.
  const double pixels = 375.0 * 1242.0;
  const double moved_mb =
      (2 * 2 * 3 * pixels + 3 * pixels + 2 * 4 * pixels + 3 * 12 * pixels) / 1e6;
  std::printf("A frame of 1242 x 375 through gateway and five services, medians of %d\n",
              repetitions);
  std::printf("  all processes  %8.1f ms\n", mesh);
  std::printf("  one process    %8.1f ms\n", single);
  std::printf("  ratio          %8.3f    (detections %s)\n", mesh / single,
              equal ? "equal to the bit" : "DIFFER");
  std::printf("  the difference of %.1f ms moves at most %.0f MB between processes\n",
              mesh - single, moved_mb);
  return equal;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  backfire::KeepFreedMemory();
  using namespace backfire::benchmarks;
  int repetitions = 7;
  std::string echo;
  CLI::App app("Measures what the mesh costs. Example: bench-mesh --repetitions 20", "bench-mesh");
  app.add_option("--repetitions", repetitions, "Of each measurement")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--serve-echo", echo, "Be the other end of the round trips; used by itself");
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  if (!echo.empty()) return ServeEcho(echo);
  try {
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
    const bool round_trips = CompareRoundTrips(program, 3 * repetitions);
    std::printf("\n");
    const bool frames = CompareFrames(program.parent_path(), repetitions);
    return round_trips && frames ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "bench-mesh: " << error.what() << "\n";
    return 1;
  }
}
