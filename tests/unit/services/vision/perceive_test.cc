#include "services/vision/perceive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>

#include "services/datasets/rendered_world.h"
#include "services/datasets/stereo_dataset.h"
#include "services/rpc/channel.h"
#include "tests/unit/services/vision/fake_gateway.h"

namespace backfire::vision {
namespace {

using ::testing::HasSubstr;

class PerceiveTest : public ::testing::Test {
 protected:
  static StereoInput Rendered() {
    const datasets::StereoFrame frame =
        datasets::RenderFrame(*datasets::FindRenderProfile("tiny"), 1, runtime::Split::kTest, 0);
    return {frame.left, frame.right, frame.calibration};
  }

  absl::StatusOr<std::vector<ReleaseView>> Ask(const std::vector<int64_t>& releases = {},
                                               cv::Size size = {384, 128}) {
    return PerceiveWithReleases(*stub_, input_, size, releases, StereoCall{});
  }

  FakeGateway gateway_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_ =
      inference::GRPCInferenceService::NewStub(runtime::MakeChannel(gateway_.target()));
  StereoInput input_ = Rendered();
};

TEST_F(PerceiveTest, SendsTheProtocolsRequest) {
  const auto views = Ask();
  ASSERT_TRUE(views.ok()) << views.status();
  ASSERT_EQ(gateway_.requests().size(), 1u);
  const inference::ModelInferRequest& request = gateway_.requests()[0];
  EXPECT_EQ(request.model_name(), "stereo");
  EXPECT_EQ(request.model_version(), "");
  ASSERT_EQ(request.inputs_size(), 3);
  ASSERT_EQ(request.raw_input_contents_size(), 3);
  EXPECT_EQ(request.inputs(0).name(), "left");
  EXPECT_EQ(request.inputs(0).datatype(), "UINT8");
  EXPECT_EQ(request.inputs(1).name(), "right");
  EXPECT_EQ(request.inputs(2).name(), "calibration");
  EXPECT_EQ(request.inputs(2).datatype(), "FP64");
  EXPECT_EQ(request.raw_input_contents(0), datasets::ImageToTensor(input_.left).data);
  EXPECT_EQ(request.raw_input_contents(2), datasets::ToTensor(input_.calibration).data);
}

TEST_F(PerceiveTest, ReadsTheAnswer) {
  const auto views = Ask();
  ASSERT_TRUE(views.ok()) << views.status();
  ASSERT_EQ(views->size(), 1u);
  const ReleaseView& view = (*views)[0];
  EXPECT_EQ(view.release, "7");
  EXPECT_EQ(view.disparity.size(), cv::Size(384, 128));
  EXPECT_EQ(view.disparity.at<float>(5, 5), 4.5f);
  ASSERT_EQ(view.points.size(), 2u);
  EXPECT_EQ(view.points[1].z, 14);
  ASSERT_EQ(view.detections.size(), 1u);
  EXPECT_EQ(view.detections[0].type, "Car");
  EXPECT_EQ(view.detections[0].box_2d.right, 140);
}

TEST_F(PerceiveTest, AsksEachRelease) {
  const auto views = Ask({2, 3});
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ((*views)[0].release, "2");
  EXPECT_EQ((*views)[1].release, "3");
  EXPECT_EQ(gateway_.requests()[1].model_version(), "3");
}

TEST_F(PerceiveTest, MapsBackToAnImageOfAnotherSize) {
  input_.left = cv::Mat(256, 768, CV_8UC3, cv::Scalar(9, 9, 9));
  input_.right = input_.left.clone();
  input_.calibration = datasets::ResizeAndCrop(input_.calibration, 2, 2, 0, 0);
  const auto views = Ask();
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ(gateway_.requests()[0].inputs(0).shape(1), 384);
  const ReleaseView& view = (*views)[0];
  // Twice the size: pixel 100 of the small image covers 200 and 201 of the large one.
  EXPECT_NEAR(view.detections[0].box_2d.left, 200.5, 1e-9);
  EXPECT_NEAR(view.detections[0].box_2d.bottom, 180.5, 1e-9);
  EXPECT_EQ(view.detections[0].box_3d.z, 12);
  EXPECT_NEAR(view.disparity.at<float>(64, 200), 9, 1e-4);
}

TEST_F(PerceiveTest, RowsThatWereNotSentAreNoWantOfAMatch) {
  // 384 x 288 into 384 x 128: the horizon, and what is around it.
  input_.left = cv::Mat(288, 384, CV_8UC3, cv::Scalar(9, 9, 9));
  input_.right = input_.left.clone();
  const auto fitted = FitStereoInput(input_, {384, 128});
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_EQ(fitted->placement.RowsLeftOut(), 160);
  EXPECT_EQ(FitStereoInput(input_, {384, 288})->placement.RowsLeftOut(), 0);
  EXPECT_EQ(FitStereoInput(input_, {384, 304})->placement.RowsLeftOut(), 0);
  const auto views = Ask();
  ASSERT_TRUE(views.ok()) << views.status();
  const ReleaseView& view = (*views)[0];
  EXPECT_EQ(view.disparity.rows, 288);
  EXPECT_EQ(view.sent_rows.size(), 128);
  EXPECT_EQ(view.sent_rows.start, fitted->placement.crop_top);
  EXPECT_EQ(view.disparity.at<float>(view.sent_rows.start, 5), 4.5f);
  // The page: below the heading the picture, then the disparity, whose rows are 1280 / 384 high.
  const cv::Mat page = DrawPerception("a pair", input_, *views, std::nullopt, 0.3);
  const double scale = 1280.0 / 384;
  const int below = static_cast<int>(26 + 288 * scale + 26);
  const auto pixel = [&](double row) {
    return page.at<cv::Vec3b>(below + static_cast<int>(scale * row), 1000);
  };
  const cv::Vec3b not_sent(70, 75, 86);
  EXPECT_NE(pixel((view.sent_rows.start + view.sent_rows.end) / 2), not_sent);
  EXPECT_EQ(pixel(287), not_sent);
}

TEST_F(PerceiveTest, PassesOnWhatTheGatewaySays) {
  gateway_.refusal = grpc::Status(grpc::StatusCode::NOT_FOUND, "no release 9");
  const absl::Status status = Ask({9}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("release 9: no release 9"));
}

TEST_F(PerceiveTest, LostGatewayIsUnavailable) {
  const auto stub =
      inference::GRPCInferenceService::NewStub(runtime::MakeChannel("unix:/nowhere/gateway.sock"));
  EXPECT_EQ(PerceiveWithReleases(*stub, input_, {384, 128}, {}, StereoCall{}).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(PerceiveTest, RefusesAnswersThatBreakTheProtocol) {
  const std::vector<std::pair<std::string, std::function<void(inference::ModelInferResponse&)>>>
      spoilings = {
          {"no output \"cars\"", [](auto& r) { r.mutable_outputs(2)->set_name("trucks"); }},
          {"raw contents", [](auto& r) { r.mutable_raw_output_contents()->RemoveLast(); }},
          {"bytes", [](auto& r) { r.mutable_raw_output_contents(0)->resize(8); }},
          {"\"points\"", [](auto& r) { r.mutable_outputs(1)->set_datatype("INT32"); }},
          {"bytes", [](auto& r) { r.mutable_outputs(3)->set_shape(0, int64_t{1} << 62); }},
          {"\"cars\"", [](auto& r) { r.mutable_outputs(2)->set_shape(1, 6); }},
          {"finite",
           [](auto& r) {
             const float nan = std::nanf("");
             std::memcpy(r.mutable_raw_output_contents(2)->data(), &nan, sizeof(nan));
           }},
          {"\"disparity\"",
           [](auto& r) {
             r.mutable_outputs(0)->set_shape(0, 384);
             r.mutable_outputs(0)->set_shape(1, 128);
           }},
      };
  for (const auto& [message, spoil] : spoilings) {
    gateway_.spoil = spoil;
    const absl::Status status = Ask().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
}

TEST_F(PerceiveTest, DrawsAPage) {
  const auto views = Ask({1, 2});
  ASSERT_TRUE(views.ok());
  const cv::Mat page = DrawPerception("a pair", input_, *views, std::nullopt, 0.3);
  EXPECT_EQ(page.cols, 1280);
  EXPECT_EQ(page.type(), CV_8UC3);
  // A score above that of the only detection shows nothing of it: another picture.
  const cv::Mat empty = DrawPerception("a pair", input_, *views, std::nullopt, 0.9);
  EXPECT_GT(cv::norm(page.rowRange(0, 400), empty.rowRange(0, 400), cv::NORM_INF), 100);
}

TEST_F(PerceiveTest, ALidarGoesThroughTheDetectorsInTheReleasesBoxes) {
  StereoCall call;
  call.boxes = true;
  const auto views = PerceiveWithReleases(*stub_, input_, {384, 128}, {}, call);
  ASSERT_TRUE(views.ok()) << views.status();
  ASSERT_TRUE((*views)[0].boxes_2d.has_value());
  const std::vector<float> points = {0, 1.6f, 12, 0.3f, 1, 0.5f, 14, 0.1f};
  const auto lidar = PerceiveLidar({{"car", "Car", stub_.get()}}, input_, {384, 128}, (*views)[0],
                                   points, absl::Seconds(30));
  ASSERT_TRUE(lidar.ok()) << lidar.status();
  const inference::ModelInferRequest& request = gateway_.requests().back();
  EXPECT_EQ(request.model_name(), "car");
  EXPECT_EQ(request.model_version(), "") << "the highest that is loaded";
  ASSERT_EQ(request.inputs_size(), 3);
  EXPECT_EQ(request.inputs(0).name(), "points");
  EXPECT_EQ(request.inputs(0).shape(1), 4);
  EXPECT_EQ(request.raw_input_contents(0).size(), points.size() * sizeof(float));
  EXPECT_EQ(request.inputs(1).name(), "boxes_2d");
  EXPECT_EQ(request.raw_input_contents(1), (*views)[0].boxes_2d->data);
  EXPECT_EQ(request.inputs(2).name(), "calibration");
  ASSERT_EQ(lidar->detections.size(), 1u);
  EXPECT_EQ(lidar->detections[0].type, "Car");
  EXPECT_FLOAT_EQ(static_cast<float>(lidar->detections[0].box_3d.z), 20);
  EXPECT_EQ(lidar->points.size(), 2u);
  // Both points are seen by the camera: f B / z at their pixels.
  EXPECT_EQ(cv::countNonZero(lidar->disparity > 0), 2);
  double largest = 0;
  cv::minMaxLoc(lidar->disparity, nullptr, &largest);
  const auto& calibration = input_.calibration;
  EXPECT_NEAR(largest, calibration.focal_length_px() * calibration.baseline_m() / 12, 1e-3);
  // Or by another of its versions.
  ASSERT_TRUE(PerceiveLidar({{"car", "Car", stub_.get(), 3}}, input_, {384, 128}, (*views)[0],
                            points, absl::Seconds(30))
                  .ok());
  EXPECT_EQ(gateway_.requests().back().model_version(), "3");
}

TEST_F(PerceiveTest, CloudsMayHaveIntensity) {
  gateway_.spoil = [](inference::ModelInferResponse& response) {
    for (int i = 0; i < response.outputs_size(); ++i) {
      if (response.outputs(i).name() != "points") continue;
      response.mutable_outputs(i)->set_shape(1, 4);
      response.mutable_raw_output_contents(i)->append(2 * sizeof(float), '\0');
    }
  };
  const auto views = Ask();
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_EQ((*views)[0].points.size(), 2u);
}

}  // namespace
}  // namespace backfire::vision
