// What detection costs: each operator against a straightforward loop and LibTorch's own operators,
// with a check that all say the same; both detectors end to end; training steps.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "services/base/command_line.h"
#include "services/base/memory.h"
#include "services/base/random.h"
#include "services/detection/point_rcnn/box_kernels.h"
#include "services/detection/point_rcnn/proposal_layer.h"
#include "services/detection/pointnet2/plain_point_ops.h"
#include "services/detection/pointnet2/point_ops.h"
#include "services/learning/device.h"
#include "tests/benchmarks/detection_models.h"
#include "tests/benchmarks/measure.h"
#include "tests/benchmarks/plain_boxes.h"
#include "tests/benchmarks/point_loops.h"

namespace backfire::benchmarks {
namespace {

using at::Tensor;

struct Options {
  int64_t points = 16384, repeats = 5;
  bool operators_only = false, models_only = false;
};

// A street as a stereo camera sees it: most points near.
std::vector<float> Street(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> points;
  for (int64_t i = 0; i < count; ++i) {
    const double z = 2 + 60 * std::pow(random.Uniform(), 2);
    for (const double value : {z * random.Uniform(-0.6, 0.6), random.Uniform(-1, 2), z}) {
      points.push_back(static_cast<float>(value));
    }
  }
  return points;
}

std::vector<float> RandomFloats(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(random.Uniform(-1, 1)));
  return values;
}

// Boxes of cars near points of a street, as proposals are.
std::vector<float> Cars(const std::vector<float>& points, int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> boxes;
  for (int64_t i = 0; i < count; ++i) {
    const float* p = points.data() + 3 * random.Below(static_cast<int64_t>(points.size()) / 3);
    for (const double value : {p[0] + random.Uniform(-1, 1), 1.6, p[2] + random.Uniform(-1, 1), 1.5,
                               1.6, random.Uniform(3.5, 4.5), random.Uniform(-3.1, 3.1)}) {
      boxes.push_back(static_cast<float>(value));
    }
  }
  return boxes;
}

Tensor Table(const std::vector<float>& values, int64_t columns) {
  return at::tensor(values, at::kFloat).view({-1, columns});
}
std::vector<int64_t> Longs(const Tensor& tensor) {
  const Tensor flat = tensor.contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

// What takes longer is measured once.
constexpr double kOnceMilliseconds = 500;

// Three ways to compute one thing, and whether they said the same.
struct Contest {
  std::string name;
  std::function<void()> ours, loop, plain;
  std::function<bool()> agree;
};

bool Run(const Contest& contest, int64_t repeats) {
  std::vector<double> one, two, loop, plain;
  for (int64_t i = 0; i < repeats; ++i) {
    learning::UseThreads(1);
    one.push_back(CpuMilliseconds(contest.ours));
    if (i == 0 || loop[0] < kOnceMilliseconds) loop.push_back(CpuMilliseconds(contest.loop));
    if (i == 0 || plain[0] < kOnceMilliseconds) plain.push_back(CpuMilliseconds(contest.plain));
    learning::UseThreads(2);
    two.push_back(Milliseconds(contest.ours));
  }
  const bool agree = contest.agree();
  const double ours = Median(one);
  std::printf("%-34s %9.2f %11.2f %11.2f %8.1fx %8.1fx %10.2f  %s\n", contest.name.c_str(), ours,
              Median(loop), Median(plain), Median(loop) / ours, Median(plain) / ours, Median(two),
              agree ? "equal" : "DIFFERENT");
  std::fflush(stdout);
  return agree;
}

bool RunOperators(const Options& options) {
  const int64_t points = options.points, centres = points / 4, samples = 32, channels = 96;
  const std::vector<float> xyz = Street(points, 1);
  const Tensor cloud = Table(xyz, 3);
  const pointnet2::Clouds clouds = pointnet2::StackClouds(cloud.unsqueeze(0));
  const pointnet2::Ball ball{0.5f, samples, true};
  std::printf("operators at %lld points: milliseconds of CPU with one thread, median of %lld\n",
              static_cast<long long>(points), static_cast<long long>(options.repeats));
  std::printf("%-34s %9s %11s %11s %9s %9s %10s\n", "", "ours", "loop", "LibTorch", "vs loop",
              "vs LibT.", "2 threads*");
  bool equal = true;

  pointnet2::Sampling sampling;
  std::vector<int64_t> by_loop;
  Tensor by_plain;
  Contest contest;
  contest.name = "farthest points, a quarter";
  contest.ours = [&] { sampling = pointnet2::SampleAndGroup(clouds, centres, {}, false); };
  contest.loop = [&] { by_loop = LoopFarthestPoints(xyz, centres); };
  contest.plain = [&] { by_plain = pointnet2::plain::FarthestPoints(cloud, centres); };
  contest.agree = [&] { return Longs(sampling.index) == by_loop && Longs(by_plain) == by_loop; };
  equal &= Run(contest, options.repeats);

  const Tensor centre_table = sampling.centres.xyz;
  const std::vector<float> centre_xyz(centre_table.data_ptr<float>(),
                                      centre_table.data_ptr<float>() + centre_table.numel());
  // In farthest order, so that grouping alone is timed.
  pointnet2::Clouds ordered = clouds;
  const Tensor rest = at::ones({points}, at::kBool).index_fill(0, sampling.index, 0).nonzero();
  const Tensor order = at::cat({sampling.index, rest.squeeze(1)});
  ordered.xyz = cloud.index_select(0, order).contiguous();
  const std::vector<float> ordered_xyz(ordered.xyz.data_ptr<float>(),
                                       ordered.xyz.data_ptr<float>() + ordered.xyz.numel());
  pointnet2::Sampling grouped;
  contest.name = "ball of 0.5 m, 32 samples";
  contest.ours = [&] { grouped = pointnet2::SampleAndGroup(ordered, centres, {ball}, true); };
  contest.loop = [&] { by_loop = LoopWithinRadius(ordered_xyz, centre_xyz, 0.5f, samples); };
  contest.plain = [&] {
    by_plain = pointnet2::plain::WithinRadius(ordered.xyz, centre_table, 0.5f, samples);
  };
  contest.agree = [&] {
    std::vector<int64_t> filled = by_loop;
    for (size_t i = 0; i < filled.size(); ++i) {
      if (filled[i] < 0) filled[i] = filled[i - i % static_cast<size_t>(samples)];
    }
    return Longs(grouped.groups[0].index) == filled && Longs(by_plain) == by_loop;
  };
  equal &= Run(contest, options.repeats);

  pointnet2::Neighbours neighbours;
  contest.name = "three nearest of a quarter";
  contest.ours = [&] { neighbours = pointnet2::ThreeNearest(ordered, grouped.centres); };
  contest.loop = [&] { by_loop = LoopThreeNearest(ordered_xyz, centre_xyz); };
  contest.plain = [&] {
    by_plain = pointnet2::plain::ThreeNearest(ordered.xyz, centre_table).index;
  };
  contest.agree = [&] { return Longs(neighbours.index) == by_loop && Longs(by_plain) == by_loop; };
  equal &= Run(contest, options.repeats);

  const std::vector<float> features = RandomFloats(points * channels, 2);
  const Tensor table = Table(features, channels);
  const std::vector<int64_t> index = Longs(grouped.groups[0].index);
  // Rows of the groups, and gradients with respect to them.
  std::vector<float> rows_by_loop, largest;
  Tensor ours, plain;
  const Tensor group_index = grouped.groups[0].index, group_start = grouped.groups[0].start;
  contest.name = "grouping, 96 channels";
  contest.ours = [&] { ours = pointnet2::Gather(table, group_index); };
  contest.loop = [&] { rows_by_loop = LoopGather(features, channels, index); };
  contest.plain = [&] { plain = table.index_select(0, group_index); };
  contest.agree = [&] {
    return at::equal(ours, plain) && at::equal(ours, Table(rows_by_loop, channels));
  };
  equal &= Run(contest, options.repeats);

  // Small whole numbers, whose sums don't depend on the order.
  const Tensor rows = ours.detach();
  const Tensor row_gradient = (rows * 8).round();
  const std::vector<float> row_gradients(row_gradient.data_ptr<float>(),
                                         row_gradient.data_ptr<float>() + row_gradient.numel());
  const Tensor our_table = table.detach().clone().set_requires_grad(true);
  const Tensor plain_table = table.detach().clone().set_requires_grad(true);
  const Tensor our_rows = pointnet2::Gather(our_table, group_index);
  const Tensor plain_rows = plain_table.index_select(0, group_index);
  std::vector<float> loop_gradient;
  const auto backward = [](const Tensor& output, const Tensor& variable, const Tensor& gradient) {
    variable.mutable_grad() = Tensor();
    output.backward(gradient, /*retain_graph=*/true);
  };
  contest.name = "  its gradient";
  contest.ours = [&] { backward(our_rows, our_table, row_gradient); };
  contest.loop = [&] { loop_gradient = LoopScatter(row_gradients, channels, index, points); };
  contest.plain = [&] { backward(plain_rows, plain_table, row_gradient); };
  contest.agree = [&] {
    return at::equal(our_table.grad(), plain_table.grad()) &&
           at::equal(our_table.grad(), Table(loop_gradient, channels));
  };
  equal &= Run(contest, options.repeats);

  contest.name = "maximum of groups, 96 channels";
  contest.ours = [&] { ours = pointnet2::GroupMax(rows, group_start); };
  contest.loop = [&] { largest = LoopGroupMax(rows_by_loop, channels, samples); };
  contest.plain = [&] { plain = std::get<0>(rows.view({-1, samples, channels}).max(1)); };
  contest.agree = [&] {
    return at::equal(ours, plain) && at::equal(ours, Table(largest, channels));
  };
  equal &= Run(contest, options.repeats);

  const std::vector<float> known(
      features.begin(), features.begin() + static_cast<std::ptrdiff_t>(centres * channels));
  const Tensor known_table = Table(known, channels);
  const std::vector<float> weight(neighbours.weight.data_ptr<float>(),
                                  neighbours.weight.data_ptr<float>() + neighbours.weight.numel());
  const std::vector<int64_t> three = Longs(neighbours.index);
  contest.name = "interpolation, 96 channels";
  contest.ours = [&] { ours = pointnet2::Interpolate(known_table, neighbours); };
  contest.loop = [&] { largest = LoopInterpolate(known, channels, three, weight); };
  contest.plain = [&] {
    plain = (known_table.index_select(0, neighbours.index.reshape({-1})).view({-1, 3, channels}) *
             neighbours.weight.unsqueeze(2))
                .sum(1);
  };
  contest.agree = [&] {
    return at::allclose(ours, plain, 1e-5, 1e-6) &&
           at::allclose(ours, Table(largest, channels), 1e-5, 1e-6);
  };
  equal &= Run(contest, options.repeats);

  for (const bool rotated : {true, false}) {
    const int64_t count = rotated ? 512 : 4096;
    const double threshold = rotated ? 0.1 : 0.8;
    const std::vector<float> boxes = Cars(xyz, count, 3);
    const Tensor box_table = Table(boxes, 7);
    std::vector<int64_t> kept, loop_kept, plain_kept;
    contest.name = rotated ? "rotated suppression, 512 boxes" : "aligned suppression, 4096 boxes";
    contest.ours = [&] {
      kept = rotated ? detection::SuppressRotated(boxes.data(), count, threshold, count)
                     : detection::SuppressAligned(boxes.data(), count,
                                                  static_cast<float>(threshold), count);
    };
    contest.loop = [&] { loop_kept = LoopSuppress(boxes, threshold, rotated); };
    contest.plain = [&] { plain_kept = PlainSuppress(box_table, threshold, rotated); };
    contest.agree = [&] { return kept == loop_kept && kept == plain_kept; };
    equal &= Run(contest, options.repeats);
  }

  const std::vector<float> rois = Cars(xyz, 100, 4);
  const Tensor roi_table = Table(rois, 7);
  std::vector<std::vector<int64_t>> pooled, loop_pooled;
  contest.name = "RoI pooling, 100 RoIs";
  contest.ours = [&] {
    const detection::PointColumns columns(xyz.data(), points);
    pooled.clear();
    for (size_t r = 0; r < 100; ++r) {
      std::vector<float> grown(rois.begin() + static_cast<std::ptrdiff_t>(7 * r),
                               rois.begin() + static_cast<std::ptrdiff_t>(7 * r + 7));
      grown[1] += 1;
      for (size_t i = 3; i < 6; ++i) grown[i] += 2;
      pooled.push_back(detection::PointsInBox(columns, grown.data(), 10, 512, nullptr));
    }
  };
  contest.loop = [&] { loop_pooled = LoopPoolRois(xyz, rois, 512); };
  contest.plain = [&] { by_plain = PlainPoolRois(cloud, roi_table, 512); };
  contest.agree = [&] {
    for (size_t r = 0; r < pooled.size(); ++r) {
      const std::vector<int64_t> row = Longs(by_plain[static_cast<int64_t>(r)]);
      const auto end = std::find(row.begin(), row.end(), points);
      if (std::vector<int64_t>(row.begin(), end) != pooled[r]) return false;
    }
    return pooled == loop_pooled;
  };
  equal &= Run(contest, options.repeats);
  std::printf("* ours, on the clock: means something on an idle machine\n");
  return equal;
}

int Main(int argc, char** argv) {
  KeepFreedMemory();
  Options options;
  CLI::App app{
      "Times the detectors' operators against a straightforward loop and LibTorch's own, checks "
      "that "
      "they say the same, and times both detectors and their training.\n\n"
      "Example: ./dev bench detection --points 4096"};
  app.add_option("--points", options.points, "Points of a cloud")
      ->check(CLI::Range(1024, 1 << 20))
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "Measurements, whose median is shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--operators-only", options.operators_only, "Leave the detectors out");
  app.add_flag("--models-only", options.models_only, "Leave the operators out");
  if (const auto code = ParseCommandLine(app, argc, argv)) return *code;
  bool fine = true;
  if (!options.models_only) fine = RunOperators(options);
  if (!options.operators_only) fine &= RunDetectionModels(options.points, options.repeats);
  return fine ? 0 : 1;
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) { return backfire::benchmarks::Main(argc, argv); }
