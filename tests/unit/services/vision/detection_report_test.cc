#include "services/vision/detection_report.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

namespace backfire::vision {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ReleaseDetections Release() {
  metrics::Object car;
  car.type = "Car";
  car.score = 0.87;
  car.box_3d = {1.5, 1.6, 3.9, 3, 1.65, 4, -1.57};
  metrics::Object doubtful = car;
  doubtful.type = "Pedestrian";
  doubtful.score = 0.1;
  return {"12", {car, doubtful}};
}

TEST(DetectionTableTest, ShowsTheSureAndCountsTheRest) {
  const std::string table = FormatDetectionTable({Release()}, 0.3);
  EXPECT_THAT(table, HasSubstr("12       Car          0.87    3.0    4.0       5.0"));
  EXPECT_THAT(table, Not(HasSubstr("Pedestrian")));
  EXPECT_THAT(table, HasSubstr("1 more below score 0.30"));
}

TEST(DetectionTableTest, SaysThatThereIsNone) {
  EXPECT_EQ(FormatDetectionTable({{"1", {}}}, 0.3), "no detection\n");
}

TEST(DetectionJsonTest, HasEverything) {
  google::protobuf::Struct json;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(FormatDetectionJson({Release()}), &json).ok());
  const auto& release = json.fields().at("releases").list_value().values(0).struct_value();
  EXPECT_EQ(release.fields().at("release").string_value(), "12");
  const auto& detections = release.fields().at("detections").list_value();
  ASSERT_EQ(detections.values_size(), 2);
  const auto& car = detections.values(0).struct_value().fields();
  EXPECT_EQ(car.at("type").string_value(), "Car");
  EXPECT_EQ(car.at("box_3d").struct_value().fields().at("length").number_value(), 3.9);
}

TEST(DetectionJsonTest, HasOneOrder) {
  ReleaseDetections release = Release();
  release.detections.pop_back();
  EXPECT_EQ(FormatDetectionJson({release}),
            "{\"releases\": [\n{\"release\": \"12\", \"detections\": [\n"
            "{\"type\": \"Car\", \"score\": 0.87, \"alpha\": -10, "
            "\"box_2d\": {\"left\": 0, \"top\": 0, \"right\": 0, \"bottom\": 0}, "
            "\"box_3d\": {\"height\": 1.5, \"width\": 1.6, \"length\": 3.9, "
            "\"x\": 3, \"y\": 1.65, \"z\": 4, \"rotation_y\": -1.57}}]}]}\n");
}

}  // namespace
}  // namespace backfire::vision
