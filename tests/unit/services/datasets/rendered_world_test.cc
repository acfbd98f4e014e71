#include "services/datasets/rendered_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <opencv2/core.hpp>

#include "services/base/digest.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/rendered/figures.h"
#include "services/datasets/rendered/labels.h"
#include "services/metrics/iou.h"

namespace backfire::datasets {
namespace {

using runtime::Split;
using ::testing::HasSubstr;

const RenderProfile kTiny = *FindRenderProfile("tiny");

bool Same(const StereoFrame& a, const StereoFrame& b) {
  return cv::norm(a.left, b.left, cv::NORM_INF) == 0 &&
         cv::norm(a.right, b.right, cv::NORM_INF) == 0 &&
         cv::norm(a.disparity, b.disparity, cv::NORM_INF) == 0 &&
         FormatObjects(a.labels) == FormatObjects(b.labels);
}

// A point of the left image, in the rectified camera-0 frame.
Vector3 PointAt(const StereoFrame& frame, int x, int y) {
  const StereoCalibration& c = frame.calibration;
  const double f = c.focal_length_px();
  const double z = f * c.baseline_m() / frame.disparity.at<float>(y, x);
  return {(x - c.centre_x_px()) * z / f + c.left_offset_x_m(), (y - c.centre_y_px()) * z / f, z};
}

bool Within(const metrics::Box3d& box, const Vector3& point, double tolerance) {
  const double dx = point.x - box.x, dz = point.z - box.z;
  const double l = std::cos(box.rotation_y) * dx - std::sin(box.rotation_y) * dz;
  const double w = std::sin(box.rotation_y) * dx + std::cos(box.rotation_y) * dz;
  return std::abs(l) <= box.length / 2 + tolerance && std::abs(w) <= box.width / 2 + tolerance &&
         point.y <= box.y + tolerance && point.y >= box.y - box.height - tolerance;
}

TEST(RenderedWorldTest, DependsOnSeedSplitAndIndexAlone) {
  const StereoFrame frame = RenderFrame(kTiny, 1, Split::kTrain, 0);
  EXPECT_TRUE(Same(frame, RenderFrame(kTiny, 1, Split::kTrain, 0)));
  EXPECT_FALSE(Same(frame, RenderFrame(kTiny, 2, Split::kTrain, 0)));
  EXPECT_FALSE(Same(frame, RenderFrame(kTiny, 1, Split::kTest, 0)));
  EXPECT_FALSE(Same(frame, RenderFrame(kTiny, 1, Split::kTrain, 1)));
}

// The same bytes on any machine, compiler and optimisation. Whoever changes what is drawn raises
// kRenderVersion, so that datasets of before have another digest, and these numbers.
TEST(RenderedWorldTest, BytesAreFixed) {
  const std::map<std::string, std::string> expected = {
      {"tiny", "0dd6a8afaf8f48dd59bf998065df7b054e0fac04fea076393e44702e57b54b29"},
      {"half", "84b89d7fef0425a08faa826e3f0c72e2f7a804f84b925d3bd7a29a47cdcdd081"},
      {"kitti", "0ac31dff243aed60a2006bb2cbbb051b890ef01023d80370ab0426d14b67c440"},
      {"transfer", "fee5193fbd08955af1c98dca9f667201e6028377720030f52075988cf88cdf4c"}};
  EXPECT_EQ(kRenderVersion, 3);
  for (const auto& [name, digest] : expected) {
    const StereoFrame frame = RenderFrame(*FindRenderProfile(name), 1, Split::kTest, 3);
    Sha256 sum;
    for (const cv::Mat* image : {&frame.left, &frame.right, &frame.disparity}) {
      sum.UpdateField(
          {reinterpret_cast<const char*>(image->data), image->total() * image->elemSize()});
    }
    EXPECT_EQ(sum.UpdateField(FormatObjects(frame.labels)).Finish(), digest) << name;
  }
}

TEST(RenderedWorldTest, LabelsNeedNoImages) {
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(FormatObjects(RenderLabels(kTiny, 4, Split::kTest, i)),
              FormatObjects(RenderFrame(kTiny, 4, Split::kTest, i).labels));
  }
}

TEST(RenderedWorldTest, ProfilesHaveTheCamerasThatTheyPromise) {
  EXPECT_EQ(FindRenderProfile("huge").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(kTiny.width, 384);
  EXPECT_EQ(kTiny.height, 128);
  const RenderProfile kitti = *FindRenderProfile("kitti");
  EXPECT_EQ(kitti.width, 1242);
  EXPECT_EQ(kitti.height, 375);
  EXPECT_NEAR(ProfileCalibration(kitti).focal_length_px(), 721.5377, 1e-9);
  EXPECT_NEAR(ProfileCalibration(kitti).baseline_m(), 0.54, 1e-12);
  // Half the resolution, the same view: its calibration is that of the resized image.
  const StereoCalibration half = ResizeAndCrop(ProfileCalibration(kitti), 0.5, 0.5, 0, 0);
  const StereoCalibration actual = ProfileCalibration(*FindRenderProfile("half"));
  for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(actual.right[i], half.right[i], 1e-9) << i;
}

TEST(RenderedWorldTest, ParametersAreSetByName) {
  RenderProfile profile = kTiny;
  ASSERT_TRUE(SetParameter(profile, "focal_length_px", "320.5").ok());
  EXPECT_EQ(profile.focal_length_px, 320.5);
  ASSERT_TRUE(SetParameter(profile, "width", "256").ok());
  EXPECT_EQ(RenderFrame(profile, 1, Split::kTrain, 0).left.cols, 256);
  for (const auto& [name, value] : {std::pair("width", "100.5"),
                                    {"width", "9999"},
                                    {"sun", "2"},
                                    {"noise", "nan"},
                                    {"noise", ""},
                                    {"noise", "loud"}}) {
    const absl::Status status = SetParameter(profile, name, value);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << value;
    EXPECT_THAT(status.message(), HasSubstr(name));
    EXPECT_THAT(status.message(), HasSubstr("in ["));
  }
  EXPECT_THAT(SetParameter(profile, "colour", "1").message(), HasSubstr("focal_length_px"));
  EXPECT_GE(RenderParameters().size(), 15u);
  EXPECT_NE(FormatProfile(profile), FormatProfile(kTiny));
}

// Disparity by its definition: a wall of known depth, across the whole view.
TEST(RenderedWorldTest, DisparityOfAWall) {
  Scene scene;
  Random random(1);
  AddSky(scene, random);
  MeshBuilder builder(scene.mesh);
  builder.Place({0, 10, 10.5}, 0);
  builder.AddBox({0, 0, 0}, /*length=*/200, /*height=*/30, /*width=*/1,
                 builder.AddSurface({{0.5f, 0.5f, 0.5f}}));
  const StereoFrame frame = RenderScene(kTiny, scene, Random(1));
  EXPECT_NEAR(frame.disparity.at<float>(20, 200), 400 * 1.2 / 10, 1e-4);
  // Seen by both cameras, but for the strip that lies left of the right image.
  EXPECT_GT(frame.visible_disparity.at<float>(20, 200), 0);
  EXPECT_GT(frame.visible_disparity.at<float>(20, 49), 0);
  EXPECT_EQ(frame.visible_disparity.at<float>(20, 46), 0);
}

// A sloping plane: y = 1.5 - 0.1 z, seen at row v where (v - cy) / f = 1.5 / z - 0.1.
TEST(RenderedWorldTest, DisparityOfASlope) {
  Scene scene;
  Random random(1);
  AddSky(scene, random);
  MeshBuilder builder(scene.mesh);
  builder.AddPolygon(
      {{-300, -1.5 + 0.1, 1}, {300, -1.5 + 0.1, 1}, {300, -1.5 + 10, 100}, {-300, -1.5 + 10, 100}},
      {0, -100, 1}, builder.AddSurface({{0.5f, 0.5f, 0.5f}}));
  const StereoFrame frame = RenderScene(kTiny, scene, Random(1));
  for (const int v : {40, 60, 90, 120}) {
    const double z = 1.5 / ((v - 54) / 400.0 + 0.1);
    EXPECT_NEAR(frame.disparity.at<float>(v, 100), 480 / z, 1e-4) << v;
  }
}

// A car of known place: its back is where the box's back is, and KITTI's angles hold.
TEST(RenderedWorldTest, CarStandsInItsBox) {
  Scene scene;
  Random random(1);
  AddSky(scene, random);
  const Extent extent = {1.5, 1.7, 4.0};
  scene.objects.push_back(
      AddCar(scene.mesh, {1, 1.65, 15}, -kPi / 2, extent, /*van=*/false, Random(5)));
  const metrics::Box3d& box = scene.objects[0].box;
  EXPECT_NEAR(box.length, 4.0, 1e-9);
  EXPECT_NEAR(box.width, 1.7, 1e-9);
  EXPECT_NEAR(box.height, 1.5, 1e-9);
  EXPECT_NEAR(box.y, 1.65, 1e-9);
  EXPECT_NEAR(box.z, 15, 1e-9);
  const StereoFrame frame = RenderScene(kTiny, scene, Random(1));
  ASSERT_EQ(frame.labels.size(), 1u);
  const metrics::Object& label = frame.labels[0];
  EXPECT_EQ(label.occlusion, 0);
  EXPECT_NEAR(label.truncation, 0, 1e-9);
  EXPECT_NEAR(label.alpha, -M_PI / 2 - std::atan2(1.0, 15.0), 1e-9);
  // By hand: the back wheels touch the ground at z = 15 - 0.31 * 4, y = 1.65; the left side ends at
  // z = 17, x = 0.15, the right one begins at z = 13, x = 1.85; the camera is 6 cm left of camera
  // 0.
  EXPECT_NEAR(label.box_2d.bottom, 54 + 400 * 1.65 / 13.76, 0.1);
  EXPECT_NEAR(label.box_2d.left, 191.5 + 400 * (0.15 + 0.06) / 17, 0.5);
  EXPECT_NEAR(label.box_2d.right, 191.5 + 400 * (1.85 + 0.06) / 13, 1.5);
  const int middle = static_cast<int>((label.box_2d.left + label.box_2d.right) / 2);
  EXPECT_NEAR(PointAt(frame, middle, static_cast<int>(label.box_2d.bottom) - 16).z, 13, 0.1);
  // Heading away, so the camera sees red tail lamps: some pixels are clearly red.
  int red = 0;
  for (int y = 54; y < 120; ++y) {
    for (int x = middle - 40; x < middle + 40; ++x) {
      const cv::Vec3b& pixel = frame.left.at<cv::Vec3b>(y, x);
      red += pixel[0] > 45 && pixel[0] > 2 * pixel[1];
    }
  }
  EXPECT_GT(red, 20);
}

// Occlusion and truncation by hand: a wall hides two thirds of a car; the image's edge a half.
TEST(RenderedWorldTest, OcclusionAndTruncation) {
  Scene scene;
  Random random(1);
  AddSky(scene, random);
  scene.objects.push_back(
      AddCar(scene.mesh, {0, 1.65, 20}, 0, {1.5, 1.7, 4.0}, /*van=*/false, Random(5)));
  // The left edge of the image is at x = -191.5 / 400 * z - 0.06; the car's middle is there.
  scene.objects.push_back(AddCar(scene.mesh, {-191.5 / 400 * 30 - 0.06, 1.65, 30}, 0,
                                 {1.5, 1.7, 4.0}, /*van=*/false, Random(5)));
  MeshBuilder builder(scene.mesh);
  builder.Place({0, 1.65, 10}, 0);
  const uint32_t grey = builder.AddSurface({{0.5f, 0.5f, 0.5f}});
  builder.AddBox({0.35, 0, 0}, /*length=*/1.4, 1.7, 0.1, grey);  // Hides x > -0.7 at 20 m.
  const StereoFrame frame = RenderScene(kTiny, scene, Random(1));
  ASSERT_EQ(frame.labels.size(), 2u);
  EXPECT_EQ(frame.labels[0].occlusion, 2);
  EXPECT_NEAR(frame.labels[0].truncation, 0, 1e-9);
  EXPECT_EQ(frame.labels[1].occlusion, 0);
  EXPECT_NEAR(frame.labels[1].truncation, 0.5, 0.02);
  EXPECT_EQ(frame.labels[1].box_2d.left, 0);
}

// The right image, looked up where disparity says, is the left image: both views show one world.
TEST(RenderedWorldTest, DisparityMapsLeftOntoRight) {
  RenderProfile clean = kTiny;
  clean.gain = clean.noise = clean.vignetting = clean.blur_px = 0;
  double error = 0, control = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < 8; ++i) {
    const StereoFrame frame = RenderFrame(clean, 3, Split::kTrain, i);
    for (int y = 0; y < kTiny.height; ++y) {
      for (int x = 64; x < kTiny.width - 1; ++x) {
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
  ASSERT_GT(count, 200000);
  EXPECT_LT(error / count, 3.5);    // Grey levels: interpolation, edges.
  EXPECT_GT(control / error, 2.5);  // Four pixels off, it is much worse: there is texture.
}

TEST(RenderedWorldTest, LabelsAgreeWithDisparityAndImage) {
  for (int64_t i = 0; i < 30; ++i) {
    const StereoFrame frame = RenderFrame(kTiny, 4, Split::kTest, i);
    double nearest = 0;
    cv::minMaxIdx(frame.disparity, nullptr, &nearest);
    EXPECT_LT(nearest, 64) << i;  // So a network need not look beyond.
    for (size_t j = 0; j < frame.labels.size(); ++j) {
      const metrics::Object& label = frame.labels[j];
      ASSERT_GE(label.box_2d.left, 0);
      ASSERT_LE(label.box_2d.right, kTiny.width - 1);
      ASSERT_GT(label.box_2d.width(), 0);
      if (label.type == "DontCare") continue;
      ASSERT_GE(label.truncation, -1e-9);
      ASSERT_LE(label.truncation, 1);
      EXPECT_NEAR(label.alpha, ObservationAngle(label.box_3d), 1e-9);
      for (size_t k = 0; k < j; ++k) {
        EXPECT_EQ(metrics::IouBirdsEye(label.box_3d, frame.labels[k].box_3d), 0);
      }
      if (label.occlusion != 0 || label.truncation > 0.1) continue;
      // Points of the disparity map within the 2D box must lie in the 3D box: a car fills its box
      // but for the corners, a person about half.
      int inside = 0;
      for (int y = static_cast<int>(label.box_2d.top); y <= label.box_2d.bottom; ++y) {
        for (int x = static_cast<int>(label.box_2d.left); x <= label.box_2d.right; ++x) {
          inside += Within(label.box_3d, PointAt(frame, x, y), 0.02);
        }
      }
      EXPECT_GT(inside, (label.type == "Pedestrian" ? 0.2 : 0.45) * label.box_2d.width() *
                            label.box_2d.height())
          << label.type << " of frame " << i;
    }
  }
}

// What KITTI's labels have (devkit: means of sizes; the rest read off its training labels).
TEST(RenderedWorldTest, StatisticsFollowKitti) {
  std::map<std::string, std::vector<metrics::Object>> objects;
  std::map<std::string, int> counted;
  constexpr int kFrames = 150;
  for (int64_t i = 0; i < kFrames; ++i) {
    const Scene scene = [&] {
      Random random(9, static_cast<uint64_t>(i));
      return MakeScene(kTiny, random);
    }();
    for (const metrics::Object& label : RenderScene(kTiny, scene, Random(1)).labels) {
      objects[label.type].push_back(label);
      counted[label.type] +=
          label.box_2d.height() >= 25 && label.occlusion <= 1 && label.truncation <= 0.3;
    }
  }
  const auto mean = [](const std::vector<metrics::Object>& labels, double metrics::Box3d::*field) {
    double sum = 0;
    for (const metrics::Object& label : labels) sum += label.box_3d.*field;
    return sum / static_cast<double>(labels.size());
  };
  const auto share = [](const std::vector<metrics::Object>& labels, const auto& holds) {
    return static_cast<double>(std::count_if(labels.begin(), labels.end(), holds)) /
           static_cast<double>(labels.size());
  };
  const auto& cars = objects["Car"];
  const auto& people = objects["Pedestrian"];
  EXPECT_NEAR(mean(cars, &metrics::Box3d::height), 1.53, 0.03);
  EXPECT_NEAR(mean(cars, &metrics::Box3d::width), 1.63, 0.03);
  EXPECT_NEAR(mean(cars, &metrics::Box3d::length), 3.88, 0.08);
  EXPECT_NEAR(mean(people, &metrics::Box3d::height), 1.76, 0.03);
  EXPECT_NEAR(mean(people, &metrics::Box3d::width), 0.66, 0.03);
  EXPECT_NEAR(mean(people, &metrics::Box3d::length), 0.84, 0.04);
  EXPECT_GT(share(cars, [](const auto& car) { return car.box_3d.z > 10 && car.box_3d.z < 50; }),
            0.75);
  EXPECT_GT(share(cars, [](const auto& car) { return car.occlusion > 0; }), 0.3);
  EXPECT_LT(share(cars, [](const auto& car) { return car.occlusion > 0; }), 0.65);
  // A test split of the default 320 frames holds 500 counted of each.
  EXPECT_GT(counted["Car"] * 320 / kFrames, 500);
  EXPECT_GT(counted["Pedestrian"] * 320 / kFrames, 500);
}

}  // namespace
}  // namespace backfire::datasets
