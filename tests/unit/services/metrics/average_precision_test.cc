#include "services/metrics/average_precision.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "services/base/random.h"
#include "services/metrics/bootstrap.h"

namespace backfire::metrics {
namespace {

// A car 50 px high at lane `x`, far from those of other lanes in every view.
Object Car(double x, double z = 20) {
  Object object;
  object.type = "Car";
  object.truncation = 0;
  object.occlusion = 0;
  object.box_2d = {500 + 20 * x, 100, 580 + 20 * x, 150};
  object.box_3d = {1.5, 1.6, 4, x, 1.65, z, -1.57};
  return object;
}

Object Detected(Object object, double score) {
  object.score = score;
  return object;
}

AveragePrecisionOptions Options(View view = View::k3d) {
  AveragePrecisionOptions options;
  options.view = view;
  return options;
}

// 40 images with a car each; the car of image i is found with score 1 - i/100 if i < found.
std::vector<ImageObjects> FortyCars(int found) {
  std::vector<ImageObjects> images(40);
  for (int i = 0; i < 40; ++i) {
    images[i].labels = {Car(0)};
    if (i < found) images[i].detections = {Detected(Car(0), 1 - i / 100.0)};
  }
  return images;
}

TEST(AveragePrecisionTest, HalfFoundWithoutMistakeIsHalf) {
  // Thresholds at recall 1/40 ... 20/40 fill indices 0 ... 19, of which 1 ... 19 are averaged.
  const AveragePrecision average_precision(FortyCars(20), Options());
  EXPECT_EQ(average_precision.label_count(), 40);
  EXPECT_DOUBLE_EQ(average_precision.Compute(), 100 * 19.0 / 40);
}

TEST(AveragePrecisionTest, ElevenPointsAverageEveryFourth) {
  AveragePrecisionOptions options = Options();
  options.recall_points = 11;
  // Of indices 0, 4 ... 40, those up to 19 are 1: five.
  EXPECT_NEAR(AveragePrecision(FortyCars(20), options).Compute(), 100 * 5.0 / 11, 1e-12);
}

TEST(AveragePrecisionTest, SurerFalsePositiveLowersEveryPrecision) {
  std::vector<ImageObjects> images = FortyCars(40);
  images[0].detections.push_back(Detected(Car(8), 2));
  // Precision at index k is (k + 1) / (k + 2), rising, so that the maximum from the right is 40/41.
  EXPECT_NEAR(AveragePrecision(images, Options()).Compute(), 100 * (39.0 / 40) * (40.0 / 41), 1e-9);
}

TEST(AveragePrecisionTest, NothingDetectedIsZeroNothingLabelledIsUndefined) {
  EXPECT_EQ(AveragePrecision(FortyCars(0), Options()).Compute(), 0);
  std::vector<ImageObjects> images(1);
  images[0].detections = {Detected(Car(0), 1)};
  EXPECT_TRUE(std::isnan(AveragePrecision(images, Options()).Compute()));
  EXPECT_TRUE(std::isnan(AveragePrecision({}, Options()).Compute()));
}

TEST(AveragePrecisionTest, NanScoreRanksNowhere) {
  std::vector<ImageObjects> images = FortyCars(40);
  images[0].detections.push_back(Detected(Car(8), std::nan("")));
  EXPECT_NEAR(AveragePrecision(images, Options()).Compute(), 100 * 39.0 / 40, 1e-9);
}

TEST(AveragePrecisionTest, DepthRangeIgnoresLabelsAndDetectionsOutside) {
  std::vector<ImageObjects> images = FortyCars(40);
  for (ImageObjects& image : images) {
    image.labels.push_back(Car(8, 30));                    // Not found, and not asked for.
    image.detections.push_back(Detected(Car(-8, 30), 3));  // False, and not asked for.
  }
  AveragePrecisionOptions options = Options();
  options.max_depth_m = 20;  // 20 m itself counts.
  const AveragePrecision near(images, options);
  EXPECT_EQ(near.label_count(), 40);
  EXPECT_NEAR(near.Compute(), 100 * 39.0 / 40, 1e-9);
  options.max_depth_m.reset();
  options.min_depth_m = 20;  // Exclusive: only those at 30 m are left.
  EXPECT_EQ(AveragePrecision(images, options).label_count(), 40);
  EXPECT_EQ(AveragePrecision(images, options).Compute(), 0);
}

TEST(AveragePrecisionTest, ProposalsWithoutDepthAreNeverOutside) {
  std::vector<ImageObjects> images = FortyCars(40);
  for (ImageObjects& image : images) {
    for (Object& detection : image.detections) detection.box_3d = {};
  }
  images[0].detections.push_back(Detected(Car(8), 2));
  images[0].detections.back().box_3d = {};
  AveragePrecisionOptions options = Options(View::kImage);
  options.max_depth_m = 25;
  EXPECT_NEAR(AveragePrecision(images, options).Compute(), 100 * (39.0 / 40) * (40.0 / 41), 1e-9);
}

// The contract of resampling: the AP of a resample is that of a set with the images repeated.
TEST(AveragePrecisionTest, ResampleEqualsRepeatedImages) {
  Random random(5);
  std::vector<ImageObjects> images(30);
  for (ImageObjects& image : images) {
    for (int lane = -2; lane <= 2; ++lane) {
      if (random.Uniform() < 0.7) image.labels.push_back(Car(lane * 5));
      for (int copy = 0; copy < 2; ++copy) {
        if (random.Uniform() < 0.3) continue;
        Object detection = Car(lane * 5);
        detection.box_3d.x += 0.15 * random.Normal();
        detection.box_3d.z += 0.15 * random.Normal();
        // Few distinct scores, so that ties occur.
        image.detections.push_back(Detected(detection, random.Below(20) / 20.0));
      }
    }
  }
  const AveragePrecision average_precision(images, Options());
  for (int64_t b = 0; b < 20; ++b) {
    const std::vector<int32_t> counts = ResampleCounts(3, b, 30);
    std::vector<ImageObjects> repeated;
    for (size_t i = 0; i < images.size(); ++i) {
      repeated.insert(repeated.end(), counts[i], images[i]);
    }
    EXPECT_DOUBLE_EQ(average_precision.Compute(counts),
                     AveragePrecision(repeated, Options()).Compute());
  }
}

TEST(AddAveragePrecisionLossTest, IsTheNegatedPercentage) {
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(3);
  v1::Evaluation evaluation;
  for (const int found : {20, 0}) {
    const std::vector<ImageObjects> images = FortyCars(found);
    const Resampling resampling(bootstrap, static_cast<int64_t>(images.size()));
    AddAveragePrecisionLoss(images, Options(), resampling, "ap_3d", "", true, evaluation);
  }
  EXPECT_DOUBLE_EQ(evaluation.losses(0).value(), -100 * 19.0 / 40);
  EXPECT_EQ(evaluation.losses(0).resampled_size(), 3);
  EXPECT_EQ(evaluation.losses(1).value(), 0);
  EXPECT_FALSE(std::signbit(evaluation.losses(1).value()));
}

// Of each resample, the curve is one.
TEST(AddAveragePrecisionLossTest, ElevenPointsAreShownBesideForty) {
  const std::vector<ImageObjects> images = FortyCars(20);
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(4);
  const Resampling resampling(bootstrap, static_cast<int64_t>(images.size()));
  v1::Evaluation forty, eleven;
  AddAveragePrecisionLoss(images, Options(), resampling, "ap_3d", "", true, forty, &eleven);
  ASSERT_EQ(forty.losses_size(), 1);
  ASSERT_EQ(eleven.losses_size(), 1);
  const v1::LossEstimate& of_eleven = eleven.losses(0);
  EXPECT_EQ(of_eleven.loss(), "ap_3d");
  EXPECT_EQ(of_eleven.slice(), kElevenPointsSlice);
  EXPECT_FALSE(of_eleven.judged());
  EXPECT_TRUE(forty.losses(0).judged());
  EXPECT_EQ(of_eleven.example_count(), forty.losses(0).example_count());
  // What it would be by itself.
  AveragePrecisionOptions options = Options();
  options.recall_points = 11;
  v1::Evaluation alone;
  AddAveragePrecisionLoss(images, options, resampling, "ap_3d", "", true, alone);
  EXPECT_EQ(of_eleven.value(), alone.losses(0).value());
  ASSERT_EQ(of_eleven.resampled_size(), 4);
  for (int b = 0; b < 4; ++b) EXPECT_EQ(of_eleven.resampled(b), alone.losses(0).resampled(b));
  // And the other is as it was without.
  v1::Evaluation without;
  AddAveragePrecisionLoss(images, Options(), resampling, "ap_3d", "", true, without);
  EXPECT_EQ(without.SerializeAsString(), forty.SerializeAsString());
}

TEST(AddAveragePrecisionLossTest, ImagesWithAnObjectOfTheClassBearUponIt) {
  std::vector<ImageObjects> images(5);
  images[1].labels = {Car(0), Car(5)};
  images[3].labels = {Car(0)};
  images[4].detections = {Detected(Car(0), 0.5)};
  v1::Evaluation evaluation;
  const Resampling resampling(v1::Bootstrap(), {"a", "b", "a", "b", "c"});
  AddAveragePrecisionLoss(images, Options(), resampling, "ap_3d", "", true, evaluation);
  EXPECT_EQ(evaluation.losses(0).example_count(), 2);
  EXPECT_EQ(evaluation.losses(0).cluster_count(), 1);
}

TEST(AddAveragePrecisionLossTest, ThousandResamplesOfATestSplitTakeNoTime) {
  Random random(9);
  std::vector<ImageObjects> images(120);
  for (ImageObjects& image : images) {
    for (int lane = -3; lane <= 3; ++lane) {
      image.labels.push_back(Car(lane * 5));
      for (int copy = 0; copy < 3; ++copy) {
        Object detection = Car(lane * 5);
        detection.box_3d.x += 0.1 * random.Normal();
        image.detections.push_back(Detected(detection, random.Uniform()));
      }
    }
  }
  v1::Bootstrap bootstrap;
  bootstrap.set_resample_count(1000);
  v1::Evaluation evaluation;
  const auto start = std::chrono::steady_clock::now();
  AddAveragePrecisionLoss(images, Options(), Resampling(bootstrap, 120), "ap_3d", "", true,
                          evaluation);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 5);  // 0.1 s on one core; the limit leaves room for sanitizers.
  RecordProperty("seconds", std::to_string(took.count()));
}

}  // namespace
}  // namespace backfire::metrics
