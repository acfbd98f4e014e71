#include "services/pointcloud/lidar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "services/base/file.h"
#include "services/datasets/kitti_objects.h"
#include "tests/support/temporary_directory.h"

namespace backfire::pointcloud {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// x forward, y left, z up becomes x right, y down, z forward; 0.1 m lower.
constexpr char kCalibration[] =
    "P2: 1 0 0 0 0 1 0 0 0 0 1 0\n"
    "P3: 1 0 0 -0.5 0 1 0 0 0 0 1 0\n"
    "R0_rect: 1 0 0 0 1 0 0 0 1\n"
    "Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0.1 1 0 0 0\n";

class LidarTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<float>> Read(const std::vector<float>& sweep,
                                          const std::string& calibration = kCalibration) {
    const std::string bytes(reinterpret_cast<const char*>(sweep.data()),
                            sweep.size() * sizeof(float));
    EXPECT_TRUE(WriteFileAtomically(directory_ / "sweep.bin", bytes).ok());
    EXPECT_TRUE(WriteFileAtomically(directory_ / "calib.txt", calibration).ok());
    return ReadLidar(directory_ / "sweep.bin", directory_ / "calib.txt");
  }
  testing::TemporaryDirectory directory_;
};

TEST_F(LidarTest, PointsComeIntoTheCamerasFrame) {
  const auto points = Read({10, 2, 0.5f, 0.25f});
  ASSERT_TRUE(points.ok()) << points.status();
  ASSERT_EQ(points->size(), 4u);
  EXPECT_FLOAT_EQ((*points)[0], -2);
  EXPECT_FLOAT_EQ((*points)[1], -0.4f);
  EXPECT_FLOAT_EQ((*points)[2], 10);
  EXPECT_FLOAT_EQ((*points)[3], 0.25f);
  EXPECT_TRUE(Read({})->empty());
}

TEST_F(LidarTest, WhatIsNoSweepIsRefusedByName) {
  const auto message = [](const absl::StatusOr<std::vector<float>>& points) {
    EXPECT_TRUE(absl::IsDataLoss(points.status())) << points.status();
    return std::string(points.status().message());
  };
  EXPECT_THAT(message(Read({1, 2, 3})), HasSubstr("sweep.bin: a scan has 16 bytes a point"));
  EXPECT_THAT(message(Read({1, 2, 3, 0, 1, NAN, 3, 0})), HasSubstr("sweep.bin: point 1 "));
  EXPECT_THAT(message(Read({1, 2, 3, 0}, "R0_rect: 1 2\n")),
              HasSubstr("calib.txt:1: R0_rect must have 9 numbers: got 2"));
  const std::string cameras_alone(kCalibration, std::string(kCalibration).find("R0_rect"));
  const auto missing = Read({1, 2, 3, 0}, cameras_alone);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("calib.txt"));
}

TEST_F(LidarTest, LimitsAreThoseOfPseudoLidar) {
  datasets::StereoCalibration calibration;
  calibration.left = {100, 0, 50, 0, 0, 100, 20, 0, 0, 0, 1, 0};
  BackProjectionOptions options;
  options.max_depth_m = 20;
  // On the ground; too high; too far; behind.
  const std::vector<float> points = {0, 1.6f, 10, 0, 0, -1.5f, 10, 0, 0, 1, 21, 0, 0, 1, -3, 0};
  EXPECT_EQ(ApplyLimits(points, calibration, options), (std::vector<float>{0, 1.6f, 10, 0}));
}

// Real sweeps against numbers computed elsewhere, in doubles.
class KittiLidarTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* directory = std::getenv("BACKFIRE_KITTI_MINI");
    if (directory == nullptr) GTEST_SKIP() << "BACKFIRE_KITTI_MINI is not set";
    root_ = directory;
  }
  const std::vector<float>& Points(const std::string& frame) {
    auto& points = sweeps_[frame];
    if (points.empty()) {
      const auto read = ReadLidar(root_ / "training/velodyne" / (frame + ".bin"),
                                  root_ / "training/calib" / (frame + ".txt"));
      EXPECT_TRUE(read.ok()) << read.status();
      points = read.value_or(std::vector<float>(4));
    }
    return points;
  }
  fs::path root_;
  std::map<std::string, std::vector<float>> sweeps_;
};

TEST_F(KittiLidarTest, PointsAreWhereTheReferencePutsThem) {
  std::ifstream table(root_ / "expected_projection.tsv");
  std::string line, frame;
  std::getline(table, line);
  int64_t rows = 0;
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    size_t index = 0;
    double velo[3], cam[3], u2 = 0, v2 = 0, u3 = 0;
    fields >> frame >> index >> velo[0] >> velo[1] >> velo[2] >> cam[0] >> cam[1] >> cam[2] >> u2 >>
        v2 >> u3;
    ASSERT_TRUE(fields) << line;
    const std::vector<float>& points = Points(frame);
    ASSERT_GT(points.size(), 4 * index + 3);
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(points[4 * index + i], cam[i], 1e-5) << line;

    // The point's disparity, at its own pixel, gives the point again. That depth is f B / d
    // neglects P2[2,3]: up to 0.6 % in frame 0, 0.1 % in the others.
    const auto calibration = datasets::ReadCalibration(root_ / "training/calib" / (frame + ".txt"));
    ASSERT_TRUE(calibration.ok()) << calibration.status();
    const auto at_origin = datasets::ResizeAndCrop(*calibration, 1, 1, u2, v2);
    const auto disparity = static_cast<float>(u2 - u3);
    BackProjectionOptions options;
    options.max_depth_m = options.max_height_m = 1e6;
    const std::vector<float> back = BackProject(&disparity, 1, 1, at_origin, options);
    ASSERT_EQ(back.size(), 3u) << line;
    const double tolerance = (frame == "000000" ? 0.008 : 0.003) * cam[2] + 0.01;
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(back[i], cam[i], tolerance) << line;
    ++rows;
  }
  EXPECT_GT(rows, 100);
}

TEST_F(KittiLidarTest, LabelsHoldAsManyPointsAsTheReferenceCounts) {
  std::ifstream table(root_ / "expected_boxes.tsv");
  std::string line, frame, type;
  std::getline(table, line);
  int64_t rows = 0;
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    size_t index = 0;
    int64_t inside = 0, near_face = 0;
    fields >> frame >> index >> type >> inside >> near_face;
    ASSERT_TRUE(fields) << line;
    const auto labels = datasets::ReadObjects(root_ / "training/label_2" / (frame + ".txt"));
    ASSERT_TRUE(labels.ok()) << labels.status();
    const metrics::Box3d& box = labels->at(index).box_3d;
    const std::vector<float>& points = Points(frame);
    const double c = std::cos(box.rotation_y), s = std::sin(box.rotation_y);
    int64_t count = 0;
    for (size_t i = 0; i < points.size(); i += 4) {
      const double x = points[i] - box.x, z = points[i + 2] - box.z;
      count += std::abs(c * x - s * z) <= box.length / 2 &&
               std::abs(s * x + c * z) <= box.width / 2 && points[i + 1] <= box.y &&
               points[i + 1] >= box.y - box.height;
    }
    EXPECT_NEAR(count, inside, near_face + 1) << line;
    ++rows;
  }
  EXPECT_GT(rows, 5);
}

}  // namespace
}  // namespace backfire::pointcloud
