#include "services/detection/detections_tensor.h"

#include <gtest/gtest.h>

#include <cmath>

namespace backfire::detection {
namespace {

metrics::Object Detection(double x, double score) {
  metrics::Object object;
  object.type = "Car";
  object.box_2d = {10, 20, 30, 40};
  object.box_3d = {1.5, 1.6, 3.9, x, 1.65, 10, -1.5};
  object.score = score;
  return object;
}

TEST(DetectionsTensorTest, RoundTripSurestFirst) {
  const runtime::Tensor tensor = DetectionsToTensor({Detection(1, 0.25), Detection(2, 0.75)});
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 12}));
  const auto detections = DetectionsFromTensor(tensor, "Car");
  ASSERT_TRUE(detections.ok()) << detections.status();
  ASSERT_EQ(detections->size(), 2u);
  EXPECT_EQ((*detections)[0].box_3d.x, 2);
  EXPECT_EQ((*detections)[0].score, 0.75);
  EXPECT_EQ((*detections)[0].type, "Car");
  EXPECT_EQ((*detections)[1].box_2d.bottom, 40);
  EXPECT_FLOAT_EQ((*detections)[1].box_3d.length, 3.9f);
  EXPECT_NEAR((*detections)[0].alpha, -1.5 - std::atan2(2.0, 10.0), 1e-6);
}

TEST(DetectionsTensorTest, NoneIsFine) {
  const auto detections = DetectionsFromTensor(DetectionsToTensor({}), "Car");
  ASSERT_TRUE(detections.ok());
  EXPECT_TRUE(detections->empty());
}

TEST(DetectionsTensorTest, RefusesOtherTensors) {
  runtime::Tensor tensor = runtime::MakeTensor(runtime::Datatype::kFp32, {2, 11});
  EXPECT_EQ(DetectionsFromTensor(tensor, "Car").status().code(),
            absl::StatusCode::kInvalidArgument);
  tensor = runtime::MakeTensor(runtime::Datatype::kFp64, {2, 12});
  EXPECT_FALSE(DetectionsFromTensor(tensor, "Car").ok());
  tensor = runtime::MakeTensor(runtime::Datatype::kFp32, {2, 12});
  tensor.data.resize(20);
  EXPECT_FALSE(DetectionsFromTensor(tensor, "Car").ok());
}

}  // namespace
}  // namespace backfire::detection
