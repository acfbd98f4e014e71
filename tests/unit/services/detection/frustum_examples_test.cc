#include "services/detection/frustum_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/model_test_kit.h"

namespace backfire::detection {
namespace {

using runtime::Split;
using runtime::TensorMap;

FrustumParameters Parameters() {
  FrustumParameters p = *ReadFrustumParameters(FullFrustumRecipe());
  p.min_box_height_px = 0;
  p.frustum.points = 32;
  p.batch = 8;
  return p;
}

class FrustumExamplesTest : public ::testing::Test {
 protected:
  // Clouds of so many points each, far up where no box is, and one in the middle of the first car.
  runtime::TrainingTask Task(int64_t points) {
    std::vector<TensorMap> inputs(4);
    for (TensorMap& map : inputs) {
      map["points"] = runtime::MakeTensor(runtime::Datatype::kFp32, {points, 3});
    }
    clouds_ = std::make_unique<testing::FixedExamples>(inputs);
    runtime::TrainingTask task;
    task.dataset = &frames_.dataset();
    task.train_inputs = clouds_.get();
    return task;
  }
  std::vector<FrustumExample> Read(const FrustumParameters& p, int64_t seed = 1) {
    runtime::TrainingTask task = Task(5);
    task.seed = seed;
    testing::RecordingJob job;
    const auto examples = ReadFrustumExamples("Car", p, task, job);
    EXPECT_TRUE(examples.ok()) << examples.status();
    return examples.value_or(std::vector<FrustumExample>());
  }
  int64_t Cars() {
    int64_t cars = 0;
    for (int64_t i = 0; i < 4; ++i) {
      const auto labels = *frames_.dataset().Labels(Split::kTrain, i);
      for (const metrics::Object& label : labels) cars += label.type == "Car";
    }
    return cars;
  }
  const testing::RenderedFrames frames_{4, 0};
  std::unique_ptr<testing::FixedExamples> clouds_;
};

TEST_F(FrustumExamplesTest, ObjectsWithoutPointsAreKept) {
  const std::vector<FrustumExample> examples = Read(Parameters());
  EXPECT_EQ(static_cast<int64_t>(examples.size()), Cars());
  Random random(1);
  const FrustumBatch batch = MakeFrustumBatch(examples, Parameters(), random);
  EXPECT_THAT(batch.weight, ::testing::Each(0));
  EXPECT_THAT(batch.mask, ::testing::Each(0));
  EXPECT_EQ(batch.points.size(), 8u * 32 * 4);
  EXPECT_EQ(batch.center.size(), 8u * 3);
}

TEST_F(FrustumExamplesTest, LabelsFarOrLowMayBeLeftOut) {
  FrustumParameters p = Parameters();
  p.train_max_depth_m = 15;
  for (const FrustumExample& example : Read(p)) EXPECT_LE(example.label.box_3d.z, 15);
  p = Parameters();
  p.min_box_height_px = 30;
  for (const FrustumExample& example : Read(p)) EXPECT_GE(example.label.box_2d.height(), 30);
  p.min_box_height_px = 10'000;
  testing::RecordingJob job;
  const auto none = ReadFrustumExamples("Car", p, Task(5), job);
  EXPECT_TRUE(absl::IsFailedPrecondition(none.status())) << none.status();
}

TEST_F(FrustumExamplesTest, AFractionOfTheFramesIsDrawnByTheSeed) {
  FrustumParameters p = Parameters();
  p.train_fraction = 0.5;
  const auto depths = [&](int64_t seed) {
    std::vector<double> result;
    for (const FrustumExample& example : Read(p, seed)) result.push_back(example.label.box_3d.z);
    return result;
  };
  EXPECT_EQ(depths(1), depths(1));
  bool differs = false;
  for (int64_t seed = 2; seed < 8; ++seed) differs = differs || depths(seed) != depths(1);
  EXPECT_TRUE(differs);
  EXPECT_LT(depths(1).size(), static_cast<size_t>(Cars()));
}

TEST(FrustumBatchTest, ABoxOfPointsIsItsMask) {
  // A car 10 m ahead with four points inside, and a wall 10 m behind it.
  FrustumExample example;
  example.label.box_2d = {40, 10, 60, 30};
  example.label.box_3d = {1.5, 1.6, 4, 0, 0.75, 10, 0};
  example.calibration.left = {100, 0, 50, 0, 0, 100, 20, 0, 0, 0, 1, 0};
  example.calibration.right = {100, 0, 50, -50, 0, 100, 20, 0, 0, 0, 1, 0};
  for (int i = 0; i < 4; ++i) {
    example.points.push_back({0.1f * static_cast<float>(i), 0, 9.5f, 1, 50, 20});
    example.points.push_back({0.1f * static_cast<float>(i), 0, 20, 1, 50, 20});
  }
  FrustumParameters p = Parameters();
  p.frustum.points = 8;
  p.frustum.relative_depth = true;
  Random random(5);
  const FrustumBatch batch = MakeFrustumBatch({example}, p, random);
  for (size_t b = 0; b < 8; ++b) {
    EXPECT_EQ(std::count(batch.mask.begin() + static_cast<int64_t>(8 * b),
                         batch.mask.begin() + static_cast<int64_t>(8 * b + 8), 1),
              4);
    for (size_t i = 0; i < 8; ++i) {
      const float depth = 20 * batch.points[(8 * b + i) * 4 + 3];
      const bool near = batch.points[(8 * b + i) * 4 + 2] + depth < 15;
      EXPECT_EQ(batch.mask[8 * b + i], near ? 1 : 0);
    }
    // Length, width, height.
    EXPECT_FLOAT_EQ(batch.size[3 * b], 4);
    EXPECT_FLOAT_EQ(batch.size[3 * b + 2], 1.5f);
    EXPECT_NEAR(batch.center[3 * b + 1], 0, 1e-6) << "the middle, not the bottom";
  }
}

}  // namespace
}  // namespace backfire::detection
