// Reads real KITTI frames, where they are at hand: BACKFIRE_KITTI_MINI names the folder.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "services/datasets/kitti_objects.h"
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

  fs::path root_;
};

TEST_F(KittiMiniTest, OpensRealFrames) {
  const auto dataset = OpenStereoDataset("kitti:" + root_.string());
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

}  // namespace
}  // namespace backfire::datasets
