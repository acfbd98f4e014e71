// Compares with what the public KITTI evaluator says: a folder of cases, each with label_2/ and
// data/ (detections) in KITTI's format and expected.json. BACKFIRE_KITTI_EVAL names it.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>

#include "services/base/file.h"
#include "services/metrics/average_precision.h"

namespace backfire::metrics {
namespace {

namespace fs = std::filesystem;

std::vector<Object> ReadObjects(const fs::path& path, bool with_score) {
  std::vector<Object> objects;
  if (!fs::exists(path)) return objects;
  std::istringstream stream(*ReadFile(path));
  Object o;
  while (stream >> o.type >> o.truncation >> o.occlusion >> o.alpha >> o.box_2d.left >>
         o.box_2d.top >> o.box_2d.right >> o.box_2d.bottom >> o.box_3d.height >> o.box_3d.width >>
         o.box_3d.length >> o.box_3d.x >> o.box_3d.y >> o.box_3d.z >> o.box_3d.rotation_y) {
    if (double score = 0; with_score && stream >> score) o.score = score;
    objects.push_back(o);
  }
  return objects;
}

// Frames are those with a detection file.
std::vector<ImageObjects> ReadImages(const fs::path& labels, const fs::path& detections) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(detections)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<ImageObjects> images;
  for (const fs::path& file : files) {
    images.push_back({ReadObjects(labels / file.filename(), false), ReadObjects(file, true)});
  }
  return images;
}

void CheckCase(const fs::path& folder, int& compared) {
  SCOPED_TRACE(folder.string());
  google::protobuf::Struct expected;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(*ReadFile(folder / "expected.json"), &expected)
          .ok());
  const fs::path labels =
      fs::exists(folder / "label_2") ? folder / "label_2" : folder.parent_path() / "label_2";
  const std::vector<ImageObjects> images = ReadImages(labels, folder / "data");
  const std::map<std::string, View> views = {
      {"image", View::kImage}, {"bev", View::kBirdsEye}, {"3d", View::k3d}};
  const std::map<std::string, Difficulty> difficulties = {{"easy", Difficulty::kEasy},
                                                          {"moderate", Difficulty::kModerate},
                                                          {"hard", Difficulty::kHard}};
  for (const auto& value : expected.fields().at("results").list_value().values()) {
    const auto& result = value.struct_value().fields();
    AveragePrecisionOptions options;
    options.type = result.at("class").string_value();
    options.view = views.at(result.at("metric").string_value());
    options.difficulty = difficulties.at(result.at("difficulty").string_value());
    options.iou_threshold = options.type == "Car" ? 0.7 : 0.5;
    SCOPED_TRACE(options.type + " " + result.at("metric").string_value() + " " +
                 result.at("difficulty").string_value());
    for (const int points : {11, 40}) {
      options.recall_points = points;
      const AveragePrecision average_precision(images, options);
      const double computed = average_precision.Compute();
      ++compared;
      if (!result.at("evaluated").bool_value()) {
        EXPECT_TRUE(computed == 0 || average_precision.label_count() == 0) << computed;
        continue;
      }
      EXPECT_EQ(average_precision.label_count(), result.at("n_ground_truth").number_value());
      const auto& wanted = result.at(points == 11 ? "ap11" : "ap40");
      if (wanted.has_string_value()) continue;  // NaN there: 0/0, which is 0 here.
      if (average_precision.label_count() == 0) {
        EXPECT_TRUE(std::isnan(computed));  // 0 there.
        EXPECT_EQ(wanted.number_value(), 0);
        continue;
      }
      EXPECT_NEAR(computed, wanted.number_value(), 1e-9);
    }
  }
}

TEST(KittiVectorsTest, MatchesThePublicEvaluator) {
  const char* root = std::getenv("BACKFIRE_KITTI_EVAL");
  if (root == nullptr) GTEST_SKIP() << "set BACKFIRE_KITTI_EVAL to the folder of vectors";
  int compared = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().filename() == "expected.json") {
      CheckCase(entry.path().parent_path(), compared);
    }
  }
  EXPECT_GT(compared, 0) << "no expected.json under " << root;
  RecordProperty("averages_compared", compared);
}

}  // namespace
}  // namespace backfire::metrics
