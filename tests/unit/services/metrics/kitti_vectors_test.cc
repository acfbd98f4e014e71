// Compares with what the public KITTI evaluator says: a folder of cases, each with label_2/ and
// data/ (detections) in KITTI's format and expected.json. BACKFIRE_KITTI_EVAL names it.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <tuple>

#include "services/base/file.h"
#include "services/metrics/average_precision.h"
#include "services/metrics/kitti_evaluation.h"
#include "services/metrics/object_files.h"

namespace backfire::metrics {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Value;

std::vector<double> Numbers(const Value& list) {
  std::vector<double> numbers;
  for (const Value& value : list.list_value().values()) {
    numbers.push_back(value.has_string_value() ? std::nan("") : value.number_value());
  }
  return numbers;
}

// NaN is what the public tool has at 0/0, where this evaluator documents 0.
void ExpectSamples(const PrecisionRecall::Samples& samples, const Value& list) {
  const std::vector<double> wanted = Numbers(list);
  ASSERT_EQ(wanted.size(), samples.size());
  for (size_t k = 0; k < samples.size(); ++k) {
    if (!std::isnan(wanted[k])) {
      EXPECT_NEAR(samples[k], wanted[k], 1e-9) << "at " << k;
    }
  }
}

void ExpectAverage(double average, const Value& wanted) {
  if (wanted.has_string_value()) return;
  EXPECT_NEAR(average, wanted.number_value(), 1e-9);
}

template <typename Number>
void ExpectNumbers(const std::vector<Number>& numbers, const Value& list) {
  const std::vector<double> wanted = Numbers(list);
  EXPECT_EQ(std::vector<double>(numbers.begin(), numbers.end()), wanted);
}

void CheckCase(const fs::path& folder, int& compared) {
  SCOPED_TRACE(folder.string());
  google::protobuf::Struct expected;
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(*ReadFile(folder / "expected.json"), &expected)
          .ok());
  const fs::path labels =
      fs::exists(folder / "label_2") ? folder / "label_2" : folder.parent_path() / "label_2";
  const auto frames = ReadEvaluationFrames(labels, folder, /*threads=*/2);
  ASSERT_TRUE(frames.ok()) << frames.status();
  EXPECT_EQ(frames->images.size(), expected.fields().at("frames").number_value());

  const std::vector<AveragePrecisionOptions> rules = KittiRules(KittiClasses());
  const std::vector<MatchPool> pools = MatchAll(frames->images, rules, /*threads=*/2);
  const std::map<std::string, View> views = {
      {"image", View::kImage}, {"bev", View::kBirdsEye}, {"3d", View::k3d}};
  const std::map<std::string, Difficulty> difficulties = {{"easy", Difficulty::kEasy},
                                                          {"moderate", Difficulty::kModerate},
                                                          {"hard", Difficulty::kHard}};
  std::map<std::tuple<std::string, View, Difficulty>, size_t> index;
  for (size_t r = 0; r < rules.size(); ++r) {
    index[{rules[r].type, rules[r].view, rules[r].difficulty}] = r;
  }
  for (const Value& value : expected.fields().at("results").list_value().values()) {
    const auto& wanted = value.struct_value().fields();
    const std::string type = wanted.at("class").string_value();
    const std::string metric = wanted.at("metric").string_value();
    const std::string difficulty = wanted.at("difficulty").string_value();
    SCOPED_TRACE(type + " " + metric + " " + difficulty);
    const size_t r = index.at({type, views.at(metric), difficulties.at(difficulty)});
    EXPECT_EQ(rules[r].iou_threshold, wanted.at("min_overlap").number_value());
    const PrecisionRecall result = pools[r].Compute();
    ++compared;
    ASSERT_EQ(result.evaluated, wanted.at("evaluated").bool_value());
    if (!result.evaluated) continue;
    EXPECT_EQ(result.label_count, wanted.at("n_ground_truth").number_value());
    ExpectNumbers(result.thresholds, wanted.at("thresholds"));
    ExpectNumbers(result.hits, wanted.at("tp"));
    ExpectNumbers(result.false_positives, wanted.at("fp"));
    ExpectNumbers(result.misses, wanted.at("fn"));
    ExpectSamples(result.precision, wanted.at("precision"));
    ExpectAverage(result.Average(11), wanted.at("ap11"));
    ExpectAverage(result.Average(40), wanted.at("ap40"));
    EXPECT_EQ(result.oriented, wanted.contains("aos"));
    if (!result.oriented || !wanted.contains("aos")) continue;
    ExpectSamples(result.similarity, wanted.at("aos"));
    ExpectAverage(result.AverageSimilarity(11), wanted.at("aos11"));
    ExpectAverage(result.AverageSimilarity(40), wanted.at("aos40"));
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
  RecordProperty("results_compared", compared);
}

}  // namespace
}  // namespace backfire::metrics
