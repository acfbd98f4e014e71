// Damaged datasets: every fault is found in one pass, with its file and line.
#include "services/datasets/dataset_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/file.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"
#include "services/datasets/rendered_dataset.h"
#include "services/datasets/stereo_dataset.h"
#include "tests/support/text_forms.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DatasetCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(RenderDataset(
                    {{}, 4, 1, 2, 7}, root_, 1, [](int64_t, int64_t) {}, [] { return false; })
                    .ok());
  }

  fs::path File(const std::string& name) const { return root_ / "training" / name; }
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(File(name), content).ok());
  }
  std::string Read(const std::string& name) { return *ReadFile(File(name)); }

  DatasetReport Check(const std::string& parameters = "") {
    auto report = CheckDataset(
        "kitti:" + root_.string() + parameters, [](int64_t, int64_t) {}, [] { return false; });
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : DatasetReport();
  }

  // A fault of that file and line whose message has that part.
  static bool Has(const DatasetReport& report, const std::string& file, int line,
                  const std::string& part) {
    return std::any_of(report.faults.begin(), report.faults.end(), [&](const DatasetFault& fault) {
      return absl::EndsWith(fault.file, file) && fault.line == line &&
             absl::StrContains(fault.message, part);
    });
  }

  TestFolder folder_;
  const fs::path root_ = folder_.path() / "data";
};

TEST_F(DatasetCheckTest, ASoundDatasetHasNoFaults) {
  const DatasetReport report = Check();
  EXPECT_TRUE(report.faults.empty());
  EXPECT_EQ(report.splits[0].name, "train");
  EXPECT_EQ(report.splits[0].frames, 4);
  EXPECT_EQ(report.splits[2].right_images, 2);
  EXPECT_EQ(report.splits[2].labelled, 2);
  EXPECT_EQ(report.splits[1].sizes, (std::set<std::string>{"384x128"}));
  EXPECT_EQ(report.digest,
            (*OpenStereoDataset("kitti:" + root_.string(), runtime::DatasetAccess::Unlimited()))
                ->digest());
}

TEST_F(DatasetCheckTest, EveryFaultInOnePass) {
  const std::string png = Read("image_2/000000.png");
  Write("image_2/000000.png", png.substr(0, png.size() / 2));
  Write("image_3/000000.png", "");
  cv::Mat wide(128, 400, CV_8UC3, cv::Scalar(9, 9, 9));
  Write("image_3/000001.png", *EncodeRgbPng(wide));
  cv::imwrite(File("image_2/000002.png").string(), cv::Mat(128, 384, CV_16UC3, cv::Scalar(1)));
  cv::imwrite(File("disp_occ_0/000001.png").string(), cv::Mat(128, 384, CV_8UC1, cv::Scalar(1)));
  Write("calib/000003.txt", "P0: 1 2\nP3: 1 0 0 1 0 1 0 0 0 0 1 nan\n");
  Write("label_2/000001.txt",
        "Car 0 0 0 1 2 3 4 1.5 1.6 4 1 1.6 20 0\r\n"
        "Car 0 0 0 1 2 3 4 1.5 1.6 4 1 1.6 20\n"  // 14 columns.
        "Car 0 0 0 1 2 3 nan 1.5 1.6 4 1 1.6 20 0\n"
        "Spaceship 0 0 0 1 2 3 4 1.5 1.6 4 1 1.6 20 0\n"
        "Car 7 0 0 9 2 3 4 1.5 -1.6 4 1 1.6 20 0\n");
  ASSERT_TRUE(MakeDirectories(File("velodyne")).ok());
  Write("velodyne/000002.bin", std::string(17, 'x'));
  ASSERT_TRUE(WriteFileAtomically(root_ / "ImageSets" / "train.txt",
                                  "000000\r\n000001\n000002\n000003\n000003\n0000 5\n999999\n")
                  .ok());
  ASSERT_TRUE(WriteFileAtomically(root_ / "ImageSets" / "test.txt", "000005\n000001\n").ok());
  const DatasetReport report = Check();
  EXPECT_TRUE(Has(report, "image_2/000000.png", 0, "cut off"));
  EXPECT_TRUE(Has(report, "image_3/000000.png", 0, "empty"));
  EXPECT_TRUE(Has(report, "image_3/000001.png", 0, "is 400x128 pixels, the left image 384x128"));
  EXPECT_TRUE(Has(report, "image_2/000002.png", 0, "8 bits a channel: has 16"));
  EXPECT_TRUE(Has(report, "disp_occ_0/000001.png", 0, "16-bit"));
  EXPECT_TRUE(Has(report, "calib/000003.txt", 1, "P0 must have 12 numbers: got 2"));
  EXPECT_TRUE(Has(report, "calib/000003.txt", 2, "\"nan\""));
  EXPECT_TRUE(Has(report, "calib/000003.txt", 2, "P2 (3x4 projection) is missing"));
  EXPECT_TRUE(Has(report, "label_2/000001.txt", 2, "15 columns, or 16 with its score: got 14"));
  EXPECT_TRUE(Has(report, "label_2/000001.txt", 3, "column 8 (bottom)"));
  EXPECT_TRUE(Has(report, "label_2/000001.txt", 4, "Spaceship"));
  EXPECT_TRUE(Has(report, "label_2/000001.txt", 5, "truncated"));
  EXPECT_TRUE(Has(report, "label_2/000001.txt", 5, "2D box is empty"));
  EXPECT_TRUE(Has(report, "label_2/000001.txt", 5, "must be > 0 m"));
  EXPECT_TRUE(Has(report, "velodyne/000002.bin", 0, "got 17"));
  EXPECT_TRUE(Has(report, "ImageSets/train.txt", 5, "listed twice"));
  EXPECT_TRUE(Has(report, "ImageSets/train.txt", 6, "0000 5"));
  EXPECT_TRUE(Has(report, "image_2/999999.png", 0, "No such file"));
  EXPECT_TRUE(Has(report, "", 0, "the splits train and test share 1 frame: 000001"));
  EXPECT_TRUE(report.digest.empty());
  EXPECT_EQ(report.splits[2].frames, 2);
}

// A training that asks for what is not there ends at its first frame: the check has to say so.
TEST_F(DatasetCheckTest, ChecksWhatTheUriAsksFor) {
  DatasetReport report = Check("?disparity=lidar");
  EXPECT_EQ(report.faults.size(), 7u);  // Every frame.
  EXPECT_TRUE(Has(report, "velodyne/000003.bin", 0, "the URI has disparity=lidar"));
  EXPECT_TRUE(Check("?disparity=file").faults.empty());

  fs::remove(File("disp_occ_0/000001.png"));
  EXPECT_TRUE(Has(Check("?disparity=file"), "disp_occ_0/000001.png", 0, "disparity=file"));
  EXPECT_TRUE(Has(Check(), "disp_occ_0/000001.png", 0, "3 of 4 frames of the split train"));
  ASSERT_TRUE(WriteLidar(File("velodyne/000001.bin"), {{10, 0, 0, 0.5f}}).ok());
  EXPECT_TRUE(Check().faults.empty());

  const std::string calibration = Read("calib/000001.txt");
  Write("calib/000001.txt", calibration.substr(0, calibration.find("R0_rect")));
  EXPECT_TRUE(Has(Check(), "calib/000001.txt", 0, "R0_rect is missing"));
  Write("calib/000001.txt", calibration);

  // As a file of five columns begins.
  ASSERT_TRUE(WriteLidar(File("velodyne/000001.bin"), {{10, 0, 0, 0.5f}, {0, 12, 1, 7}}).ok());
  EXPECT_THAT(Check().warnings,
              ::testing::Contains(HasSubstr("000001: the scan has reflectances")));
}

TEST_F(DatasetCheckTest, AKindOfFileThatSomeFramesLackIsAFault) {
  fs::remove(File("image_3/000002.png"));
  fs::remove(File("label_2/000005.txt"));
  DatasetReport report = Check();
  EXPECT_EQ(report.faults.size(), 2u);
  EXPECT_TRUE(
      Has(report, "image_3/000002.png", 0, "3 of 4 frames of the split train have a right"));
  EXPECT_TRUE(Has(report, "label_2/000005.txt", 0, "1 of 2 frames of the split test have a label"));
  fs::remove(File("label_2/000006.txt"));
  report = Check();
  EXPECT_EQ(report.faults.size(), 1u);
  EXPECT_THAT(report.warnings,
              ::testing::Contains(HasSubstr("no frame of the split test has a label file")));
}

TEST_F(DatasetCheckTest, AClassThatASplitHasNotIsSaid) {
  const std::string pedestrian = "pedestrian 0 0 0 10 20 30 90 1.7 0.6 0.8 1 1.6 20 0\n";
  Write("label_2/000005.txt", pedestrian);
  Write("label_2/000006.txt", "van 0 0 0 10 20 30 90 1.7 0.6 0.8 1 1.6 20 0\n" + pedestrian);
  DatasetReport report = Check();
  EXPECT_TRUE(report.faults.empty());
  EXPECT_EQ(report.splits[2].objects.at("Pedestrian"), 2);
  EXPECT_THAT(report.warnings,
              ::testing::Contains(std::string("no label of the split test is of class Car")));
  EXPECT_THAT(report.warnings,
              ::testing::Not(::testing::Contains(HasSubstr("split test is of class Pedestrian"))));
}

TEST_F(DatasetCheckTest, WhatIsEmptyOrFarAwayIsSaid) {
  fs::create_directories(File("velodyne"));
  for (const char* id : {"000000", "000001", "000002", "000003"}) {
    ASSERT_TRUE(WriteLidar(File(absl::StrCat("velodyne/", id, ".bin")), {{10, 0, 0, 0.5}}).ok());
  }
  Write("velodyne/000001.bin", "");
  Write("label_2/000002.txt", "Car 0 0 0 10 20 30 90 1.7 1.6 3.8 1 1.6 1e300 0\n");
  ASSERT_TRUE(WriteFileAtomically(root_ / "ImageSets" / "val.txt", "\n").ok());
  const DatasetReport report = Check("?disparity=lidar&test=");
  EXPECT_TRUE(Has(report, "label_2/000002.txt", 1, "x, y and z must be within 1000 m"));
  EXPECT_EQ(report.faults.size(), 1u);
  EXPECT_THAT(report.warnings,
              ::testing::Contains(
                  std::string("train: 1 frame, 000001: the scan has no point: was it cut off?")));
  EXPECT_THAT(report.warnings, ::testing::Contains(std::string("the split validation is empty")));
  EXPECT_THAT(report.warnings,
              ::testing::Not(::testing::Contains(std::string("the split test is empty"))))
      << "which the URI asks for";
}

TEST_F(DatasetCheckTest, APrincipalPointOutsideOfTheImageIsSaid) {
  KittiCalibration calibration = *ReadKittiCalibration(File("calib/000001.txt"));
  for (auto& projection : calibration.image_from_rect) (*projection)[2] = 575;
  Write("calib/000001.txt", FormatKittiCalibration(calibration));
  const DatasetReport report = Check();
  EXPECT_TRUE(report.faults.empty());
  EXPECT_THAT(report.warnings, ::testing::Contains(HasSubstr("outside the 384x128 image")));
}

TEST_F(DatasetCheckTest, ImplausibleCamerasAreDoubted) {
  const KittiCalibration calibration = *ReadKittiCalibration(File("calib/000001.txt"));
  const auto doubts = [&](const std::function<void(Projection&)>& change) {
    KittiCalibration changed = calibration;
    for (int camera = 0; camera < 4; ++camera) {
      if (changed.image_from_rect[camera]) change(*changed.image_from_rect[camera]);
    }
    Write("calib/000001.txt", FormatKittiCalibration(changed));
    const DatasetReport report = Check();
    EXPECT_TRUE(report.faults.empty()) << report.faults.front().message;
    return absl::StrJoin(report.warnings, "\n");
  };
  const std::string none = doubts([](Projection&) {});
  EXPECT_THAT(none, ::testing::Not(HasSubstr("P2's")));
  EXPECT_THAT(doubts([](Projection& p) {
                for (const int at : {0, 3, 5}) p[at] *= 1e5;
              }),
              HasSubstr("times the image's width: is it in pixels?"));
  EXPECT_THAT(doubts([](Projection& p) { p[5] *= 2; }), HasSubstr("focal lengths differ"));
  EXPECT_THAT(doubts([](Projection& p) { p[3] += 100 * p[0]; }),
              HasSubstr("away from the origin of labels and scans"));
}

TEST_F(DatasetCheckTest, CamerasStandBesideEachOther) {
  KittiCalibration calibration = *ReadKittiCalibration(File("calib/000001.txt"));
  (*calibration.image_from_rect[3])[11] += 10;
  Write("calib/000001.txt", FormatKittiCalibration(calibration));
  const DatasetReport report = Check();
  ASSERT_FALSE(report.faults.empty());
  EXPECT_THAT(report.faults[0].message, HasSubstr("10 m forward: rectify the pair first"));
}

TEST_F(DatasetCheckTest, AScanBesideThePictureIsDoubted) {
  KittiCalibration calibration = *ReadKittiCalibration(File("calib/000001.txt"));
  calibration.rect_from_cam0 = Rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  calibration.cam0_from_velo = RigidMotion{0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0};
  fs::create_directories(File("velodyne"));
  ASSERT_TRUE(WriteLidar(File("velodyne/000001.bin"), {{10, 0, 0, 0.5f}}).ok());
  Write("calib/000001.txt", FormatKittiCalibration(calibration));
  EXPECT_THAT(absl::StrJoin(Check().warnings, "\n"),
              ::testing::Not(HasSubstr("no point of the scan")));
  calibration.cam0_from_velo = RigidMotion{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  Write("calib/000001.txt", FormatKittiCalibration(calibration));
  EXPECT_THAT(absl::StrJoin(Check().warnings, "\n"), HasSubstr("no point of the scan"));
}

TEST_F(DatasetCheckTest, PicturesOfOtherNamesAreNotPassedOver) {
  for (const char* extension : {".PNG", ".jpg", ".TIFF"}) {
    for (const char* id : {"000000", "000001", "000002", "000003", "000004", "000005", "000006"}) {
      for (const char* old : {".png", ".PNG", ".jpg"}) {
        const fs::path from = File(absl::StrCat("image_2/", id, old));
        if (fs::exists(from)) fs::rename(from, File(absl::StrCat("image_2/", id, extension)));
      }
    }
    const DatasetReport report = Check("?train=all&validation=&test=");
    ASSERT_EQ(report.faults.size(), 1u);
    EXPECT_THAT(report.faults[0].message, HasSubstr("pictures must be PNG files, and named so"));
  }
}

// What editors do to a text file changes neither what is read nor what is checked.
TEST_F(DatasetCheckTest, EveryFormOfTheTextFilesIsTheSameDataset) {
  const std::string labels = Read("label_2/000000.txt"), calibration = Read("calib/000000.txt");
  const auto before = ReadObjects(File("label_2/000000.txt"));
  ASSERT_TRUE(before.ok() && !before->empty());
  const auto label_forms = TextForms(labels), calibration_forms = TextForms(calibration);
  const auto list_forms = TextForms("000000\n000001\n");
  for (size_t i = 0; i < label_forms.size(); ++i) {
    Write("label_2/000000.txt", label_forms[i]);
    Write("calib/000000.txt", calibration_forms[i]);
    ASSERT_TRUE(WriteFileAtomically(root_ / "ImageSets" / "train.txt", list_forms[i]).ok());
    const DatasetReport report = Check();
    EXPECT_TRUE(report.faults.empty()) << i << ": " << report.faults.front().message;
    EXPECT_EQ(report.splits[0].frames, 2);
    EXPECT_EQ(FormatObjects(*ReadObjects(File("label_2/000000.txt"))), FormatObjects(*before));
    const auto read = ReadKittiCalibration(File("calib/000000.txt"));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(FormatKittiCalibration(*read), calibration);
  }
  Write("label_2/000000.txt", std::string("C\0a\0r\0", 6));
  EXPECT_TRUE(Has(Check(), "label_2/000000.txt", 1, "save it as UTF-8"));
}

// One bad frame among many is named when it is read, and the others still work.
TEST_F(DatasetCheckTest, OneBadFrameIsNamedByTheReader) {
  const std::string png = Read("image_3/000002.png");
  Write("image_3/000002.png", png.substr(0, png.size() - 40));
  const auto dataset =
      OpenStereoDataset("kitti:" + root_.string(), runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  for (int64_t i = 0; i < 4; ++i) {
    const absl::Status status = (*dataset)->RightImage(runtime::Split::kTrain, i).status();
    EXPECT_EQ(status.ok(), i != 2);
    if (i == 2) {
      EXPECT_THAT(std::string(status.message()), HasSubstr("image_3/000002.png"));
    }
  }
}

// As the usual split of KITTI has it: tested on `val`, which is the default for validation as well.
TEST_F(DatasetCheckTest, ValidationMayBeTheTestSplit) {
  const auto report = CheckDataset(
      "kitti:" + root_.string() + "?train=train&test=val", [](int64_t, int64_t) {},
      [] { return false; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->faults.empty());
  EXPECT_THAT(report->warnings, ::testing::Contains(HasSubstr("no `clusters`")));
  EXPECT_THAT(report->warnings,
              ::testing::Contains(HasSubstr("validation and test share 1 frame: 000004")));
}

TEST_F(DatasetCheckTest, ClustersOfAllFramesAreNamed) {
  const auto check = [this](const std::string& clusters) {
    return *CheckDataset(
        "kitti:" + root_.string() + "?clusters=" + clusters, [](int64_t, int64_t) {},
        [] { return false; });
  };
  EXPECT_TRUE(check("each").faults.empty());
  EXPECT_THAT(check("each").warnings, ::testing::Not(::testing::Contains(HasSubstr("cluster"))));
  EXPECT_TRUE(Has(check("nowhere"), "nowhere", 0, ""));
  // Train 0 to 3, validation 4, test 5 and 6.
  ASSERT_TRUE(WriteFileAtomically(root_ / "drives.txt",
                                  "000000 a\n000001 a\n000002 b\n000003 b\n000004 c\n000005 b\n")
                  .ok());
  EXPECT_TRUE(Has(check("drives.txt"), "drives.txt", 0, "says nothing of frame 000006"));
  ASSERT_TRUE(WriteFileAtomically(root_ / "drives.txt",
                                  "000000 a\n000001 a\n000002 b\n000003 b\n000004 c\n000005 b\n"
                                  "000006 d\n")
                  .ok());
  const DatasetReport report = check("drives.txt");
  EXPECT_TRUE(report.faults.empty());
  EXPECT_THAT(
      report.warnings,
      ::testing::Contains(
          "of the 2 clusters of the test split, 1 have frames in the training split as well"));
}

TEST_F(DatasetCheckTest, MissingListIsAFault) {
  fs::remove(root_ / "ImageSets" / "val.txt");
  const DatasetReport report = Check();
  ASSERT_EQ(report.faults.size(), 1u);
  EXPECT_THAT(report.faults[0].file, HasSubstr("ImageSets/val.txt"));
  EXPECT_EQ(report.splits[0].frames, 4);
}

TEST_F(DatasetCheckTest, RefusesWhatIsNoDataset) {
  const auto check = [](const std::string& uri) {
    return CheckDataset(
               uri, [](int64_t, int64_t) {}, [] { return false; })
        .status()
        .code();
  };
  EXPECT_EQ(check("kitti:/nowhere"), absl::StatusCode::kNotFound);
  EXPECT_EQ(check("nonsense"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check("rendered:tiny?cars=-1"), absl::StatusCode::kInvalidArgument);
}

TEST(RenderedCheckTest, CountsWhatItDraws) {
  const auto report = CheckDataset(
      "rendered:tiny?frames=3&validation=0&test=2", [](int64_t, int64_t) {}, [] { return false; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->splits[0].frames, 3);
  EXPECT_GT(report->splits[0].objects.at("Car"), 0);
  EXPECT_EQ(report->digest.size(), 64u);
}

// KITTI 2015's layout: `000000_10.png`, disp_occ_0, calib_cam_to_cam; no ImageSets.
TEST(Kitti2015Test, IsReadByRanges) {
  TestFolder folder;
  const fs::path training = folder.path() / "training";
  for (const char* sub : {"image_2", "image_3", "disp_occ_0", "calib_cam_to_cam"}) {
    ASSERT_TRUE(MakeDirectories(training / sub).ok());
  }
  const cv::Mat image(40, 120, CV_8UC3, cv::Scalar(10, 20, 30));
  cv::Mat disparity(40, 120, CV_32FC1, cv::Scalar(0));
  disparity.at<float>(20, 60) = 12.5f;
  for (const char* id : {"000000_10", "000000_11", "000001_10", "000001_11"}) {
    ASSERT_TRUE(WriteRgbImage(training / "image_2" / absl::StrCat(id, ".png"), image).ok());
    ASSERT_TRUE(WriteRgbImage(training / "image_3" / absl::StrCat(id, ".png"), image).ok());
  }
  for (const char* id : {"000000_10", "000001_10"}) {
    ASSERT_TRUE(WriteFileAtomically(training / "disp_occ_0" / absl::StrCat(id, ".png"),
                                    *EncodeDisparityPng(disparity))
                    .ok());
  }
  ASSERT_TRUE(WriteFileAtomically(training / "calib_cam_to_cam" / "000000.txt",
                                  "calib_time: 09-Jan-2012 13:57:47\n"
                                  "P_rect_02: 721.5 0 60 44.9 0 721.5 20 0.2 0 0 1 0.003\n"
                                  "P_rect_03: 721.5 0 60 -339.5 0 721.5 20 2.2 0 0 1 0.003\n")
                  .ok());
  const std::string uri = "kitti:" + folder.path().string() + "?train=0-0&validation=&test=1-1";
  const auto dataset = OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->ExampleId(runtime::Split::kTrain, 0), "000000_10");
  EXPECT_EQ((*dataset)->ExampleId(runtime::Split::kTest, 0), "000001_10");
  EXPECT_EQ((*dataset)->Disparity(runtime::Split::kTest, 0)->at<float>(20, 60), 12.5f);
  EXPECT_NEAR((*dataset)->Calibration(runtime::Split::kTrain, 0)->baseline_m(), 384.4 / 721.5,
              1e-9);
  // The second frame has no calibration: fine until somebody wants it.
  EXPECT_EQ((*dataset)->Calibration(runtime::Split::kTest, 0).status().code(),
            absl::StatusCode::kNotFound);
  const auto report = CheckDataset(
      uri, [](int64_t, int64_t) {}, [] { return false; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->faults.empty());
  EXPECT_EQ(report->splits[0].disparities, 1);
  const absl::Status beyond =
      OpenStereoDataset("kitti:" + folder.path().string() + "?train=0-5&validation=&test=",
                        runtime::DatasetAccess::Unlimited())
          .status();
  EXPECT_EQ(beyond.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(beyond.message()), HasSubstr("has 2 frames"));
}

}  // namespace
}  // namespace backfire::datasets
