#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/datasets/image_file.h"
#include "tests/unit/services/datasets/test_folder.h"
#include "tests/unit/services/vision/fake_gateway.h"
#include "tests/unit/services/vision/vision_binary.h"

namespace backfire::vision {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class VisionCliTest : public ::testing::Test {
 protected:
  Outcome Run(const std::string& arguments) { return RunVisionBinary(arguments, folder_.path()); }

  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }

  void RenderData() {
    const Outcome outcome =
        Run("dataset render --train 1 --validation 1 --test 1 --out " + Path("data"));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  std::string PerceiveArguments() const {
    return "perceive --left " + Path("data/training/image_2/000002.png") + " --right " +
           Path("data/training/image_3/000002.png") + " --calib " +
           Path("data/training/calib/000002.txt") + " --gateway " + gateway_.target();
  }

  TestFolder folder_;
  FakeGateway gateway_;
};

TEST_F(VisionCliTest, RenderCheckDraw) {
  RenderData();
  const Outcome again =
      Run("dataset render --train 1 --validation 1 --test 1 --out " + Path("data"));
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.out, HasSubstr("nothing to do"));
  const Outcome other = Run("dataset render --train 2 --out " + Path("data"));
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("other options"));
  const Outcome check = Run("dataset check " + Path("data"));
  EXPECT_EQ(check.code, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("train      1 frames (384x128), right images 1, disparities 1"));
  EXPECT_THAT(check.out, HasSubstr("digest     "));
  const Outcome draw = Run("draw --dataset " + Path("data") + " --out " + Path("x.png"));
  EXPECT_EQ(draw.code, 0) << draw.err;
  EXPECT_TRUE(datasets::ReadRgbImage(Path("x.png")).ok());
  const Outcome sheet = Run("dataset contact-sheet " + Path("data") + " --out " + Path("s.png"));
  EXPECT_EQ(sheet.code, 0) << sheet.err;
  EXPECT_EQ(datasets::ReadRgbImage(Path("s.png"))->cols, 1280);
  EXPECT_EQ(Run("draw --dataset " + Path("data") + " --example 5 --out " + Path("y.png")).code, 2);
  EXPECT_FALSE(fs::exists(Path("y.png")));
}

TEST_F(VisionCliTest, CheckListsEveryFault) {
  RenderData();
  ASSERT_TRUE(WriteFileAtomically(Path("data/training/label_2/000000.txt"), "Car 1\nCar 2\n").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("data/training/image_3/000002.png"), "no image").ok());
  const Outcome text = Run("dataset check " + Path("data"));
  EXPECT_EQ(text.code, 2);
  EXPECT_THAT(text.out, HasSubstr("label_2/000000.txt:1: an object has 15 columns"));
  EXPECT_THAT(text.out, HasSubstr("label_2/000000.txt:2: an object has 15 columns"));
  EXPECT_THAT(text.out, HasSubstr("image_3/000002.png: not a PNG or JPEG"));
  EXPECT_THAT(text.out, HasSubstr("3 faults"));
  const Outcome json = Run("dataset check " + Path("data") + " --format json");
  EXPECT_EQ(json.code, 2);
  EXPECT_THAT(json.out, HasSubstr("\"line\": 2"));
  EXPECT_THAT(json.out, HasSubstr("\"right_images\": 1"));
}

TEST_F(VisionCliTest, RenderedWorldsNeedNoFiles) {
  const std::string uri = "'rendered:tiny?frames=2&validation=0&test=1&seed=3'";
  const Outcome check = Run("dataset check " + uri + " --contact-sheet " + Path("s.png"));
  EXPECT_EQ(check.code, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("train      2 frames (384x128)"));
  EXPECT_TRUE(datasets::ReadRgbImage(Path("s.png")).ok());
  const Outcome scene =
      Run("dataset render " + uri + " --set cars=9 --example 0 --out " + Path("scene.png"));
  EXPECT_EQ(scene.code, 0) << scene.err;
  EXPECT_TRUE(datasets::ReadRgbImage(Path("scene.png")).ok());
  EXPECT_THAT(Run("dataset render --help").out, HasSubstr("focal_length_px"));
  EXPECT_EQ(Run("dataset render rendered:tiny --set cars --out " + Path("x")).code, 2);
  EXPECT_EQ(Run("dataset render kitti:x --out " + Path("x")).code, 2);
}

TEST_F(VisionCliTest, PerceiveWritesPictureTableAndDetections) {
  RenderData();
  const Outcome one =
      Run(PerceiveArguments() + " --labels " + Path("data/training/label_2/000002.txt") +
          " --out " + Path("v.png") + " --detections " + Path("results"));
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("Car"));
  EXPECT_TRUE(datasets::ReadRgbImage(Path("v.png")).ok());
  EXPECT_THAT(*ReadFile(Path("results/000002.txt")), HasSubstr("Car -1 -1 "));
  const Outcome two = Run(PerceiveArguments() + " --release 1 --release 2 --format json --out " +
                          Path("v.png") + " --detections " + Path("both"));
  EXPECT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.out, HasSubstr("\"releases\""));
  EXPECT_TRUE(fs::exists(Path("both/release-2/000002.txt")));
}

TEST_F(VisionCliTest, CompareDrawsFramesUnderReleasesAndTheTruth) {
  RenderData();
  const std::string compare = "compare --dataset " + Path("data") + " --example 0 --gateway " +
                              gateway_.target() + " --release 1 --release 2";
  const Outcome two = Run(compare + " --min-score 0.1 --out " + Path("two.png"));
  EXPECT_EQ(two.code, 0) << two.err;
  EXPECT_EQ(datasets::ReadRgbImage(Path("two.png"))->cols, 1280);
  EXPECT_EQ(gateway_.requests().back().model_version(), "2");
  // The scores chosen on the validation split; the detectors are asked by themselves.
  const std::string detectors =
      " --true-disparity --car " + gateway_.target() + " --pedestrian " + gateway_.target();
  const Outcome three =
      Run(compare + detectors + " --name u --name \"u'\" --name y --out " + Path("three.jpg"));
  EXPECT_EQ(three.code, 0) << three.err;
  EXPECT_EQ(datasets::ReadRgbImage(Path("three.jpg"))->cols, 1280);
  EXPECT_EQ(gateway_.requests().back().model_name(), "pedestrian");
  EXPECT_EQ(gateway_.requests().back().model_version(), "");

  for (const auto& [wrong, says] : std::vector<std::pair<std::string, std::string>>{
           {" --out x.gif", "--out must end in .png or .jpg"},
           {" --example 1 --out x.png", "--example: must be less than 1"},
           {" --name u --out x.png", "--name: must be given for each of the 2 columns"},
           {" --car-version 3 --out x.png", "--car-version requires --true-disparity"},
           {" --true-disparity --data-dir '' --out x.png", "--true-disparity: give --car"}}) {
    const Outcome outcome = Run(compare + wrong);
    EXPECT_EQ(outcome.code, 2) << wrong;
    EXPECT_THAT(outcome.err, HasSubstr(says));
  }
}

TEST_F(VisionCliTest, PerceiveDoubtsACalibrationOfAnotherSize) {
  RenderData();
  EXPECT_THAT(Run(PerceiveArguments() + " --out " + Path("v.png")).out,
              ::testing::Not(HasSubstr("warning")));
  ASSERT_TRUE(
      WriteFileAtomically(
          Path("data/training/calib/000002.txt"),
          "P2: 1200 0 575 0 0 1200 180 0 0 0 1 0\nP3: 1200 0 575 -600 0 1200 180 0 0 0 1 0\n")
          .ok());
  const Outcome doubted = Run(PerceiveArguments() + " --out " + Path("v.png"));
  EXPECT_EQ(doubted.code, 0) << doubted.err;
  EXPECT_THAT(doubted.out, HasSubstr("000002.txt: P2's cx, cy (575, 180) is outside the 384x128"));
}

TEST_F(VisionCliTest, BadInputIsTwoAndOneLine) {
  RenderData();
  const std::string out = " --out " + Path("v.png");
  for (const std::string& arguments : std::vector<std::string>{
           "", "nonsense", "perceive", "dataset render --out " + Path("z") + " --profile huge",
           "dataset render --train -1 --out " + Path("z"), "dataset check " + Path("absent"),
           PerceiveArguments() + out + " --width 100", PerceiveArguments() + " --out v.jpg",
           PerceiveArguments() + out + " --labels " + Path("absent.txt"),
           PerceiveArguments() + out + " --release 0", PerceiveArguments() + out + " --format xml",
           "perceive --left " + Path("absent.png") + " --right r --calib c" + out}) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1)
        << arguments << ": " << outcome.err;
    EXPECT_FALSE(fs::exists(Path("v.png")));
    EXPECT_FALSE(fs::exists(Path("z")));
  }
}

TEST_F(VisionCliTest, PeersFaultIsThree) {
  RenderData();
  gateway_.refusal = grpc::Status(grpc::StatusCode::NOT_FOUND, "no release 9");
  const Outcome refused = Run(PerceiveArguments() + " --release 9 --out " + Path("v.png"));
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, HasSubstr("NOT_FOUND: release 9: no release 9"));
  const std::string frame = Path("data/training/image_2/000002.png");
  const Outcome away = Run("perceive --left " + frame + " --right " + frame + " --calib " +
                           Path("data/training/calib/000002.txt") +
                           " --gateway unix:/nowhere/g.sock --out " + Path("v.png"));
  EXPECT_EQ(away.code, 3);
  EXPECT_THAT(away.err, HasSubstr("gateway unix:/nowhere/g.sock: UNAVAILABLE"));
  EXPECT_EQ(std::count(away.err.begin(), away.err.end(), '\n'), 1) << away.err;
  EXPECT_FALSE(fs::exists(Path("v.png")));
}

TEST_F(VisionCliTest, PerceivesRealKittiPairs) {
  const char* root = std::getenv("BACKFIRE_KITTI_MINI");
  if (root == nullptr) GTEST_SKIP() << "set BACKFIRE_KITTI_MINI to a folder of KITTI frames";
  for (const auto& [folder, id] :
       {std::pair("training", "900000"), std::pair("stereo", "910000")}) {
    const std::string at = std::string(root) + "/" + folder, png = std::string(id) + ".png";
    const Outcome outcome =
        Run(absl::StrCat("perceive --left ", at, "/image_2/", png, " --right ", at, "/image_3/",
                         png, " --calib ", at, "/calib/", id, ".txt --gateway ", gateway_.target(),
                         " --out ", Path(png), " --detections ", Path("results")));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    // The car at column 100 of 384 is at column 323 of 1241 or 1242.
    EXPECT_THAT(*ReadFile(Path("results/" + std::string(id) + ".txt")), HasSubstr(" 32"));
  }
}

TEST_F(VisionCliTest, HelpHasExamples) {
  for (const char* command :
       {"--help", "dataset render --help", "dataset check --help", "dataset contact-sheet --help",
        "perceive --help", "compare --help", "draw --help"}) {
    const Outcome outcome = Run(command);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.out,
                HasSubstr(std::string(command) == "--help" ? "Exit codes" : "Example"));
  }
}

}  // namespace
}  // namespace backfire::vision
