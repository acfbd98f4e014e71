#include "services/datasets/rendered_world.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <opencv2/core.hpp>

#include "services/datasets/kitti_objects.h"
#include "services/metrics/iou.h"

namespace backfire::datasets {
namespace {

using runtime::Split;

const RenderProfile kTiny = *FindRenderProfile("tiny");

bool Same(const StereoFrame& a, const StereoFrame& b) {
  return cv::norm(a.left, b.left, cv::NORM_INF) == 0 &&
         cv::norm(a.right, b.right, cv::NORM_INF) == 0 &&
         cv::norm(a.disparity, b.disparity, cv::NORM_INF) == 0 &&
         FormatObjects(a.labels) == FormatObjects(b.labels);
}

TEST(RenderedWorldTest, DependsOnSeedSplitAndIndexAlone) {
  const StereoFrame frame = RenderFrame(kTiny, 1, Split::kTrain, 0);
  EXPECT_TRUE(Same(frame, RenderFrame(kTiny, 1, Split::kTrain, 0)));
  EXPECT_FALSE(Same(frame, RenderFrame(kTiny, 2, Split::kTrain, 0)));
  EXPECT_FALSE(Same(frame, RenderFrame(kTiny, 1, Split::kTest, 0)));
  EXPECT_FALSE(Same(frame, RenderFrame(kTiny, 1, Split::kTrain, 1)));
}

TEST(RenderedWorldTest, ProfilesAreNamed) {
  EXPECT_EQ(FindRenderProfile("huge").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(kTiny.width, 384);
  EXPECT_EQ(kTiny.height, 128);
}

// Disparity by its definition: a wall of known depth, across the whole view.
TEST(RenderedWorldTest, DisparityOfAWall) {
  Scene scene;
  Part wall;
  wall.box = {/*height=*/20,
              /*width=*/1,
              /*length=*/200,
              /*x=*/0,
              /*y=*/10,
              /*z=*/10.5,     0};
  wall.colour = {0.5f, 0.5f, 0.5f};
  scene.parts.push_back(wall);
  // In front of the ground, which rows below the horizon meet at 1.65 / dy > 10 m only.
  const StereoFrame frame = RenderScene(kTiny, scene, 1, Random(1));
  EXPECT_NEAR(frame.disparity.at<float>(20, 200), 320 * 0.8 / 10, 1e-4);
  // Seen by both cameras, but for the strip that lies left of the right image.
  EXPECT_GT(frame.visible_disparity.at<float>(20, 200), 0);
  EXPECT_EQ(frame.visible_disparity.at<float>(20, 10), 0);
}

// The right image, looked up where disparity says, is the left image: both views show one world.
TEST(RenderedWorldTest, DisparityMapsLeftOntoRight) {
  double error = 0, control = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < 5; ++i) {
    const StereoFrame frame = RenderFrame(kTiny, 3, Split::kTrain, i);
    for (int y = 0; y < kTiny.height; ++y) {
      for (int x = 60; x < kTiny.width - 1; ++x) {
        const double disparity = frame.visible_disparity.at<float>(y, x);
        if (disparity <= 0) continue;
        const auto difference = [&](double position) {
          const int low = static_cast<int>(position);
          const double t = position - low;
          const double right = (1 - t) * frame.right.at<cv::Vec3b>(y, low)[1] +
                               t * frame.right.at<cv::Vec3b>(y, low + 1)[1];
          return std::abs(frame.left.at<cv::Vec3b>(y, x)[1] - right);
        };
        error += difference(x - disparity);
        control += difference(std::max(x - disparity - 4, 0.0));
        ++count;
      }
    }
  }
  ASSERT_GT(count, 100000);
  EXPECT_LT(error / count, 8);      // Grey levels: noise and interpolation.
  EXPECT_GT(control / error, 2.5);  // Four pixels off, it is much worse: there is texture.
}

TEST(RenderedWorldTest, LabelsAgreeWithDisparityAndImage) {
  int cars = 0, pedestrians = 0, hidden = 0, truncated = 0;
  for (int64_t i = 0; i < 40; ++i) {
    const StereoFrame frame = RenderFrame(kTiny, 4, Split::kTest, i);
    const double fb = frame.calibration.focal_length_px() * frame.calibration.baseline_m();
    for (size_t j = 0; j < frame.labels.size(); ++j) {
      const metrics::Object& label = frame.labels[j];
      ASSERT_GE(label.box_2d.left, 0);
      ASSERT_LE(label.box_2d.right, kTiny.width - 1);
      ASSERT_GT(label.box_2d.width(), 0);
      if (label.type == "DontCare") continue;
      cars += label.type == "Car";
      pedestrians += label.type == "Pedestrian";
      hidden += label.occlusion > 0;
      truncated += label.truncation > 0.1;
      ASSERT_GE(label.truncation, -1e-9);
      ASSERT_LE(label.truncation, 1);
      EXPECT_NEAR(label.alpha, ObservationAngle(label.box_3d), 1e-9);
      for (size_t k = 0; k < j; ++k) {
        EXPECT_EQ(metrics::IouBirdsEye(label.box_3d, frame.labels[k].box_3d), 0);
      }
      // Points of the disparity map within the 2D box must reach into the 3D box.
      if (label.occlusion != 0 || label.truncation > 0.1) continue;
      int inside = 0;
      const metrics::Box3d& box = label.box_3d;
      for (int y = static_cast<int>(label.box_2d.top); y <= label.box_2d.bottom; ++y) {
        for (int x = static_cast<int>(label.box_2d.left); x <= label.box_2d.right; ++x) {
          const double z = fb / frame.disparity.at<float>(y, x);
          const double px = (x - frame.calibration.centre_x_px()) * z / 320 +
                            frame.calibration.left_offset_x_m() - box.x;
          const double py = (y - frame.calibration.centre_y_px()) * z / 320;
          const double pz = z - box.z;
          const double l = std::cos(box.rotation_y) * px - std::sin(box.rotation_y) * pz;
          const double w = std::sin(box.rotation_y) * px + std::cos(box.rotation_y) * pz;
          inside += std::abs(l) <= box.length / 2 + 1e-3 && std::abs(w) <= box.width / 2 + 1e-3 &&
                    py <= box.y - 0.05 && py >= box.y - box.height - 1e-3;
        }
      }
      EXPECT_GT(inside, 0.35 * label.box_2d.width() * label.box_2d.height())
          << label.type << " of frame " << i;
    }
  }
  // The worlds must have something of each for the detectors to learn.
  EXPECT_GT(cars, 100);
  EXPECT_GT(pedestrians, 50);
  EXPECT_GT(hidden, 20);
  EXPECT_GT(truncated, 5);
}

TEST(RenderedWorldTest, IsFast) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < 10; ++i) RenderFrame(kTiny, 5, Split::kTrain, i);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  RecordProperty("milliseconds_per_frame", static_cast<int>(took.count() * 100));
  EXPECT_LT(took.count(), 10);  // Some 20 ms a frame; room for sanitizers and a busy machine.
}

}  // namespace
}  // namespace backfire::datasets
