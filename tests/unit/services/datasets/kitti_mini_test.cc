// Reads real KITTI frames, where they are at hand: BACKFIRE_KITTI_MINI names the folder.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <opencv2/core.hpp>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"
#include "services/datasets/render_profile.h"
#include "services/datasets/rendered_world.h"
#include "services/datasets/stereo_dataset.h"
#include "services/metrics/iou.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;

class KittiMiniTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("BACKFIRE_KITTI_MINI");
    if (root == nullptr) GTEST_SKIP() << "set BACKFIRE_KITTI_MINI to a folder of KITTI frames";
    root_ = root;
  }

  // Rows of a tab-separated table, by column name.
  std::vector<std::map<std::string, std::string>> ReadTable(const std::string& name) const {
    std::ifstream file(root_ / name);
    std::string line, field;
    std::getline(file, line);
    std::vector<std::string> columns;
    for (std::istringstream header(line); std::getline(header, field, '\t');) {
      columns.push_back(field);
    }
    std::vector<std::map<std::string, std::string>> rows;
    while (std::getline(file, line)) {
      rows.emplace_back();
      std::istringstream stream(line);
      for (size_t i = 0; std::getline(stream, field, '\t'); ++i) rows.back()[columns[i]] = field;
    }
    return rows;
  }

  absl::StatusOr<KittiCalibration> Calibration(const std::string& id) const {
    return ReadKittiCalibration(root_ / "training" / "calib" / (id + ".txt"));
  }
  absl::StatusOr<std::vector<LidarPoint>> Scan(const std::string& id) const {
    return ReadLidar(root_ / "training" / "velodyne" / (id + ".bin"));
  }

  fs::path root_;
};

// How deep what is supervised lies: shares of the pixels of known disparity, up to 80 m.
struct DepthMix {
  double near = 0, middle = 0, far = 0;  // Up to 20 m, up to 40 m, beyond.
  double crossover_m = 0;                // Root of the mean square: `disparity/crossover_depth.h`.
};

class DepthMixture {
 public:
  void Add(const cv::Mat& disparity, double focal_times_baseline) {
    for (int row = 0; row < disparity.rows; ++row) {
      for (int column = 0; column < disparity.cols; ++column) {
        const double d = disparity.at<float>(row, column);
        const double depth_m = focal_times_baseline / d;
        if (!(d > 0) || depth_m > 80) continue;
        (depth_m <= 20 ? near_ : depth_m <= 40 ? middle_ : far_) += 1;
        squares_ += depth_m * depth_m;
      }
    }
  }
  DepthMix Shares() const {
    const double all = near_ + middle_ + far_;
    return {near_ / all, middle_ / all, far_ / all, std::sqrt(squares_ / all)};
  }

 private:
  double near_ = 0, middle_ = 0, far_ = 0, squares_ = 0;
};

// The profile `lidar` is for studies in which two losses weight pixels by depth: its mix of depths
// must be that of real sweeps, which `tiny`, whose pictures show facades above a LiDAR's field, has
// not.
TEST_F(KittiMiniTest, TheLidarProfileSupervisesDepthsAsRealSweepsDo) {
  DepthMixture real;
  const auto dataset =
      OpenStereoDataset("kitti:" + root_.string(), runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  int sweeps = 0;
  for (const auto& entry : fs::directory_iterator(root_ / "training" / "velodyne")) {
    const std::string id = entry.path().stem();
    const auto calibration = Calibration(id);
    ASSERT_TRUE(calibration.ok()) << calibration.status();
    const auto scan = Scan(id);
    ASSERT_TRUE(scan.ok()) << scan.status();
    const auto disparity = DisparityFromLidar(*scan, *calibration, {1242, 375});
    ASSERT_TRUE(disparity.ok()) << disparity.status();
    real.Add(*disparity, 0.54 * 721.5377);
    ++sweeps;
  }
  ASSERT_GT(sweeps, 3);
  const auto rendered = [](const std::string& profile) {
    const RenderProfile parameters = FindRenderProfile(profile).value();
    DepthMixture mixture;
    for (int i = 0; i < 40; ++i) {
      mixture.Add(RenderFrame(parameters, 1, Split::kTrain, i).disparity,
                  parameters.focal_length_px * parameters.baseline_m);
    }
    return mixture.Shares();
  };
  const DepthMix kitti = real.Shares(), lidar = rendered("lidar"), tiny = rendered("tiny");
  RecordProperty(
      "kitti", absl::StrCat(kitti.near, " ", kitti.middle, " ", kitti.far, " ", kitti.crossover_m));
  RecordProperty(
      "lidar", absl::StrCat(lidar.near, " ", lidar.middle, " ", lidar.far, " ", lidar.crossover_m));
  EXPECT_NEAR(lidar.near, kitti.near, 0.05);
  EXPECT_NEAR(lidar.middle, kitti.middle, 0.05);
  EXPECT_NEAR(lidar.far, kitti.far, 0.05);
  EXPECT_NEAR(lidar.crossover_m, kitti.crossover_m, 0.1 * kitti.crossover_m);
  EXPECT_LT(tiny.near, kitti.near - 0.15);
}

TEST_F(KittiMiniTest, OpensRealFrames) {
  const auto dataset =
      OpenStereoDataset("kitti:" + root_.string(), runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(Split::kTrain), 2);
  EXPECT_EQ((*dataset)->size(Split::kValidation), 4);
  ASSERT_EQ((*dataset)->size(Split::kTest), 1);
  EXPECT_EQ((*dataset)->ExampleId(Split::kTest, 0), "900000");
  const auto right = (*dataset)->RightImage(Split::kTest, 0);
  ASSERT_TRUE(right.ok()) << right.status();
  EXPECT_GT(right->cols, 1200);
  const auto calibration = (*dataset)->Calibration(Split::kTest, 0);
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  EXPECT_NEAR(calibration->focal_length_px(), 721.5377, 1e-3);
  EXPECT_NEAR(calibration->baseline_m(), 0.53273, 1e-4);
  EXPECT_EQ((*dataset)->Labels(Split::kTest, 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*dataset)->Labels(Split::kTrain, 0)->at(0).type, "Pedestrian");
}

TEST_F(KittiMiniTest, ProjectionsMatch) {
  int rows = 0;
  for (auto& row : ReadTable("expected_projection.tsv")) {
    const auto calibration =
        ReadCalibration(root_ / "training" / "calib" / (row["frame"] + ".txt"));
    ASSERT_TRUE(calibration.ok()) << calibration.status();
    const auto number = [&row](const char* name) { return std::stod(row[name]); };
    const auto project = [&](const Projection& p, int line) {
      return p[line * 4] * number("cam_x") + p[line * 4 + 1] * number("cam_y") +
             p[line * 4 + 2] * number("cam_z") + p[line * 4 + 3];
    };
    EXPECT_NEAR(project(calibration->left, 0) / project(calibration->left, 2), number("u2"), 1e-3);
    EXPECT_NEAR(project(calibration->left, 1) / project(calibration->left, 2), number("v2"), 1e-3);
    EXPECT_NEAR(project(calibration->right, 0) / project(calibration->right, 2), number("u3"),
                1e-3);
    EXPECT_NEAR(project(calibration->right, 1) / project(calibration->right, 2), number("v3"),
                1e-3);
    ++rows;
  }
  EXPECT_EQ(rows, 140);
}

// The whole way from the scanner to the pixels of both colour cameras.
TEST_F(KittiMiniTest, ScansProjectAsExpected) {
  std::map<std::string, std::pair<std::vector<LidarPoint>, KittiCalibration>> frames;
  int rows = 0;
  for (auto& row : ReadTable("expected_projection.tsv")) {
    const std::string& id = row["frame"];
    if (frames.count(id) == 0) frames[id] = {*Scan(id), *Calibration(id)};
    const auto& [scan, calibration] = frames[id];
    const LidarPoint& point = scan.at(std::stoul(row["point"]));
    const auto number = [&row](const char* name) { return std::stod(row[name]); };
    EXPECT_NEAR(point.x, number("velo_x"), 1e-5);
    const auto rect = Transform(*calibration.RectFromVelo(), {point.x, point.y, point.z});
    EXPECT_NEAR(rect[0], number("cam_x"), 1e-5);
    EXPECT_NEAR(rect[1], number("cam_y"), 1e-5);
    EXPECT_NEAR(rect[2], number("cam_z"), 1e-5);
    const StereoCalibration stereo = *calibration.Stereo();
    const auto left = ProjectPoint(stereo.left, rect), right = ProjectPoint(stereo.right, rect);
    EXPECT_NEAR(left[0], number("u2"), 2e-3);
    EXPECT_NEAR(left[1], number("v2"), 2e-3);
    EXPECT_NEAR(right[0], number("u3"), 2e-3);
    EXPECT_NEAR(right[1], number("v3"), 2e-3);
    ++rows;
  }
  EXPECT_EQ(rows, 140);
}

// Scan, calibration and labels agree: as many points as expected lie in each 3D box, and those
// points fall into the labelled 2D box.
TEST_F(KittiMiniTest, BoxesContainTheirPoints) {
  int rows = 0;
  for (auto& row : ReadTable("expected_boxes.tsv")) {
    const std::string& id = row["frame"];
    const KittiCalibration calibration = *Calibration(id);
    const metrics::Object label = ReadObjects(root_ / "training" / "label_2" / (id + ".txt"))
                                      ->at(std::stoul(row["label_line"]));
    const metrics::Box3d& box = label.box_3d;
    const double c = std::cos(box.rotation_y), s = std::sin(box.rotation_y);
    int inside = 0, in_image_box = 0;
    const auto points = LidarInRect(*Scan(id), calibration);
    ASSERT_TRUE(points.ok()) << points.status();
    for (const cv::Point3d& point : *points) {
      const double dx = point.x - box.x, dz = point.z - box.z;
      if (std::abs(c * dx - s * dz) > box.length / 2 || std::abs(s * dx + c * dz) > box.width / 2 ||
          point.y > box.y || point.y < box.y - box.height) {
        continue;
      }
      ++inside;
      const auto pixel = ProjectPoint(*calibration.image_from_rect[2], {point.x, point.y, point.z});
      in_image_box += pixel[0] >= label.box_2d.left - 2 && pixel[0] <= label.box_2d.right + 2 &&
                      pixel[1] >= label.box_2d.top - 2 && pixel[1] <= label.box_2d.bottom + 2;
    }
    EXPECT_NEAR(inside, std::stoi(row["lidar_points_inside"]),
                std::stoi(row["points_within_1e-5_of_a_face"]))
        << id << " " << label.type;
    EXPECT_GE(in_image_box, 0.95 * inside) << id << " " << label.type;
    ++rows;
  }
  EXPECT_EQ(rows, 10);
}

// Sparse disparity from scans: on each labelled object its median depth lies within the 3D box.
TEST_F(KittiMiniTest, DisparityFromScansLiesOnObjects) {
  const auto dataset = OpenStereoDataset("kitti:" + root_.string() + "?train=trainval&validation=",
                                         runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  int objects = 0;
  for (int64_t i = 0; i < (*dataset)->size(Split::kTrain); ++i) {
    if ((*dataset)->ExampleId(Split::kTrain, i) >= "900000") continue;
    const auto disparity = (*dataset)->Disparity(Split::kTrain, i);
    ASSERT_TRUE(disparity.ok()) << disparity.status();
    const int known = cv::countNonZero(*disparity);
    EXPECT_GT(known, 15000);
    EXPECT_LT(known, 25000);
    const StereoCalibration calibration = *(*dataset)->Calibration(Split::kTrain, i);
    const double fb = calibration.focal_length_px() * calibration.baseline_m();
    const auto labels = (*dataset)->Labels(Split::kTrain, i);
    ASSERT_TRUE(labels.ok()) << labels.status();
    for (const metrics::Object& label : *labels) {
      if (label.type == "DontCare" || label.occlusion != 0) continue;
      // The middle of the 2D box, where the object is rather than what is behind it.
      std::vector<double> depths;
      const metrics::Box2d& box = label.box_2d;
      for (int y = static_cast<int>(box.top + 0.3 * box.height());
           y < box.bottom - 0.3 * box.height(); ++y) {
        for (int x = static_cast<int>(box.left + 0.35 * box.width());
             x < box.right - 0.35 * box.width(); ++x) {
          if (disparity->at<float>(y, x) > 0) depths.push_back(fb / disparity->at<float>(y, x));
        }
      }
      if (depths.size() < 5) continue;
      std::nth_element(depths.begin(), depths.begin() + depths.size() / 2, depths.end());
      const double reach = std::max(label.box_3d.length, label.box_3d.width) / 2 + 0.3;
      EXPECT_NEAR(depths[depths.size() / 2], label.box_3d.z, reach) << label.type;
      ++objects;
    }
  }
  EXPECT_GE(objects, 5);
}

// The pair of frame 900000: pixels that scan disparity relates look alike, and others less so.
TEST_F(KittiMiniTest, ScanDisparityRelatesBothImages) {
  const auto dataset =
      OpenStereoDataset("kitti:" + root_.string(), runtime::DatasetAccess::Unlimited());
  const cv::Mat left = *(*dataset)->LeftImage(Split::kTest, 0);
  const cv::Mat right = *(*dataset)->RightImage(Split::kTest, 0);
  const cv::Mat disparity = *(*dataset)->Disparity(Split::kTest, 0);
  double matched = 0, shifted = 0;
  int count = 0;
  for (int y = 0; y < left.rows; ++y) {
    for (int x = 0; x < left.cols; ++x) {
      const int match = x - static_cast<int>(std::lround(disparity.at<float>(y, x)));
      if (disparity.at<float>(y, x) <= 0 || match < 8) continue;
      const int here = left.at<cv::Vec3b>(y, x)[1];
      matched += std::abs(here - right.at<cv::Vec3b>(y, match)[1]);
      shifted += std::abs(here - right.at<cv::Vec3b>(y, match - 8)[1]);
      ++count;
    }
  }
  EXPECT_GT(count, 12000);
  EXPECT_LT(matched, 0.6 * shifted);
}

TEST_F(KittiMiniTest, StereoOnlyFramesNeedNoLidar) {
  const auto dataset =
      OpenStereoDataset("kitti:" + (root_ / "stereo").string() + "?train=all&validation=0-1&test=",
                        runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(Split::kTrain), 4);
  EXPECT_EQ((*dataset)->ExampleId(Split::kValidation, 1), "910003");
  EXPECT_TRUE((*dataset)->RightImage(Split::kTrain, 3).ok());
  EXPECT_TRUE((*dataset)->Calibration(Split::kTrain, 3).ok());
  EXPECT_EQ((*dataset)->Disparity(Split::kTrain, 0).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(KittiMiniTest, LabelledBoxesMatch) {
  int rows = 0;
  for (auto& row : ReadTable("expected_boxes.tsv")) {
    const auto labels = ReadObjects(root_ / "training" / "label_2" / (row["frame"] + ".txt"));
    ASSERT_TRUE(labels.ok()) << labels.status();
    const metrics::Object& label = labels->at(std::stoul(row["label_line"]));
    EXPECT_EQ(label.type, row["type"]);
    const metrics::Box2d projected = {
        std::stod(row["projected_left"]), std::stod(row["projected_top"]),
        std::stod(row["projected_right"]), std::stod(row["projected_bottom"])};
    EXPECT_NEAR(metrics::Iou2d(label.box_2d, projected), std::stod(row["iou_with_label_box"]),
                1e-4);
    EXPECT_NEAR(std::remainder(ObservationAngle(label.box_3d) - label.alpha, 2 * M_PI), 0, 0.03);
    ++rows;
  }
  EXPECT_EQ(rows, 10);
}

TEST_F(KittiMiniTest, LabelsAreWrittenAsKittiWritesThem) {
  for (const auto& entry : fs::directory_iterator(root_ / "training" / "label_2")) {
    std::stringstream original;
    original << std::ifstream(entry.path()).rdbuf();
    EXPECT_EQ(FormatObjects(*ReadObjects(entry.path())), original.str()) << entry.path();
  }
}

// Calibrations and scans are written as they were read: to the last byte, but for blank lines.
TEST_F(KittiMiniTest, CalibrationsAndScansAreWrittenAsKittiWritesThem) {
  for (const char* id : {"000000", "000003", "900000"}) {
    std::stringstream original;
    original << std::ifstream(root_ / "training" / "calib" / (std::string(id) + ".txt")).rdbuf();
    std::string text = original.str();
    while (absl::EndsWith(text, "\n\n")) text.pop_back();
    EXPECT_EQ(FormatKittiCalibration(*Calibration(id)), text) << id;
    std::stringstream bytes;
    bytes << std::ifstream(root_ / "training" / "velodyne" / (std::string(id) + ".bin")).rdbuf();
    EXPECT_TRUE(FormatLidar(*Scan(id)) == bytes.str()) << id;
  }
}

}  // namespace
}  // namespace backfire::datasets
