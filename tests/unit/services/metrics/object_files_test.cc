#include "services/metrics/object_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "services/base/random.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_forms.h"

namespace backfire::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kLabel[] = "Car 0.10 1 -1.5 100 110 200 180 1.5 1.6 4.1 -2.5 1.7 20.5 -1.6\n";
constexpr char kDetection[] = "Car -1 -1 -1.5 100 110 200 180 1.5 1.6 4.1 -2.5 1.7 20.5 -1.6 0.9\n";

std::string FaultOf(std::string_view content, ObjectFileKind kind) {
  const auto objects = ParseObjectStream(content, kind, "x.txt");
  return objects.ok() ? "" : std::string(objects.status().message());
}

TEST(ParseObjectStreamTest, ReadsEveryColumn) {
  const auto labels = ParseObjectStream(kLabel, ObjectFileKind::kLabels, "x.txt");
  ASSERT_TRUE(labels.ok()) << labels.status();
  ASSERT_EQ(labels->size(), 1);
  const Object& car = labels->front();
  EXPECT_EQ(car.type, "Car");
  EXPECT_EQ(car.truncation, 0.10);
  EXPECT_EQ(car.occlusion, 1);
  EXPECT_EQ(car.alpha, -1.5);
  EXPECT_EQ(car.box_2d.bottom, 180);
  EXPECT_EQ(car.box_3d.height, 1.5);
  EXPECT_EQ(car.box_3d.z, 20.5);
  EXPECT_EQ(car.box_3d.rotation_y, -1.6);
  EXPECT_FALSE(car.score.has_value());
  const auto detections = ParseObjectStream(kDetection, ObjectFileKind::kDetections, "x.txt");
  ASSERT_TRUE(detections.ok()) << detections.status();
  EXPECT_EQ(detections->front().score, 0.9);
}

TEST(ParseObjectStreamTest, LinesMeanNothing) {
  // As the public evaluator reads: tokens, with any white space between.
  const std::string text =
      "Car -1 -1 -1.5 100 110\r\n200 180 1.5 1.6 4.1\n\n-2.5 1.7\t20.5 -1.6 +9e-1 Van "
      "-1 -1 0 1 2 3 4 1 1 1 1 1 1 0 -3";
  const auto detections = ParseObjectStream(text, ObjectFileKind::kDetections, "x.txt");
  ASSERT_TRUE(detections.ok()) << detections.status();
  ASSERT_EQ(detections->size(), 2);
  EXPECT_EQ(detections->at(0).score, 0.9);
  EXPECT_EQ(detections->at(1).type, "Van");
  EXPECT_EQ(ParseObjectStream("", ObjectFileKind::kLabels, "x.txt")->size(), 0);
  EXPECT_EQ(ParseObjectStream(" \n\n", ObjectFileKind::kLabels, "x.txt")->size(), 0);
}

TEST(ParseObjectStreamTest, FaultsNameFileLineAndColumn) {
  const std::string label = kLabel;
  EXPECT_THAT(FaultOf(label + "Car 0.10 1 -1.5 100 110 200 180 1.5 1.6 4.1 -2.5 1.7 20.5\n" + label,
                      ObjectFileKind::kLabels),
              ::testing::StrEq("x.txt:2: a label has 15 columns: column 15 (rotation_y) would be "
                               "\"Car\" on line 3"));
  EXPECT_THAT(FaultOf(kDetection, ObjectFileKind::kLabels),
              HasSubstr("x.txt:1: a class name was expected, as 15 columns end before it: got "
                        "\"0.9\""));
  EXPECT_THAT(FaultOf(label, ObjectFileKind::kDetections),
              HasSubstr("x.txt:1: a detection has 16 columns: the file ends after 15"));
  EXPECT_THAT(FaultOf("\nCar 0.10 1 nan 1 2 3 4 1 1 1 1 1 1 0", ObjectFileKind::kLabels),
              HasSubstr("x.txt:2: column 4 (alpha) must be a finite number: got \"nan\""));
  EXPECT_THAT(FaultOf("Car 0.10 1 0 1 2 3 4 1 1 1 1 1 1 0 inf", ObjectFileKind::kDetections),
              HasSubstr("column 16 (score) must be a finite number: got \"inf\""));
  EXPECT_THAT(FaultOf("Car 0.10 0.5 0 1 2 3 4 1 1 1 1 1 1 0", ObjectFileKind::kLabels),
              HasSubstr("column 3 (occluded) must be a whole number: got \"0.5\""));
  EXPECT_THAT(FaultOf("Car 0.10 1 0 1 2 3 4,5 1 1 1 1 1 1 0", ObjectFileKind::kLabels),
              HasSubstr("column 8 (bottom) must be a finite number: got \"4,5\""));
}

// Whatever bytes come, there are objects or one line of fault, and finite numbers.
TEST(ParseObjectStreamTest, DamagedFilesAreRefusedOrRead) {
  Random random(1);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    const bool labels = random.Below(2) == 0;
    std::string text = labels ? kLabel : kDetection;
    text += text;
    for (int64_t damage = random.Below(4); damage >= 0; --damage) {
      const auto at = static_cast<size_t>(random.Below(static_cast<int64_t>(text.size())));
      switch (random.Below(4)) {
        case 0:
          text[at] = static_cast<char>(random.Bits());
          break;
        case 1:
          text.erase(at, 1 + static_cast<size_t>(random.Below(8)));
          break;
        case 2:
          text.insert(at, 1, " \n\r-.e9"[random.Below(8)]);
          break;
        default:
          text.resize(at);
      }
      if (text.empty()) break;
    }
    const auto objects = ParseObjectStream(
        text, labels ? ObjectFileKind::kLabels : ObjectFileKind::kDetections, "x.txt");
    if (!objects.ok()) {
      ++refused;
      EXPECT_EQ(objects.status().code(), absl::StatusCode::kDataLoss);
      EXPECT_THAT(std::string(objects.status().message()), ::testing::StartsWith("x.txt:"));
      continue;
    }
    for (const Object& object : *objects) EXPECT_TRUE(std::isfinite(object.box_3d.rotation_y));
  }
  EXPECT_GT(refused, 5000);
}

class ReadEvaluationFramesTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  absl::StatusOr<EvaluationFrames> Read(const std::string& labels, const std::string& detections) {
    return ReadEvaluationFrames(folder_.path() / labels, folder_.path() / detections, 2);
  }
  testing::TemporaryDirectory folder_;
};

TEST_F(ReadEvaluationFramesTest, FramesAreThoseWithADetectionFile) {
  Write("l/000001.txt", kLabel);
  Write("l/000002.txt", kLabel);
  Write("l/000003.txt", "");
  Write("d/data/000003.txt", kDetection);
  Write("d/data/000001.txt", "");
  Write("d/data/notes.md", "x");
  for (const char* detections : {"d", "d/data"}) {
    const auto frames = Read("l", detections);
    ASSERT_TRUE(frames.ok()) << frames.status();
    EXPECT_THAT(frames->ids, ElementsAre("000001", "000003"));
    EXPECT_EQ(frames->other_files, 1);
    EXPECT_EQ(frames->unanswered_labels, 1);  // 000002.
    EXPECT_EQ(frames->images[0].labels.size(), 1);
    EXPECT_EQ(frames->images[0].detections.size(), 0);
    EXPECT_EQ(frames->images[1].detections.size(), 1);
  }
}

TEST_F(ReadEvaluationFramesTest, EveryFormOfAFileHasAllObjects) {
  const std::vector<std::string> labels = TextForms(std::string(kLabel) + kLabel);
  const std::vector<std::string> detections = TextForms(std::string(kDetection) + kDetection);
  for (size_t i = 0; i < labels.size(); ++i) {
    Write("l/000001.txt", labels[i]);
    Write("d/000001.txt", detections[i]);
    const auto frames = Read("l", "d");
    ASSERT_TRUE(frames.ok()) << frames.status();
    for (const auto& objects : {frames->images[0].labels, frames->images[0].detections}) {
      ASSERT_EQ(objects.size(), 2u);
      for (const Object& object : objects) EXPECT_EQ(object.type, "Car");
    }
  }
}

TEST_F(ReadEvaluationFramesTest, FirstFaultInOrderOfFrames) {
  for (int i = 0; i < 300; ++i) {
    const std::string name = std::to_string(100000 + i) + ".txt";
    Write("l/" + name, kLabel);
    Write("d/" + name, i >= 120 ? "Car x" : kDetection);
  }
  const auto frames = Read("l", "d");
  EXPECT_EQ(frames.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(frames.status().message(), HasSubstr("d/100120.txt:1: column 2 (truncated)"));
  EXPECT_THAT(frames.status().message(), HasSubstr("(and 179 more frames have faults)"));
}

TEST_F(ReadEvaluationFramesTest, WhatIsMissingIsNamed) {
  Write("l/000001.txt", kLabel);
  Write("d/000007.txt", kDetection);
  EXPECT_THAT(Read("l", "d").status().message(),
              HasSubstr("l/000007.txt: no labels for a frame with detections"));
  EXPECT_THAT(Read("l", "nowhere").status().message(),
              HasSubstr("nowhere: no such folder of detections"));
  EXPECT_THAT(Read("nowhere", "d").status().message(),
              HasSubstr("nowhere: no such folder of labels"));
  Write("e/a.txt", "");
  EXPECT_THAT(Read("l", "e").status().message(), HasSubstr("no detection file NNNNNN.txt"));
  EXPECT_EQ(Read("l", "e").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace backfire::metrics
