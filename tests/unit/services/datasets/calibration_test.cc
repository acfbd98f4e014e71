#include "services/datasets/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "services/base/file.h"
#include "services/datasets/kitti_calibration.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

using ::testing::HasSubstr;

// Numbers as a KITTI calibration has them, rounded by hand.
StereoCalibration Kitti() {
  return {{700, 0, 600, 45, 0, 700, 180, -0.35, 0, 0, 1, 0.005},
          {700, 0, 600, -333, 0, 700, 180, 2.3, 0, 0, 1, 0.003}};
}

std::pair<double, double> Project(const Projection& p, double x, double y, double z) {
  const double w = p[8] * x + p[9] * y + p[10] * z + p[11];
  return {(p[0] * x + p[1] * y + p[2] * z + p[3]) / w, (p[4] * x + p[5] * y + p[6] * z + p[7]) / w};
}

TEST(CalibrationTest, DerivedNumbers) {
  EXPECT_DOUBLE_EQ(Kitti().baseline_m(), 378.0 / 700);
  EXPECT_DOUBLE_EQ(Kitti().left_offset_x_m(), -45.0 / 700);
}

TEST(CalibrationTest, ResizedPixelsAreWhereResizePutsThem) {
  const StereoCalibration resized = ResizeAndCrop(Kitti(), 0.25, 0.5, 3, 7);
  for (const auto member : {&StereoCalibration::left, &StereoCalibration::right}) {
    for (const double z : {3.0, 40.0}) {
      const auto [u, v] = Project(Kitti().*member, 1.5, 0.7, z);
      const auto [u_resized, v_resized] = Project(resized.*member, 1.5, 0.7, z);
      EXPECT_NEAR(u_resized, (u + 0.5) * 0.25 - 0.5 - 3, 1e-9);
      EXPECT_NEAR(v_resized, (v + 0.5) * 0.5 - 0.5 - 7, 1e-9);
    }
  }
  // Neither baseline nor offset moves by more than what P[2][3] contributes.
  EXPECT_NEAR(resized.baseline_m(), Kitti().baseline_m(), 0.01);
}

TEST(CalibrationTest, TensorRoundTrip) {
  const auto back = CalibrationFromTensor(ToTensor(Kitti()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->left, Kitti().left);
  EXPECT_EQ(back->right, Kitti().right);
}

TEST(CalibrationTest, RefusesTensorsThatAreNone) {
  EXPECT_FALSE(CalibrationFromTensor(runtime::MakeTensor(runtime::Datatype::kFp64, {2, 12})).ok());
  EXPECT_FALSE(
      CalibrationFromTensor(runtime::MakeTensor(runtime::Datatype::kFp32, {2, 3, 4})).ok());
  // All zero: focal length 0.
  EXPECT_FALSE(
      CalibrationFromTensor(runtime::MakeTensor(runtime::Datatype::kFp64, {2, 3, 4})).ok());
  StereoCalibration nan = Kitti();
  nan.right[7] = std::nan("");
  EXPECT_FALSE(CalibrationFromTensor(ToTensor(nan)).ok());
  StereoCalibration swapped = {Kitti().right, Kitti().left};
  EXPECT_THAT(Validate(swapped).message(), HasSubstr("swapped"));
}

// Each rig is KITTI's but for one thing that f B / d does not allow for, or that no vehicle has.
TEST(CalibrationTest, RefusesPairsThatAreNotRectifiedOrNotPlausible) {
  EXPECT_TRUE(Validate(Kitti()).ok()) << Validate(Kitti());
  struct Rig {
    std::function<void(StereoCalibration&)> change;
    const char* message;
  };
  for (const Rig& rig : {
           Rig{[](auto& c) { c.right[2] += 10; }, "the same cx: got 600 and 610 px"},
           Rig{[](auto& c) { c.right[2] -= 0.1; }, "the same cx"},
           Rig{[](auto& c) { c.right[6] += 1; }, "the same cy: got 180 and 181 px"},
           Rig{[](auto& c) { c.right[0] *= 1.01; }, "the same f: got 700 and 707 px"},
           Rig{[](auto& c) { c.left[5] *= 0.9; }, "the same f_y"},
           Rig{[](auto& c) { c.left[3] *= 1000, c.right[3] *= 1000; }, "millimetres"},
           Rig{[](auto& c) { c.left[3] /= 1000, c.right[3] /= 1000; }, "kilometres"},
           Rig{[](auto& c) { c.right[7] = 300; }, "beside each other"},
           Rig{[](auto& c) { c.left[1] = 3; }, "0 0 1"},
           Rig{[](auto& c) { c.right[8] = 0.01; }, "rectify the pair first"},
       }) {
    StereoCalibration calibration = Kitti();
    rig.change(calibration);
    EXPECT_THAT(std::string(Validate(calibration).message()), HasSubstr(rig.message));
    EXPECT_FALSE(CalibrationFromTensor(ToTensor(calibration)).ok());
  }
}

class CalibrationFileTest : public ::testing::Test {
 protected:
  absl::Status ReadText(const std::string& text) {
    EXPECT_TRUE(WriteFileAtomically(path_, text).ok());
    return ReadCalibration(path_).status();
  }
  TestFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "000007.txt";
};

TEST_F(CalibrationFileTest, RoundTrip) {
  ASSERT_TRUE(WriteCalibration(path_, Kitti()).ok());
  const auto back = ReadCalibration(path_);
  ASSERT_TRUE(back.ok()) << back.status();
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_NEAR(back->left[i], Kitti().left[i], 1e-9);
    EXPECT_NEAR(back->right[i], Kitti().right[i], 1e-9);
  }
}

// KITTI tracking leaves colons out, and odometry calls its motion to the rectified camera Tr.
TEST_F(CalibrationFileTest, ReadsTheNamesOfKittisOtherSets) {
  const std::string cameras = "P2: 1 0 0 9 0 1 0 0 0 0 1 0\nP3: 1 0 0 1 0 1 0 0 0 0 1 0\n";
  for (const char* motion :
       {"R_rect 1 0 0 0 1 0 0 0 1\nTr_velo_cam 0 -1 0 0 0 0 -1 0 1 0 0 0\n",
        "Tr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n", "Tr : 0 -1 0 0 0 0 -1 0 1 0 0 0\nnote\n: 1\n"}) {
    ASSERT_TRUE(ReadText(cameras + motion).ok()) << motion;
    const auto place = ReadKittiCalibration(path_)->RectFromVelo();
    ASSERT_TRUE(place.ok()) << place.status();
    EXPECT_EQ(Transform(*place, {5, 2, 1}), (std::array<double, 3>{-2, -1, 5}));
  }
}

TEST_F(CalibrationFileTest, ErrorsNameFileAndLine) {
  EXPECT_EQ(ReadCalibration(path_).status().code(), absl::StatusCode::kNotFound);
  const std::string p2 = "P2: 1 0 0 9 0 1 0 0 0 0 1 0\n", p3 = "P3: 1 0 0 1 0 1 0 0 0 0 1 0\n";
  EXPECT_TRUE(ReadText("note: whatever\r\n" + p2 + p3 + "\n").ok());
  const absl::Status missing = ReadText("note: 1\n" + p2);
  EXPECT_EQ(missing.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(missing.message(), HasSubstr("000007.txt:2: the file ends, and P3"));
  EXPECT_THAT(ReadText(p2 + "P3: 1 2 3\n").message(),
              HasSubstr("000007.txt:2: P3 must have 12 numbers: got 3"));
  EXPECT_THAT(ReadText(p2 + "P3: 1 0 0 1 0 1 0 nan 0 0 1 0\n").message(),
              HasSubstr("000007.txt:2: P3: \"nan\""));
  EXPECT_THAT(ReadText(p2 + p3 + "P0: whatever\n").message(), HasSubstr("000007.txt:3: P0"));
  EXPECT_THAT(ReadText(p2 + p3 + "R0_rect: 1 0 0 0 2 0 0 0 1\n").message(),
              HasSubstr("000007.txt:3: R0_rect: its 3x3 part is not a rotation"));
  EXPECT_THAT(ReadText(p2 + p3 + "R0_rect: 1 0 0 0 1 0 0 0 -1\n").message(),
              HasSubstr("000007.txt:3: R0_rect: its 3x3 part is mirrored"));
  EXPECT_THAT(ReadText(p2 + p3 + "Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -80 1 0 0 -270\n").message(),
              HasSubstr("within 50 m of each other"));
  EXPECT_THAT(ReadText("\n" + p2 + "P3: 1 0 2 1 0 1 0 0 0 0 1 0\n").message(),
              HasSubstr("000007.txt:3: calibration: the left and the right"));
  EXPECT_THAT(ReadText(p2 + p3 + p2).message(), HasSubstr("000007.txt:3: P2 occurs twice"));
  EXPECT_THAT(ReadText("").message(), HasSubstr("P2"));
  EXPECT_THAT(ReadText("P2" + p3.substr(2) + "P3" + p2.substr(2)).message(), HasSubstr("baseline"));
}

}  // namespace
}  // namespace backfire::datasets
