#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>

#include "services/vision/canvas.h"
#include "services/vision/disparity_report.h"
#include "services/vision/eval_arguments.h"
#include "services/vision/json_text.h"
#include "services/vision/kitti_report.h"
#include "services/vision/precision_recall_plot.h"
#include "services/vision/resampled_spread.h"

namespace backfire::vision {
namespace {

using ::testing::HasSubstr;

TEST(EvalArgumentsTest, IousByClassAndMetric) {
  auto classes = metrics::KittiClasses();
  ASSERT_TRUE(ApplyIous({"car=0.5", "Pedestrian:3d=0.25"}, classes).ok());
  EXPECT_EQ(classes[0].iou_image, 0.5);
  EXPECT_EQ(classes[0].iou_3d, 0.5);
  EXPECT_EQ(classes[1].iou_image, 0.5);
  EXPECT_EQ(classes[1].iou_birds_eye, 0.5);
  EXPECT_EQ(classes[1].iou_3d, 0.25);
}

struct FaultCase {
  std::string entry, message;
};

class IouFaultTest : public ::testing::TestWithParam<FaultCase> {};
TEST_P(IouFaultTest, NamesTheEntry) {
  auto classes = metrics::KittiClasses();
  const absl::Status status = ApplyIous({GetParam().entry}, classes);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "--iou " + GetParam().entry + ": " + GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Iou, IouFaultTest,
    ::testing::Values(FaultCase{"truck=0.5",
                                "no class \"truck\"; there are: car, pedestrian, cyclist"},
                      FaultCase{"car", "must be a number > 0: got \"\""},
                      FaultCase{"car=x", "must be a number > 0: got \"x\""},
                      FaultCase{"car=0", "must be a number > 0: got \"0\""},
                      FaultCase{"car=nan", "must be a number > 0: got \"nan\""},
                      FaultCase{"car=1", "must be below 1, which no overlap exceeds: got 1"},
                      FaultCase{"car:2d=0.5", "no metric \"2d\"; there are: image, bev, 3d"}));

TEST(EvalArgumentsTest, MaxDepthsOfAllOrOne) {
  auto classes = metrics::KittiClasses();
  ASSERT_TRUE(ApplyMaxDepths({"40", "pedestrian=20"}, classes).ok());
  EXPECT_EQ(classes[0].max_depth_m, 40);
  EXPECT_EQ(classes[1].max_depth_m, 20);
  EXPECT_EQ(ApplyMaxDepths({"-3"}, classes).message(),
            "--max-depth -3: must be a number > 0: got \"-3\"");
  EXPECT_FALSE(ApplyMaxDepths({"dog=3"}, classes).ok());
}

TEST(EvalArgumentsTest, DepthSlices) {
  const auto slices = ParseDepthSlices({"0-20", "20-40", "40-max"});
  ASSERT_TRUE(slices.ok()) << slices.status();
  ASSERT_EQ(slices->size(), 3);
  EXPECT_EQ(slices->at(0).name, "depth_0_20_m");
  EXPECT_EQ(slices->at(1).min_m, 20);
  EXPECT_EQ(slices->at(1).max_m, 40);
  EXPECT_EQ(slices->at(2).name, "depth_40_max_m");
  EXPECT_FALSE(slices->at(2).max_m.has_value());
  for (const char* entry : {"", "20", "40-20", "a-b", "0-nan", "-1-5"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseDepthSlices({entry}).status())) << entry;
  }
}

TEST(JsonTextTest, OrderAndNumbersStay) {
  JsonText json;
  json.BeginObject();
  json.Key("z").Number(0.1).Key("a").Integer(-3).Key("list").NumberList(
      std::vector<double>{1, 2.5});
  json.Key("nan").Number(std::nan("")).Key("on").Bool(true).Key("text").String("a\"\\\n");
  json.Key("none").BeginList().EndList().EndObject();
  EXPECT_EQ(std::move(json).Finish(),
            "{\"z\": 0.1, \"a\": -3, \"list\": [1, 2.5], \"nan\": null, \"on\": true, "
            "\"text\": \"a\\\"\\\\\\u000a\", \"none\": []}\n");
}

TEST(ResampledSpreadTest, StandardErrorAndMiddle) {
  // 1 ... 41: the 2.5 % quantile is the second value, by linear interpolation.
  std::vector<double> values = {std::nan("")};
  for (int i = 41; i >= 1; --i) values.push_back(i);
  const ResampledSpread spread = SpreadOf(values);
  EXPECT_NEAR(spread.standard_error, std::sqrt(41.0 * 42 / 12), 1e-12);
  EXPECT_NEAR(spread.low, 2, 1e-12);
  EXPECT_NEAR(spread.high, 40, 1e-12);
  EXPECT_TRUE(std::isnan(SpreadOf({1}).standard_error));
}

TEST(KittiReportTest, SaysWhereANumberMisleads) {
  KittiReport report;
  report.frames = 3;
  for (const auto& rules : metrics::KittiRules(metrics::KittiClasses())) {
    report.cells.push_back({"", rules, {}, {}});
    if (rules.type != "Car") continue;
    report.cells.back().result.evaluated = true;
    report.cells.back().result.label_count = 7;
    report.cells.back().result.precision.fill(0.5);
  }
  const std::string table = FormatKittiTable(report);
  EXPECT_THAT(table, HasSubstr("3 frames\n"));
  EXPECT_THAT(table,
              HasSubstr("Car                    image     0.70    50.000   50.000   50.000"));
  EXPECT_THAT(table, HasSubstr("not evaluated: no usable detection"));
  EXPECT_THAT(table, HasSubstr("fewer than 40 labels"));
  EXPECT_THAT(table, HasSubstr("alpha -10"));
}

TEST(DrawCurvesTest, CurveIsWhereItsSamplesAre) {
  SampledCurve curve;
  curve.name = "half";
  for (size_t k = 0; k < 21; ++k) curve.samples[k] = 0.5;
  curve.sample_count = 21;
  const cv::Mat page = DrawCurves("Car", "precision", {curve});
  ASSERT_EQ(page.size(), cv::Size(720, 520));
  const cv::Scalar wanted = Palette::Release(0);
  const auto is_curve = [&](int x, int y) {
    const auto pixel = page.at<cv::Vec3b>(y, x);
    return pixel[0] == wanted[0] && pixel[1] == wanted[1] && pixel[2] == wanted[2];
  };
  // The plot is 620 x 400 from (70, 50): value 0.5 is y 250, and recall 0.5 is x 380.
  EXPECT_TRUE(is_curve(100, 250));
  EXPECT_TRUE(is_curve(370, 250));
  EXPECT_FALSE(is_curve(400, 250));
  EXPECT_FALSE(is_curve(100, 150));
  EXPECT_TRUE(is_curve(380, 350));  // Falls to 0 after its last sample.
}

TEST(DisparityReportTest, MeansOverPixelsAndOverImages) {
  // Image 1: 3 pixels off by 2 px together; image 2: one pixel off by 6 px, beyond 40 m.
  metrics::DisparityErrorSums one, two;
  one.pixels = {3, 3, 0, 0};
  one.absolute_error_px = {2, 2, 0, 0};
  one.predicted_pixels = {2, 2, 0, 0};
  one.depth_error_m = {1, 1, 0, 0};
  two.pixels = {1, 0, 0, 1};
  two.absolute_error_px = {6, 0, 0, 6};
  two.bad_pixels = {1, 0, 0, 1};
  two.predicted_pixels = {1, 0, 0, 1};
  two.depth_error_m = {8, 0, 0, 8};
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(4);
  const DisparityReport report = MakeDisparityReport({one, two}, true, bootstrap);
  google::protobuf::Struct json;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(FormatDisparityJson(report), &json).ok());
  const auto number = [&json](const char* loss, const char* range) {
    return json.fields().at(loss).struct_value().fields().at(range).number_value();
  };
  EXPECT_EQ(json.fields().at("images").number_value(), 2);
  EXPECT_EQ(json.fields().at("pixels").number_value(), 4);
  EXPECT_DOUBLE_EQ(number("disparity_mae_px", "all"), 8.0 / 4);
  EXPECT_DOUBLE_EQ(number("disparity_mae_px", "depth_0_20_m"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(number("disparity_mae_px", "depth_40_max_m"), 6);
  EXPECT_DOUBLE_EQ(number("end_point_error_px", "all"), (2.0 / 3 + 6) / 2);
  EXPECT_DOUBLE_EQ(number("d1_all_percent", "all"), 25);
  EXPECT_DOUBLE_EQ(number("depth_mae_m", "all"), 3);
  EXPECT_DOUBLE_EQ(number("predicted_percent", "all"), 75);
  EXPECT_TRUE(json.fields()
                  .at("disparity_mae_px")
                  .struct_value()
                  .fields()
                  .at("depth_20_40_m")
                  .has_null_value());
  EXPECT_TRUE(json.fields().contains("interval"));
  EXPECT_THAT(FormatDisparityTable(report), HasSubstr("2 images, 4 pixels with ground truth"));
  const std::string plain = FormatDisparityTable(MakeDisparityReport({one}, false, {}));
  EXPECT_THAT(plain, ::testing::Not(HasSubstr("depth")));
}

}  // namespace
}  // namespace backfire::vision
