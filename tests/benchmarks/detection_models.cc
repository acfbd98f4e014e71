#include "tests/benchmarks/detection_models.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/status.h"
#include "services/car/car_model.h"
#include "services/detection/point_rcnn/box_coding.h"
#include "services/detection/point_rcnn/box_kernels.h"
#include "services/detection/point_rcnn/cloud_augmentation.h"
#include "services/detection/point_rcnn/point_rcnn.h"
#include "services/detection/point_rcnn/proposal_layer.h"
#include "services/learning/device.h"
#include "tests/benchmarks/measure.h"
#include "tests/support/detection_test_kit.h"
#include "tests/support/model_test_kit.h"

namespace backfire::benchmarks {
namespace {

using at::Tensor;
using runtime::Split;
using runtime::TensorMap;
using Clock = std::chrono::steady_clock;

// Keeps when each step was over, by the CPU that was used.
class TimingJob final : public runtime::JobContext {
 public:
  void Report(const v1::Progress& progress) override {
    if (progress.stage() == "training") ends_.push_back(std::clock());
  }
  bool cancelled() const override { return false; }
  // Seconds of a step among those numbered [first, last), the first of which starts up.
  double StepSeconds(size_t first, size_t last) const {
    std::vector<double> seconds;
    for (size_t i = first + 1; i < last && i < ends_.size(); ++i) {
      seconds.push_back(static_cast<double>(ends_[i] - ends_[i - 1]) / CLOCKS_PER_SEC);
    }
    return seconds.empty() ? 0 : Median(seconds);
  }

 private:
  std::vector<std::clock_t> ends_;
};

struct Contender {
  std::string title, recipe;
  std::vector<std::pair<std::string, double>> parameters;
  // Steps of each stage.
  std::vector<std::pair<std::string, size_t>> stages;
};

absl::Status RunContender(const Contender& contender, const runtime::Model& model,
                          const testing::RenderedFrames& frames,
                          const testing::FixedExamples& inputs, int64_t repeats) {
  v1::Recipe recipe = testing::RecipeOf(model, contender.recipe, contender.parameters);
  runtime::TrainingTask task;
  task.recipe = recipe;
  task.dataset = &frames.dataset();
  task.train_inputs = &inputs;
  task.files.checkpoint = frames.checkpoint_path() + contender.title;
  TimingJob job;
  BACKFIRE_ASSIGN_OR_RETURN(const std::string weights, model.Train(task, job));
  BACKFIRE_ASSIGN_OR_RETURN(const auto predictor, model.Load(recipe, weights));
  std::vector<double> milliseconds;
  for (int64_t i = 0; i <= repeats; ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(const TensorMap example, inputs.Get(i % inputs.size()));
    absl::Status status;
    milliseconds.push_back(CpuMilliseconds(
        [&] { status = predictor->Predict(example, [] { return false; }).status(); }));
    BACKFIRE_RETURN_IF_ERROR(status);
  }
  milliseconds.erase(milliseconds.begin());  // It warms up.
  const double median = Median(milliseconds);
  std::printf("%-34s %9.1f %9.2f", contender.title.c_str(), median, 1000 / median);
  size_t first = 0;
  for (const auto& [stage, steps] : contender.stages) {
    const double seconds = job.StepSeconds(first, first + steps);
    if (seconds > 0) std::printf("  %s %.2f", stage.c_str(), 1 / seconds);
    first += steps;
  }
  std::printf("\n");
  std::fflush(stdout);
  return absl::OkStatus();
}

// 100 RoIs around a frame's cars: as full as they get.
Tensor RoisAroundLabels(const datasets::StereoDataset& dataset, int64_t example) {
  std::vector<float> boxes;
  const std::vector<metrics::Object> objects = *dataset.Labels(Split::kTrain, example);
  for (const metrics::Object& label : objects) {
    if (label.type != "Car") continue;
    const std::vector<float> row = detection::BoxRow(label.box_3d);
    boxes.insert(boxes.end(), row.begin(), row.end());
  }
  if (boxes.empty()) boxes = {0, 1.6f, 10, 1.5f, 1.6f, 4, 0};
  Random random(1);
  const size_t labels = boxes.size() / 7;
  std::vector<float> rois;
  for (size_t i = 0; i < 100; ++i) {
    for (size_t c = 0; c < 7; ++c) {
      const double spread = c == 0 || c == 2 ? 0.5 : 0.1;
      rois.push_back(boxes[7 * (i % labels) + c] +
                     static_cast<float>(random.Uniform(-spread, spread)));
    }
  }
  return at::tensor(rois, at::kFloat).view({-1, 7});
}

// Where a frame's time goes, with one thread and with two.
void RunStages(const testing::RenderedFrames& frames, const TensorMap& frame, int64_t points,
               int64_t repeats) {
  detection::PointRcnnOptions options;
  options.points = points;
  detection::PointRcnn network(options, 1);
  network->eval();
  const at::NoGradGuard no_gradient;
  const runtime::Tensor& cloud = frame.at("points");
  // Spread over the whole frame.
  std::vector<float> chosen;
  for (int64_t i = 0; i < points; ++i) {
    const float* p = cloud.As<float>() + 3 * (i * cloud.shape[0] / points);
    chosen.insert(chosen.end(), p, p + 3);
  }
  const Tensor xyz = at::tensor(chosen, at::kFloat).view({-1, 3});
  const char* names[] = {"search: sampling, balls, nearest",
                         "first stage, search included",
                         "proposals",
                         "RoI pooling",
                         "second stage",
                         "decoding and suppression"};
  const Tensor around = RoisAroundLabels(frames.dataset(), 0);
  std::vector<double> times[6], whole, on_the_clock;
  int64_t roi_rows = 0;
  for (int64_t i = 0; i <= repeats; ++i) {
    for (const int threads : {1, 2}) {
      learning::UseThreads(threads);
      std::vector<double> now;
      const auto start = Clock::now();
      const pointnet2::Clouds clouds = pointnet2::StackClouds(xyz.unsqueeze(0));
      now.push_back(CpuMilliseconds([&] {
        std::vector<pointnet2::Clouds> sets{clouds};
        const float radii[][2] = {{0.1f, 0.5f}, {0.5f, 1}, {1, 2}, {2, 4}};
        for (int64_t level = 0; level < 4; ++level) {
          sets.push_back(pointnet2::SampleAndGroup(sets.back(), points >> (2 * level + 2),
                                                   {{radii[level][0], 16}, {radii[level][1], 32}},
                                                   level > 0)
                             .centres);
        }
        for (size_t level = 0; level < 4; ++level) {
          pointnet2::ThreeNearest(sets[level], sets[level + 1]);
        }
      }));
      detection::PointPredictions first;
      now.push_back(CpuMilliseconds([&] { first = network->proposals->forward(clouds, nullptr); }));
      detection::Proposals proposals;
      now.push_back(CpuMilliseconds([&] {
        proposals =
            detection::ProposeBoxes(xyz, first.scores, first.regression, options.mean_size, {});
      }));
      detection::RoiPoints rois;
      now.push_back(CpuMilliseconds([&] {
        rois = detection::PoolRois(xyz, detection::SegmentationMask(first.scores),
                                   detection::NormalisedDepth(xyz), first.features, around,
                                   options.roi_points);
      }));
      roi_rows = rois.clouds.xyz.size(0);
      detection::RoiPredictions second;
      now.push_back(CpuMilliseconds([&] { second = network->refinement->forward(rois); }));
      now.push_back(CpuMilliseconds([&] {
        const Tensor boxes = detection::DecodeBoxes(around, second.regression,
                                                    detection::kRefinementCoding, options.mean_size)
                                 .contiguous();
        detection::SuppressRotated(boxes.data_ptr<float>(), boxes.size(0), 0.1, boxes.size(0));
      }));
      if (i == 0) continue;
      if (threads == 2) {
        on_the_clock.push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - start).count() - now[0]);
        continue;
      }
      double sum = 0;
      for (size_t stage = 0; stage < now.size(); ++stage) {
        times[stage].push_back(now[stage]);
        if (stage > 0) sum += now[stage];  // The search is part of the first stage.
      }
      whole.push_back(sum);
    }
  }
  std::printf(
      "\nPointRCNN as published, a frame of %lld points, 100 RoIs around cars with %lld points:\n"
      "milliseconds of CPU with one thread, median of %lld\n",
      static_cast<long long>(points), static_cast<long long>(roi_rows),
      static_cast<long long>(repeats));
  for (size_t stage = 0; stage < 6; ++stage) {
    std::printf("%-34s %9.1f\n", names[stage], Median(times[stage]));
  }
  std::printf("%-34s %9.1f\n", "whole frame", Median(whole));
  std::printf("%-34s %9.1f\n", "  two threads, on the clock", Median(on_the_clock));
}

}  // namespace

bool RunDetectionModels(int64_t points, int64_t repeats) {
  const testing::RenderedFrames frames(4, 0);
  std::vector<TensorMap> examples;
  for (int64_t i = 0; i < 4; ++i) {
    examples.push_back(testing::TrueDetectorInputs(frames.dataset(), Split::kTrain, i,
                                                   /*stride=*/1, /*far_m=*/1000));
  }
  const testing::FixedExamples inputs(examples);
  RunStages(frames, examples[0], points, repeats);

  const auto model = car::MakeCarModel({"cpu"});
  std::printf(
      "\ndetectors as they are served, from the cloud to boxes: by the CPU used, one thread\n");
  std::printf("%-34s %9s %9s  %s\n", "", "ms", "frames/s", "training steps/s");
  const Contender contenders[] = {
      {"frustum-pointnet, batch 32", "frustum-pointnet", {{"steps", 5}}, {{"", 5}}},
      {"point-rcnn-small, batch 4",
       "point-rcnn-small",
       {{"proposal_steps", 6}, {"refinement_steps", 6}},
       {{"first stage", 6}, {"second", 6}}},
      {"point-rcnn, batch 1",
       "point-rcnn",
       {{"proposal_steps", 2}, {"refinement_steps", 2}, {"batch", 1}, {"min_score", 0}},
       {{"first stage", 2}, {"second", 2}}}};
  bool fine = true;
  for (const Contender& contender : contenders) {
    const absl::Status status = RunContender(contender, *model, frames, inputs, repeats);
    if (status.ok()) continue;
    std::fprintf(stderr, "%s: %s\n", contender.title.c_str(), status.ToString().c_str());
    fine = false;
  }
  return fine;
}

}  // namespace backfire::benchmarks
