#include "services/pointcloud/pointcloud_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>

#include "services/base/random.h"
#include "services/pointcloud/back_projection.h"
#include "services/pointcloud/cloud_distance.h"
#include "services/pointcloud/subsampling.h"
#include "tests/support/model_test_kit.h"

namespace backfire::pointcloud {
namespace {

using runtime::Split;
using ::testing::HasSubstr;

bool Never() { return false; }

// f = 100 px, centre (2, 1), baseline 0.5 m, left camera at the origin.
datasets::StereoCalibration Calibration() {
  datasets::StereoCalibration calibration;
  calibration.left = {100, 0, 2, 0, 0, 100, 1, 0, 0, 0, 1, 0};
  calibration.right = {100, 0, 2, -50, 0, 100, 1, 0, 0, 0, 1, 0};
  return calibration;
}

TEST(BackProjectionTest, MatchesAHandComputedPoint) {
  std::vector<float> disparity(3 * 5, 0.0f);
  disparity[2 * 5 + 4] = 5;  // Row 2, column 4: z = 100 * 0.5 / 5 = 10 m.
  const std::vector<float> points = BackProject(disparity.data(), 3, 5, Calibration(), {});
  ASSERT_EQ(points.size(), 3u);
  EXPECT_FLOAT_EQ(points[0], 0.2f);  // (4 - 2) * 10 / 100.
  EXPECT_FLOAT_EQ(points[1], 0.1f);
  EXPECT_FLOAT_EQ(points[2], 10);
}

TEST(BackProjectionTest, DropsWhatIsTooFarOrTooHigh) {
  std::vector<float> disparity = {0.4f, 0.6f, 5, 5};
  BackProjectionOptions options;
  options.max_height_m = 0;  // Row 0 lies above the camera.
  EXPECT_TRUE(BackProject(disparity.data(), 1, 4, Calibration(), options).empty());
  options.max_height_m = 1;
  // 0.4 px is noise, 0.6 px is 83 m.
  EXPECT_EQ(BackProject(disparity.data(), 1, 4, Calibration(), options).size(), 6u);
}

// The published equations, in doubles and one pixel at a time.
std::vector<double> Equations(const std::vector<float>& disparity, int64_t width,
                              const datasets::StereoCalibration& calibration,
                              const BackProjectionOptions& options) {
  std::vector<double> points;
  const auto height = static_cast<int64_t>(disparity.size()) / width;
  for (int64_t v = 0; v < height; v += options.stride) {
    for (int64_t u = 0; u < width; u += options.stride) {
      const double d = disparity[static_cast<size_t>(v * width + u)];
      if (d < options.min_disparity_px) continue;
      const double f = calibration.left[0];
      const double z = f * calibration.baseline_m() / d;
      const double y = (static_cast<double>(v) - calibration.left[6]) * z / calibration.left[5];
      if (z > options.max_depth_m || z < options.min_depth_m || -y > options.max_height_m) continue;
      points.push_back((static_cast<double>(u) - calibration.left[2]) * z / f -
                       calibration.left[3] / f);
      points.push_back(y - calibration.left[7] / calibration.left[5]);
      points.push_back(z);
      if (options.intensity) points.push_back(1);
    }
  }
  return points;
}

void ExpectEquations(const datasets::StereoCalibration& calibration,
                     const BackProjectionOptions& options, int64_t height, int64_t width) {
  Random random(7);
  std::vector<float> disparity(static_cast<size_t>(height * width));
  for (float& d : disparity) {
    d = random.Uniform() < 0.2 ? 0 : static_cast<float>(random.Uniform(0.1, 60));
  }
  const std::vector<double> expected = Equations(disparity, width, calibration, options);
  const std::vector<float> points =
      BackProject(disparity.data(), height, width, calibration, options);
  ASSERT_EQ(points.size(), expected.size());
  for (size_t i = 0; i < points.size(); ++i) {
    // A few roundings of float32.
    ASSERT_NEAR(points[i], expected[i], 1e-6 * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

// KITTI's offset left camera, an odd width (blocks don't fit), strides, limits.
TEST(BackProjectionTest, FollowsTheEquationsEverywhere) {
  datasets::StereoCalibration calibration;
  calibration.left = {721.5, 0, 609.6, 44.9, 0, 720, 172.9, 0.2, 0, 0, 1, 0};
  calibration.right = {721.5, 0, 609.6, -339.5, 0, 720, 172.9, 2.2, 0, 0, 1, 0};
  BackProjectionOptions options;
  ExpectEquations(calibration, options, 60, 333);
  options.stride = 3;
  ExpectEquations(calibration, options, 61, 331);
  options.intensity = true;
  options.min_depth_m = 8;
  options.max_depth_m = 20;
  ExpectEquations(calibration, options, 60, 333);
}

TEST(BackProjectionTest, FollowsTheEquationsOnKittisCalibration) {
  const char* directory = std::getenv("BACKFIRE_KITTI_MINI");
  if (directory == nullptr) GTEST_SKIP() << "BACKFIRE_KITTI_MINI is not set";
  int64_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.path().extension() != ".txt" || entry.path().parent_path().filename() != "calib") {
      continue;
    }
    const auto calibration = datasets::ReadCalibration(entry.path());
    ASSERT_TRUE(calibration.ok()) << calibration.status();
    EXPECT_NEAR(calibration->baseline_m(), 0.54, 0.02) << "KITTI's rig";
    ExpectEquations(*calibration, {}, 47, 1242);
    ++files;
  }
  EXPECT_GT(files, 0);
}

// "Higher than 1 m above the camera" is strict.
TEST(BackProjectionTest, WinsorizationKeepsTheBoundary) {
  datasets::StereoCalibration calibration = Calibration();
  calibration.left[6] = calibration.right[6] = 4;  // Centre row 4; f b = 50.
  // At z = 25 m, rows 0 to 3 are 1, 0.75, 0.5 and 0.25 m up.
  const std::vector<float> disparity(4, 2.0f);
  BackProjectionOptions options;
  EXPECT_EQ(BackProject(disparity.data(), 4, 1, calibration, options).size(), 12u);
  options.max_height_m = 0.75;
  EXPECT_EQ(BackProject(disparity.data(), 4, 1, calibration, options).size(), 9u);
  options.max_height_m = 0.2;
  EXPECT_TRUE(BackProject(disparity.data(), 4, 1, calibration, options).empty());
}

TEST(SubsamplingTest, ABeamKeepsThePointNearestToItsMiddle) {
  // Beams are 0.4 degrees apart from 2 degrees up; columns 90 / 512 degrees.
  const auto at = [](double elevation_deg, double azimuth_deg, std::vector<float>& cloud) {
    const double e = elevation_deg * M_PI / 180, a = azimuth_deg * M_PI / 180;
    for (const double value :
         {20 * std::cos(e) * std::sin(a), -20 * std::sin(e), 20 * std::cos(e) * std::cos(a)}) {
      cloud.push_back(static_cast<float>(value));
    }
  };
  const double column = 90.0 / 512;
  std::vector<float> cloud;
  at(-0.35, 0.9 * column, cloud);  // In the cell of beams [-0.4, 0], columns [0, 1].
  at(-0.2, 0.5 * column, cloud);   // In its middle.
  at(-0.2, 1.5 * column, cloud);   // The next column.
  at(2.5, 0, cloud);               // Above all beams.
  at(-24, 0, cloud);               // Below.
  at(-1, 50, cloud);               // Beside.
  EXPECT_THAT(SampleBeams(cloud.data(), 6, 3, {}), ::testing::ElementsAre(1, 2));
  EXPECT_TRUE(SampleBeams(nullptr, 0, 3, {}).empty());
}

TEST(SubsamplingTest, RandomKeepsSoManyBySeed) {
  const std::vector<int64_t> kept = SampleRandom(1000, 100, 1);
  EXPECT_EQ(kept.size(), 100u);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_EQ(std::set<int64_t>(kept.begin(), kept.end()).size(), 100u);
  EXPECT_EQ(SampleRandom(1000, 100, 1), kept);
  EXPECT_NE(SampleRandom(1000, 100, 2), kept);
  EXPECT_EQ(SampleRandom(3, 100, 1), (std::vector<int64_t>{0, 1, 2}));
}

TEST(SubsamplingTest, AVoxelKeepsOne) {
  const std::vector<float> cloud = {0.1f, 0.1f, 5.1f, 0.2f, 0.3f, 5.4f, -0.1f, 0.1f, 5.1f};
  std::set<int64_t> seen;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<int64_t> kept = SampleVoxels(cloud.data(), 3, 3, 0.5, seed);
    ASSERT_EQ(kept.size(), 2u) << "the third lies on the other side of zero";
    EXPECT_EQ(kept[1], 2);
    seen.insert(kept[0]);
  }
  EXPECT_EQ(seen, (std::set<int64_t>{0, 1})) << "each of a voxel's points has its chance";
}

TEST(ReferenceCloudTest, MeasuresToTheNearestPoint) {
  const ReferenceCloud cloud({0, 0, 10, 3, 0, 10});
  const float point[] = {0, 4, 13}, other[] = {3, 0, 12};
  EXPECT_DOUBLE_EQ(cloud.DistanceTo(point), 5);
  EXPECT_DOUBLE_EQ(cloud.DistanceTo(other), 2);
  EXPECT_TRUE(ReferenceCloud({}).empty());
}

// Clouds of two frames, from the true disparity times `factor`.
v1::Evaluation Evaluate(double factor, const std::vector<std::pair<std::string, double>>& recipe,
                        const std::string& sampling, int64_t* points) {
  const auto model = MakePointCloudModel();
  static const auto* const frames = new testing::RenderedFrames(0, 2);
  v1::Recipe complete = testing::RecipeOf(*model, "pseudo-lidar", recipe);
  runtime::SetParameter(complete, "sampling", sampling);
  const auto predictor = *model->Load(complete, std::string());
  std::vector<runtime::TensorMap> outputs;
  *points = 0;
  for (int64_t i = 0; i < 2; ++i) {
    runtime::TensorMap inputs;
    const cv::Mat truth = *frames->dataset().Disparity(Split::kTest, i) * factor;
    inputs["disparity"] = runtime::MakeTensor(runtime::Datatype::kFp32, {truth.rows, truth.cols});
    std::memcpy(inputs["disparity"].data.data(), truth.data, inputs["disparity"].data.size());
    inputs["calibration"] = frames->Request(Split::kTest, i)["calibration"];
    outputs.push_back(*predictor->Predict(inputs, Never));
    *points += outputs.back()["points"].shape[0];
  }
  testing::RecordingJob job;
  return *model->Evaluate(frames->dataset(), Split::kTest, testing::FixedExamples(outputs), {},
                          job);
}

TEST(PointCloudModelTest, TheTrueDisparityGivesTheTrueCloud) {
  int64_t points = 0;
  const v1::Evaluation exact = Evaluate(1, {}, "all", &points);
  EXPECT_GT(points, 20000);
  EXPECT_EQ(exact.losses(0).loss(), "mean_point_distance");
  EXPECT_LT(exact.losses(0).value(), 1e-3);
  EXPECT_EQ(exact.losses(1).loss(), "point_depth_mae");
  EXPECT_LT(exact.losses(1).value(), 1e-3);
  // Everything a tenth nearer: points leave surfaces, but slide along the ground.
  const v1::Evaluation nearer = Evaluate(1.1, {}, "all", &points);
  EXPECT_GT(nearer.losses(0).value(), 0.05);
  EXPECT_GT(nearer.losses(1).value(), nearer.losses(0).value());
}

TEST(PointCloudModelTest, ThinnerCloudsHavePointsOfTheTrueOne) {
  int64_t all = 0, points = 0;
  Evaluate(1, {}, "all", &all);
  for (const char* sampling : {"beams", "random", "voxels"}) {
    const v1::Evaluation thinner =
        Evaluate(1, {{"sampled_points", 3000}, {"voxel_m", 0.3}, {"beams", 32}}, sampling, &points);
    EXPECT_LT(points, all / 2) << sampling;
    EXPECT_GT(points, 1000) << sampling;
    EXPECT_LT(thinner.losses(0).value(), 1e-3) << sampling;
  }
}

TEST(PointCloudModelTest, ParametersThatMakeNoSenseAreRefused) {
  const auto model = MakePointCloudModel();
  v1::Recipe recipe;
  recipe.set_name("pseudo-lidar");
  runtime::SetParameter(recipe, "sampling", std::string("some"));
  EXPECT_THAT(std::string(model->ResolveRecipe(recipe).status().message()),
              HasSubstr("recipe.parameters.sampling must be one of all, beams, random, voxels"));
  runtime::SetParameter(recipe, "sampling", std::string("all"));
  runtime::SetParameter(recipe, "min_depth_m", 90);
  EXPECT_THAT(std::string(model->ResolveRecipe(recipe).status().message()),
              HasSubstr("recipe.parameters.min_depth_m must be less than max_depth_m"));
}

TEST(PointCloudModelTest, NoDisparityGivesNoPoints) {
  const auto model = MakePointCloudModel();
  const auto predictor =
      *model->Load(testing::RecipeOf(*model, "pseudo-lidar", {{"intensity", 1}}), std::string());
  runtime::TensorMap inputs;
  inputs["disparity"] = runtime::MakeTensor(runtime::Datatype::kFp32, {4, 5});
  inputs["calibration"] = datasets::ToTensor(Calibration());
  const auto output = predictor->Predict(inputs, Never);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->at("points").shape, (std::vector<int64_t>{0, 4}));
}

TEST(PointCloudModelTest, ADisparityThatIsNoNumberIsRefusedWithItsPlace) {
  const auto model = MakePointCloudModel();
  const auto predictor = *model->Load(testing::RecipeOf(*model, "pseudo-lidar", {}), std::string());
  runtime::TensorMap inputs;
  inputs["disparity"] = runtime::MakeTensor(runtime::Datatype::kFp32, {2, 3});
  inputs["disparity"].MutableAs<float>()[4] = std::numeric_limits<float>::quiet_NaN();
  inputs["calibration"] = datasets::ToTensor(Calibration());
  EXPECT_THAT(std::string(predictor->Predict(inputs, Never).status().message()),
              HasSubstr("(row 1, column 1)"));
  inputs["disparity"].MutableAs<float>()[4] = 1;
  inputs["calibration"].MutableAs<double>()[0] = std::nan("");
  const auto refused = predictor->Predict(inputs, Never);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("input \"calibration\""));
}

}  // namespace
}  // namespace backfire::pointcloud
