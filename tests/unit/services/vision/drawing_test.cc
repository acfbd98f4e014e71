#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>

#include "services/vision/birds_eye_view.h"
#include "services/vision/canvas.h"
#include "services/vision/comparison_sheet.h"
#include "services/vision/contact_sheet.h"
#include "services/vision/disparity_colours.h"
#include "services/vision/image_overlay.h"

namespace backfire::vision {
namespace {

TEST(DisparityColoursTest, NearIsRedFarIsBlueNoMatchIsBlack) {
  cv::Mat disparity(1, 4, CV_32FC1);
  disparity.at<float>(0, 0) = 45;
  disparity.at<float>(0, 1) = 6;
  disparity.at<float>(0, 2) = 0;
  disparity.at<float>(0, 3) = std::nanf("");
  const cv::Mat colours = ColourDisparity(disparity, 50);
  EXPECT_GT(colours.at<cv::Vec3b>(0, 0)[0], colours.at<cv::Vec3b>(0, 0)[2]);
  EXPECT_GT(colours.at<cv::Vec3b>(0, 1)[2], colours.at<cv::Vec3b>(0, 1)[0]);
  EXPECT_EQ(colours.at<cv::Vec3b>(0, 2), cv::Vec3b(0, 0, 0));
  EXPECT_EQ(colours.at<cv::Vec3b>(0, 3), cv::Vec3b(0, 0, 0));
}

TEST(DisparityColoursTest, RangeIgnoresOutliersAndMissingOnes) {
  cv::Mat disparity(10, 100, CV_32FC1, cv::Scalar(12));
  disparity.at<float>(0, 0) = 1e6f;
  disparity.at<float>(0, 1) = std::nanf("");
  EXPECT_EQ(DisplayRange(disparity), 15);
  EXPECT_EQ(DisplayRange(cv::Mat(3, 3, CV_32FC1, cv::Scalar(0))), 5);
}

TEST(LabelPlacerTest, LabelsNeitherOverlapNorLeave) {
  cv::Mat image(100, 200, CV_8UC3, cv::Scalar(0, 0, 0));
  LabelPlacer placer(cv::Rect(0, 0, 200, 100));
  const cv::Scalar white(255, 255, 255);
  EXPECT_TRUE(placer.Draw(image, "Car", {{10, 10}}, white));
  EXPECT_FALSE(placer.Draw(image, "Car", {{12, 12}}, white));
  EXPECT_TRUE(placer.Draw(image, "Car", {{12, 12}, {10, 60}}, white));
  EXPECT_FALSE(placer.Draw(image, "Car", {{190, 50}, {50, -3}}, white));
}

metrics::Object CarAt(double x, double z) {
  metrics::Object car;
  car.type = "Car";
  car.box_3d = {1.5, 2, 4, x, 1.65, z, 0};
  car.score = 1;
  return car;
}

TEST(BirdsEyeViewTest, ShowsRightAsRightAndFarAsUp) {
  const std::vector<metrics::Object> cars = {CarAt(10, 30)};
  BirdsEyeScene scene;
  const cv::Scalar colour(255, 0, 0);
  scene.layers = {{&cars, colour, 2, /*with_score=*/false}};
  const cv::Mat with = DrawBirdsEyeView(scene, {600, 600});
  scene.layers.clear();
  const cv::Mat without = DrawBirdsEyeView(scene, {600, 600});
  cv::Mat difference;
  cv::absdiff(with, without, difference);
  double x = 0, y = 0, mass = 0;
  for (int row = 0; row < 600; ++row) {
    for (int column = 0; column < 600; ++column) {
      const double weight = difference.at<cv::Vec3b>(row, column)[0];
      mass += weight, x += weight * column, y += weight * row;
    }
  }
  ASSERT_GT(mass, 0);
  // 40 m are 600 - 36 px: 14.1 px a metre, from the camera at (300, 578).
  EXPECT_NEAR(x / mass, 300 + 141, 12);  // The front line pulls it a little to the right.
  EXPECT_NEAR(y / mass, 578 - 423, 4);
}

TEST(BirdsEyeViewTest, NonsensicalBoxesAreLeftOut) {
  std::vector<metrics::Object> objects = {CarAt(0, 10)};
  objects[0].box_3d = {-1, -1, -1, -1000, -1000, -1000, -10};
  objects.push_back(CarAt(1e30, 1e30));
  objects[1].box_2d = {-1e30, -1e30, 1e30, 1e30};
  EXPECT_EQ(ViewDepth({&objects}, {}), 20);
  cv::Mat image(50, 80, CV_8UC3, cv::Scalar(0, 0, 0));
  DrawBoxes(image, 2.0, {{&objects, cv::Scalar(255, 0, 0)}});
  BirdsEyeScene scene;
  const std::vector<cv::Point3f> points = {{0, 0, std::nanf("")}, {1e9f, 0, 1}, {0, 0, -5}};
  scene.points = &points;
  scene.layers = {{&objects, cv::Scalar(255, 0, 0)}};
  DrawBirdsEyeView(scene, {300, 300});
}

TEST(ViewDepthTest, ShowsEverything) {
  const std::vector<metrics::Object> cars = {CarAt(0, 33)};
  EXPECT_EQ(ViewDepth({&cars}, {}), 40);
}

TEST(BirdsEyeViewTest, WithoutDetectionsItIsAsDeepAsTheScene) {
  std::vector<cv::Point3f> points;
  for (int i = 0; i < 1000; ++i) points.emplace_back(0, 1, 0.05f * static_cast<float>(i));
  EXPECT_EQ(ViewDepth({}, {&points}), 50);
  const std::vector<metrics::Object> cars = {CarAt(0, 25)};
  EXPECT_EQ(ViewDepth({&cars}, {&points}), 30) << "what was found is looked at";
  for (cv::Point3f& point : points) point.y = -5;  // A roof, which is not drawn.
  EXPECT_EQ(ViewDepth({}, {&points}), 20);
}

TEST(BirdsEyeViewTest, ANameIsReadOnBrightPoints) {
  std::vector<cv::Point3f> points;
  for (int x = -400; x <= 400; ++x) {
    for (int z = 1; z <= 420; ++z) points.emplace_back(0.1f * x, -0.5f, 0.1f * z);
  }
  BirdsEyeScene scene;
  scene.points = &points;
  const cv::Mat bare = DrawBirdsEyeView(scene, {600, 600});
  scene.name = "release 3";
  scene.name_colour = Palette::Release(0);
  const cv::Mat named = DrawBirdsEyeView(scene, {600, 600});
  EXPECT_GT(bare.at<cv::Vec3b>(40, 40)[0], 150) << "there are bright points";
  int dark = 0;  // Of the plate's uppermost rows, which no letter reaches.
  for (int column = 8; column < 60; ++column) dark += named.at<cv::Vec3b>(7, column)[0] < 80;
  EXPECT_GT(dark, 45);
}

TEST(ContactSheetTest, ColoursSayTheSameInBothPictures) {
  SheetFrame frame;
  frame.name = "000000";
  frame.left = cv::Mat(120, 400, CV_8UC3, cv::Scalar(0, 0, 0));
  frame.disparity = cv::Mat(120, 400, CV_32FC1, cv::Scalar(0));
  frame.calibration.left = {400, 0, 200, 0, 0, 400, 60, 0, 0, 0, 1, 0};
  frame.calibration.right = frame.calibration.left;
  frame.calibration.right[3] = -200;
  metrics::Object person = CarAt(0, 10);
  person.type = "Pedestrian";
  person.box_2d = {150, 20, 250, 100};
  frame.labels = {person};
  const cv::Mat sheet = DrawContactSheet("title", {frame}, 1, /*plain=*/false);
  // Below the heading, which has the legend.
  const cv::Range image(0, 800), above(830, 1280);
  for (const cv::Range& columns : {image, above}) {
    int orange = 0, green = 0;
    for (int row = 46; row < sheet.rows; ++row) {
      for (int column = columns.start; column < columns.end; ++column) {
        const cv::Vec3b pixel = sheet.at<cv::Vec3b>(row, column);
        orange += pixel[0] > pixel[1] + 60;
        green += pixel[1] > pixel[0] + 60;
      }
    }
    EXPECT_GT(orange, 20);
    EXPECT_EQ(green, 0);
  }
}

// Where a picture of the sheet has a colour, of pixels that are about it.
int CountOf(const cv::Mat& picture, const cv::Scalar& colour) {
  int count = 0;
  for (int y = 0; y < picture.rows; ++y) {
    for (int x = 0; x < picture.cols; ++x) {
      const cv::Vec3b& pixel = picture.at<cv::Vec3b>(y, x);
      bool same = true;
      for (int c = 0; c < 3; ++c) same = same && std::abs(pixel[c] - colour[c]) < 24;
      count += same ? 1 : 0;
    }
  }
  return count;
}

TEST(ComparisonSheetTest, EachSystemHasItsColumnAndColourAndAllTheTruth) {
  metrics::Object car;
  car.type = "Car";
  car.score = 0.5;
  car.box_2d = {100, 40, 200, 100};
  car.box_3d = {1.5, 1.6, 4, 0, 1.65, 12, -1.57};
  metrics::Object other = car;
  other.box_2d = {260, 40, 330, 100};
  other.box_3d.x = 6;
  PageContent frame;
  frame.title = "frame 000002";
  frame.left = cv::Mat(128, 384, CV_8UC3, cv::Scalar(0, 0, 0));
  frame.labels = {other};
  for (const char* name : {"u", "u'", "y"}) {
    PageLayer layer;
    layer.name = name;
    layer.disparity = cv::Mat(128, 384, CV_32FC1, cv::Scalar(20));
    layer.detections = {car};
    frame.layers.push_back(layer);
  }
  frame.layers[1].detections.clear();
  const cv::Mat one = DrawComparison("title", {frame}, 40);
  const cv::Mat two = DrawComparison("title", {frame, frame}, 40);
  EXPECT_EQ(one.cols, 1280);
  EXPECT_GT(two.rows, one.rows + 300);
  // Below the heading, where swatches are.
  const int third = one.cols / 3;
  for (int column = 0; column < 3; ++column) {
    const cv::Mat cell = one(cv::Rect(column * third, 80, third, one.rows - 120));
    EXPECT_GT(CountOf(cell, Palette::GroundTruth()), 100) << column;
    for (int of = 0; of < 3; of += 2) {
      const int found = CountOf(cell, Palette::Release(static_cast<size_t>(of)));
      EXPECT_EQ(found > 100, column == of) << column << " " << of << " " << found;
    }
  }
}

}  // namespace
}  // namespace backfire::vision
