#include "orchestrator/study/stereo_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "orchestrator/study/stereo_rows.h"

namespace backfire::study {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

StereoEntry& Add(StereoStudy& study, const std::string& vertex, const std::string& loss,
                 const std::string& slice, double u, double improved) {
  StereoEntry& entry = *study.add_entries();
  entry.set_vertex(vertex);
  entry.set_loss(loss);
  entry.set_slice(slice);
  for (const double noise : {-0.1, 0.0, 0.2}) {
    entry.add_u(u);
    entry.add_improved(improved + noise);
  }
  entry.set_difference(improved - u);
  entry.set_interval_low(improved - u - 0.3);
  entry.set_interval_high(improved - u + 0.3);
  return entry;
}

StereoStudy Study() {
  StereoStudy study;
  Add(study, "disparity", "disparity_mae", "", 1.0, 0.9).set_primary(true);
  Add(study, "disparity", "disparity_mae", "depth_0_20_m", 1.0, 0.8);
  Add(study, "disparity", "disparity_mae", "depth_20_40_m", 1.0, 1.1);
  Add(study, "disparity", "disparity_mae", "depth_40_max_m", 1.0, 1.4);
  Add(study, "car", "ap_3d", "", -50, -47).set_primary(true);
  Add(study, "pedestrian-near", "ap_bev", "", -30, -32);
  return study;
}

int CountOf(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

// The horizontal place of the nth circle of a radius.
double PlaceOf(const std::string& svg, const std::string& radius, int nth) {
  const std::string end = absl::StrCat(" r=\"", radius, "\"");
  for (absl::string_view element : absl::StrSplit(svg, '<')) {
    if (!absl::ConsumePrefix(&element, "circle cx=\"") || !absl::StrContains(element, end))
      continue;
    double place = NAN;
    if (nth-- == 0 && absl::SimpleAtod(element.substr(0, element.find('"')), &place)) return place;
  }
  return NAN;
}

TEST(StereoFiguresTest, EachEntryHasItsEstimateAndAPointForEachPiece) {
  const StereoStudy study = Study();
  const std::string svg = DifferencesFigure(study);
  EXPECT_EQ(svg, DifferencesFigure(study));
  // One of each in the legend as well.
  EXPECT_EQ(CountOf(svg, "r=\"4.5\""), study.entries_size() + 1);
  EXPECT_EQ(CountOf(svg, "r=\"2.2\""), 3 * study.entries_size() + 1);
  EXPECT_THAT(svg, AllOf(HasSubstr("xmlns"), HasSubstr("Frustum PointNet, car, AP_3D"),
                         HasSubstr("Frustum PointNet, pedestrian &lt; 20 m, AP_BEV"),
                         HasSubstr("disparity MAE, beyond 40 m"), Not(HasSubstr("PointRCNN"))));
  // Worse is to the right: the error grew with depth, and the cars' average precision fell.
  EXPECT_LT(PlaceOf(svg, "4.5", 1), PlaceOf(svg, "4.5", 2));
  EXPECT_LT(PlaceOf(svg, "4.5", 2), PlaceOf(svg, "4.5", 3));
  EXPECT_GT(PlaceOf(svg, "4.5", 4), PlaceOf(svg, "4.5", 5));
  // Its pieces lie around an estimate.
  EXPECT_LT(PlaceOf(svg, "2.2", 0), PlaceOf(svg, "4.5", 0));
  EXPECT_GT(PlaceOf(svg, "2.2", 2), PlaceOf(svg, "4.5", 0));
}

TEST(StereoFiguresTest, WhatIsNoNumberIsLeftOut) {
  StereoStudy study = Study();
  study.mutable_entries(4)->set_difference(NAN);
  study.mutable_entries(4)->set_interval_low(NAN);
  study.mutable_entries(4)->set_improved(0, NAN);
  study.mutable_entries(3)->set_u(1, NAN);
  for (const std::string& svg : {DifferencesFigure(study), DepthFigure(study)}) {
    EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  }
  EXPECT_THAT(DepthFigure(StereoStudy()), Not(HasSubstr("nan")));
  EXPECT_THAT(DifferencesFigure(StereoStudy()), Not(HasSubstr("nan")));
}

TEST(StereoFiguresTest, ErrorsAgainstDepthStandBeforeTheObjects) {
  StereoStudy study = Study();
  const std::string bare = DepthFigure(study);
  EXPECT_THAT(bare, Not(HasSubstr("Car")));
  ASSERT_TRUE(
      ParseObjectDepths("Car\t0\t10\t30\nCar\t10\t20\t60\nPedestrian\t0\t10\t15\n", "f", study)
          .ok());
  const std::string svg = DepthFigure(study);
  EXPECT_THAT(svg, AllOf(HasSubstr("Car objects"), HasSubstr("Pedestrian objects")));
  // A box for each range and each type's legend.
  EXPECT_EQ(CountOf(svg, "<rect") - CountOf(bare, "<rect"), 3 + 2);
}

TEST(StereoFiguresTest, FaultsOfObjectDepthsHaveTheirLine) {
  for (const char* line : {"Car\t0\t10", "Car\t0\tx\t3", "Car\t10\t5\t3", "Car\t-1\t5\t3",
                           "Car\t0\t5\t-3", "\t0\t5\t3", "Car\tnan\t5\t3", "Car\t0\tinf\t3"}) {
    StereoStudy study;
    const auto status =
        ParseObjectDepths(std::string("Car\t0\t10\t1\n") + line, "depths.tsv", study);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(std::string(status.message()), HasSubstr("depths.tsv:2: must be"));
  }
}

}  // namespace
}  // namespace backfire::study
