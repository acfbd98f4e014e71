// `backfire-vision eval` as people call it.
#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "services/base/file.h"
#include "services/datasets/image_file.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/services/vision/vision_binary.h"

namespace backfire::vision {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class EvalCliTest : public ::testing::Test {
 protected:
  Outcome Run(const std::string& arguments) {
    return RunVisionBinary("eval " + arguments, folder_.path());
  }

  void Write(const std::string& name, const std::string& content) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }

  // Ten frames with a car each, found exactly with distinct scores.
  void WriteTenCars() {
    for (int i = 0; i < 10; ++i) {
      const std::string name = "00000" + std::to_string(i) + ".txt";
      Write("l/" + name, "Car 0 0 0.5 100 100 200 160 1.5 1.6 4 1 1.65 15 0.6\n");
      Write("d/data/" + name, "car -1 -1 0.5 100 100 200 160 1.5 1.6 4 1 1.65 15 0.6 0." +
                                  std::to_string(10 + i) + "\n");
    }
  }

  google::protobuf::Struct Json(const std::string& text) {
    google::protobuf::Struct json;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(text, &json).ok()) << text;
    return json;
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(EvalCliTest, KittiTableJsonAndPlots) {
  WriteTenCars();
  const std::string folders =
      "kitti --labels " + (folder_ / "l").string() + " --detections " + (folder_ / "d").string();
  const Outcome table = Run(folders + " --plots " + (folder_ / "p").string());
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("10 frames"));
  // Ten of forty recalls, less the first: 9 / 40; three of eleven points.
  EXPECT_THAT(table.out, HasSubstr("22.500"));
  EXPECT_THAT(table.out, HasSubstr("27.273"));
  EXPECT_THAT(table.out, HasSubstr("not evaluated"));
  EXPECT_EQ(datasets::ReadRgbImage(folder_ / "p/car_3d.png")->size(), cv::Size(720, 520));
  EXPECT_TRUE(fs::exists(folder_ / "p/car_image_orientation.png"));
  EXPECT_FALSE(fs::exists(folder_ / "p/pedestrian_3d.png"));

  const Outcome json = Run(folders + " --format json --bootstrap 20 --slices 0-20,20-max");
  ASSERT_EQ(json.code, 0) << json.err;
  const auto root = Json(json.out).fields();
  EXPECT_EQ(root.at("frames").number_value(), 10);
  EXPECT_EQ(root.at("results").list_value().values_size(), 27);
  EXPECT_EQ(root.at("slices").list_value().values_size(), 54);
  const auto car = root.at("results").list_value().values(0).struct_value().fields();
  EXPECT_EQ(car.at("class").string_value(), "Car");
  EXPECT_EQ(car.at("metric").string_value(), "image");
  EXPECT_EQ(car.at("difficulty").string_value(), "easy");
  EXPECT_EQ(car.at("min_overlap").number_value(), 0.7);
  EXPECT_TRUE(car.at("evaluated").bool_value());
  EXPECT_EQ(car.at("n_ground_truth").number_value(), 10);
  EXPECT_EQ(car.at("thresholds").list_value().values_size(), 10);
  EXPECT_EQ(car.at("precision").list_value().values_size(), 41);
  EXPECT_NEAR(car.at("ap40").number_value(), 22.5, 1e-9);
  EXPECT_NEAR(car.at("aos11").number_value(), 300.0 / 11, 1e-9);
  EXPECT_EQ(car.at("ap40_interval").list_value().values_size(), 2);
  // Nobody stands beyond 20 m.
  const auto far = root.at("slices").list_value().values(27).struct_value().fields();
  EXPECT_EQ(far.at("slice").string_value(), "depth_20_max_m");
  EXPECT_EQ(far.at("n_ground_truth").number_value(), 0);

  EXPECT_EQ(Run(folders + " --threads 1").out, Run(folders + " --threads 3").out);
  const Outcome authors = Run(folders + " --range-mode authors --max-depth 14 --format json");
  EXPECT_FALSE(Json(authors.out)
                   .fields()
                   .at("results")
                   .list_value()
                   .values(0)
                   .struct_value()
                   .fields()
                   .at("evaluated")
                   .bool_value());
}

// Rows as docs/gate.md has them: the gate reads them in
// tests/integration/gate/vision_records_test.py.
TEST_F(EvalCliTest, RecordsAreWhatTheGateReads) {
  WriteTenCars();
  const std::string folders =
      "kitti --labels " + (folder_ / "l").string() + " --detections " + (folder_ / "d").string();
  const std::string records = (folder_ / "side/seed3.jsonl").string();
  const Outcome outcome =
      Run(folders + " --bootstrap 20 --record-loss ap_3d,ap_bev --replicate 3 --slices 0-20 " +
          "--records " + records);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::ifstream file(records);
  std::vector<google::protobuf::Struct> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(Json(line));
  // Two losses of the one class that has labels, then their slice.
  ASSERT_EQ(rows.size(), 4U);
  const auto first = rows[0].fields();
  EXPECT_EQ(first.at("vertex").string_value(), "car");
  EXPECT_EQ(first.at("seed").number_value(), 3);
  EXPECT_EQ(first.at("examples").number_value(), 10);
  EXPECT_EQ(first.at("bearing").number_value(), 10);
  EXPECT_NEAR(first.at("value").number_value(), 22.5, 1e-9);
  EXPECT_EQ(first.at("resampled").list_value().values_size(), 20);
  EXPECT_EQ(rows[3].fields().at("slice").string_value(), "depth_0_20_m");

  EXPECT_EQ(Run(folders + " --records " + records).code, 2);  // No resamples.
  EXPECT_EQ(Run(folders + " --bootstrap 20 --records side.txt").code, 2);
  EXPECT_EQ(Run(folders + " --bootstrap 20 --record-loss f1 --records " + records).code, 2);
}

TEST_F(EvalCliTest, FaultsAreNamedAndExitWithTwo) {
  WriteTenCars();
  Write("d/data/000004.txt",
        "car -1 -1 0.5 100 100 200 160 1.5 1.6 4 1 1.65 15 0.6 0.5\n"
        "car -1 -1 0.5 100 100 200 160 1.5 1.6 4 1 1.65 15 0.6\n");
  const std::string labels = "kitti " + (folder_ / "l").string() + " ";
  Outcome outcome = Run(labels + (folder_ / "d").string());
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("000004.txt:2: a detection has 16 columns"));
  outcome = Run(labels + "/nowhere");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("/nowhere: no such folder of detections"));
  EXPECT_EQ(Run("kitti").code, 2);
  EXPECT_EQ(Run(labels + (folder_ / "l").string() + " --iou cat=0.5").code, 2);
  EXPECT_EQ(Run(labels + (folder_ / "l").string() + " --range-mode other").code, 2);
  const Outcome help = Run("kitti --help");
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("Example: "));
  EXPECT_THAT(help.out, HasSubstr("Exit codes: "));
}

// The folders of the public evaluator, and the numbers that it gave.
TEST_F(EvalCliTest, JsonHasTheNumbersOfThePublicEvaluator) {
  const char* root = std::getenv("BACKFIRE_KITTI_EVAL");
  if (root == nullptr) GTEST_SKIP() << "set BACKFIRE_KITTI_EVAL to the folder of vectors";
  for (const std::string name : {"stress", "tiny/25_no_count_at_a_threshold"}) {
    const fs::path folder = fs::path(root) / name;
    const Outcome outcome = Run("kitti --format json --labels " + (folder / "label_2").string() +
                                " --detections " + folder.string());
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto computed = Json(outcome.out).fields();
    const auto expected = Json(*ReadFile(folder / "expected.json")).fields();
    EXPECT_EQ(computed.at("frames").number_value(), expected.at("frames").number_value());
    const auto& wanted = expected.at("results").list_value().values();
    const auto& got = computed.at("results").list_value().values();
    ASSERT_GE(got.size(), wanted.size());
    for (int i = 0; i < wanted.size(); ++i) {
      for (const auto& [field, value] : wanted[i].struct_value().fields()) {
        SCOPED_TRACE(name + " result " + std::to_string(i) + " " + field);
        const auto& here = got[i].struct_value().fields();
        ASSERT_TRUE(here.contains(field));
        if (value.has_number_value()) {
          EXPECT_NEAR(here.at(field).number_value(), value.number_value(), 1e-9);
        } else if (value.has_list_value()) {
          const auto& values = value.list_value().values();
          const auto& numbers = here.at(field).list_value().values();
          ASSERT_EQ(numbers.size(), values.size());
          for (int k = 0; k < values.size(); ++k) {
            if (values[k].has_string_value()) continue;  // NaN there: 0/0, which is 0 here.
            EXPECT_NEAR(numbers[k].number_value(), values[k].number_value(), 1e-9);
          }
        } else if (value.string_value() != "nan") {
          EXPECT_EQ(here.at(field).SerializeAsString(), value.SerializeAsString());
        }
      }
    }
  }
}

TEST_F(EvalCliTest, DisparityAgainstHandMadeMaps) {
  const auto write = [this](const std::string& name, const std::vector<float>& row) {
    const cv::Mat map(1, static_cast<int>(row.size()), CV_32FC1, const_cast<float*>(row.data()));
    Write(name, *datasets::EncodeDisparityPng(map));
  };
  // f B = 700 * 0.5 = 350: 20, 10 and 5 px are 17.5, 35 and 70 m.
  write("t/000001_10.png", {20, 10, 5, 0});
  write("p/000001_10.png", {21, 14, 5, 9});
  Write("c/000001.txt",
        "P2: 700 0 600 0 0 700 180 0 0 0 1 0\nP3: 700 0 600 -350 0 700 180 0 0 0 1 0\n");
  const std::string folders =
      "disparity --truth " + (folder_ / "t").string() + " --predicted " + (folder_ / "p").string();
  const Outcome outcome = Run(folders + " --format json --calib " + (folder_ / "c").string());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto root = Json(outcome.out).fields();
  const auto number = [&root](const char* loss, const char* range) {
    return root.at(loss).struct_value().fields().at(range).number_value();
  };
  EXPECT_EQ(root.at("pixels").number_value(), 3);
  EXPECT_NEAR(number("disparity_mae_px", "all"), 5.0 / 3, 1e-9);
  EXPECT_NEAR(number("disparity_mae_px", "depth_20_40_m"), 4, 1e-9);
  EXPECT_NEAR(number("d1_all_percent", "all"), 100.0 / 3, 1e-9);
  EXPECT_NEAR(number("depth_mae_m", "depth_20_40_m"), 10, 1e-9);
  EXPECT_NEAR(number("depth_mae_m", "depth_40_max_m"), 0, 1e-9);
  const Outcome table = Run(folders);
  EXPECT_EQ(table.code, 0);
  EXPECT_THAT(table.out, HasSubstr("1 images, 3 pixels with ground truth"));
  EXPECT_THAT(table.out, ::testing::Not(HasSubstr("depth")));

  write("p/000001_10.png", {21, 14, 5});
  const Outcome size = Run(folders);
  EXPECT_EQ(size.code, 2);
  EXPECT_THAT(size.err, HasSubstr("000001_10.png: 3x1, where the truth is 4x1"));
  fs::remove(folder_ / "p/000001_10.png");
  EXPECT_EQ(Run(folders).code, 2);

  // Left out without a word, it would make the others' errors those of all.
  write("p/000001_10.png", {21, 14, 5, 9});
  write("t/000002_10.PNG", {20, 10, 5, 0});
  const Outcome named = Run(folders);
  EXPECT_EQ(named.code, 2);
  EXPECT_THAT(named.err, HasSubstr("000002_10.PNG: pictures must be PNG files, and named so"));
}

}  // namespace
}  // namespace backfire::vision
