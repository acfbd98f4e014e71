#include "services/datasets/kitti_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"

namespace backfire::datasets {
namespace {

using ::testing::HasSubstr;

constexpr char kLabels[] =
    "Car 0.25 1 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57\n"
    "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n";

TEST(KittiObjectsTest, ReadsColumnsInKittisOrder) {
  const auto objects = ParseObjects(kLabels, "a.txt");
  ASSERT_TRUE(objects.ok()) << objects.status();
  ASSERT_EQ(objects->size(), 2u);
  const metrics::Object& car = (*objects)[0];
  EXPECT_EQ(car.type, "Car");
  EXPECT_EQ(car.truncation, 0.25);
  EXPECT_EQ(car.occlusion, 1);
  EXPECT_EQ(car.alpha, 1.85);
  EXPECT_EQ(car.box_2d.bottom, 203.12);
  EXPECT_EQ(car.box_3d.height, 1.67);
  EXPECT_EQ(car.box_3d.width, 1.87);
  EXPECT_EQ(car.box_3d.length, 3.69);
  EXPECT_EQ(car.box_3d.z, 58.49);
  EXPECT_EQ(car.box_3d.rotation_y, 1.57);
  EXPECT_FALSE(car.score.has_value());
}

// KITTI's evaluator compares classes so; training and drawing must not see others.
TEST(KittiObjectsTest, ClassesInAnyCaseAreKittis) {
  const std::string columns = " 0 0 0 1 2 3 4 1.5 1.6 4 1 1.6 20 0\n";
  for (const std::string type : {"Car", "Cyclist", "DontCare", "Misc", "Pedestrian",
                                 "Person_sitting", "Tram", "Truck", "Van"}) {
    std::string lower = type, upper = type, mixed = type;
    absl::AsciiStrToLower(&lower), absl::AsciiStrToUpper(&upper);
    for (size_t i = 0; i < mixed.size(); i += 2) mixed[i] = upper[i];
    for (const std::string& written : {type, lower, upper, mixed}) {
      const auto objects = ParseObjects(written + columns, "a.txt");
      ASSERT_TRUE(objects.ok()) << objects.status();
      EXPECT_EQ(objects->front().type, type);
      std::vector<absl::Status> faults;
      ParseObjectLines(written + columns, "a.txt", faults);
      EXPECT_TRUE(faults.empty()) << faults.front();
    }
  }
  EXPECT_EQ(ParseObjects("carriage" + columns, "a.txt")->front().type, "carriage");
}

TEST(KittiObjectsTest, WritesWhatItRead) {
  EXPECT_EQ(FormatObjects(*ParseObjects(kLabels, "a.txt")), kLabels);
}

TEST(KittiObjectsTest, DetectionsHaveAScore) {
  metrics::Object detection = (*ParseObjects(kLabels, "a.txt"))[0];
  detection.score = 0.5;
  detection.truncation = -1;
  detection.occlusion = -1;
  const std::string text = FormatObjects({detection});
  EXPECT_THAT(text, HasSubstr("Car -1 -1 1.85 "));
  EXPECT_THAT(text, HasSubstr(" 1.57 0.500000\n"));
  EXPECT_EQ((*ParseObjects(text, "a.txt"))[0].score, 0.5);
}

TEST(KittiObjectsTest, ErrorsNameFileAndLine) {
  const std::string good = kLabels;
  const auto message = [&](const std::string& line) {
    return std::string(ParseObjects(good + "\n" + line, "a.txt").status().message());
  };
  EXPECT_THAT(message("Car 0 0"), HasSubstr("a.txt:4: an object has 15 columns"));
  EXPECT_THAT(message("Car 0 0 1 x 2 3 4 5 6 7 8 9 10 11"), HasSubstr("a.txt:4: column 5 (left)"));
  EXPECT_THAT(message("Car 0 0.5 1 1 2 3 4 5 6 7 8 9 10 11"),
              HasSubstr("a.txt:4: column 3 (occluded) must be a whole"));
  EXPECT_THAT(message("Car nan 0 1 1 2 3 4 5 6 7 8 9 10 11"), HasSubstr("finite"));
  EXPECT_TRUE(ParseObjects("", "a.txt").ok());
}

TEST(KittiObjectsTest, ObservationAngleIsWrapped) {
  metrics::Box3d box;
  box.x = 10;
  box.z = 10;
  box.rotation_y = -3;
  EXPECT_NEAR(ObservationAngle(box), -3 - 0.785398 + 6.283185, 1e-5);
}

}  // namespace
}  // namespace backfire::datasets
