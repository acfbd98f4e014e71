#include "orchestrator/study/stereo_study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "orchestrator/evidence_messages/evidence_messages.h"
#include "orchestrator/study/stereo_tables.h"
#include "services/base/file.h"
#include "services/base/random.h"
#include "tests/support/temporary_directory.h"

namespace backfire::study {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Loss {
  const char *vertex, *loss, *slice, *unit;
  double before, after;
};

// What an update of one replicate leaves; noise by the piece.
// @param eleven_points  Whether also by 11 recall points, as the first pieces don't.
verdict::Evidence Replicate(int piece, bool oracle, bool eleven_points = false) {
  verdict::Evidence evidence;
  Random random(static_cast<uint64_t>(piece));
  std::vector<Loss> losses = {{"disparity", "disparity_mae", "", "px", 1.0, 0.9},
                              {"disparity", "disparity_mae", "depth_0_20_m", "px", 1.1, 0.8},
                              {"car", "ap_3d", "", "percent", -40, -30},
                              {"pedestrian", "ap_bev", "", "percent", -50, -20}};
  if (eleven_points)
    losses.insert(losses.begin() + 3, {"car", "ap_3d", "recall_11", "percent", -44, -33});
  for (const Loss& of : losses) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = of.vertex;
    loss.loss = of.loss;
    loss.slice = of.slice;
    loss.unit = of.unit;
    loss.candidate = loss.vertex == "disparity";
    loss.size = {400, 400};
    const auto sample = [&](double value) {
      const double noise = 0.002 * std::abs(value) * random.Normal();
      verdict::LossSample result{value + noise, {}};
      for (int b = 0; b < 60; ++b) {
        result.resampled.push_back(result.value + 0.002 * std::abs(value) * random.Normal());
      }
      return result;
    };
    loss.before.push_back(sample(of.before));
    loss.after.push_back(sample(oracle ? of.before * 1.5 : of.after));
    if (!loss.candidate) loss.swapped.push_back(of.after + 1);
  }
  return evidence;
}

class StereoStudyTest : public ::testing::Test {
 protected:
  void Write(int piece, const char* recipe, const verdict::Evidence& evidence) {
    std::string lines = *evidence::ToLine(evidence::HeaderOf(evidence, "updates/2"));
    evidence::ForEachRecord(evidence, [&](const v1::EvidenceRecord& record) {
      lines += *evidence::ToLine(record);
      return true;
    });
    const auto file = folder_ / absl::StrCat(piece) / absl::StrCat(recipe, ".jsonl");
    ASSERT_TRUE(MakeDirectories(file.parent_path()).ok());
    ASSERT_TRUE(WriteFileAtomically(file, lines).ok());
  }
  void WritePiece(int piece) {
    Write(piece, kImproved, Replicate(piece, false));
    Write(piece, kOracle, Replicate(piece, true));
  }

  const backfire::testing::TemporaryDirectory folder_;
};

TEST_F(StereoStudyTest, PiecesAreReplicatesAndThePlanChoosesWhatIsCounted) {
  for (const int piece : {2, 10, 3, 4, 5}) WritePiece(piece);
  Write(7, kImproved, Replicate(7, false));
  const auto study = ReadStereoStudy(folder_.path());
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_THAT(study->pieces(), ElementsAre(2, 3, 4, 5, 10));
  EXPECT_THAT(study->left_out(), ElementsAre(7));
  EXPECT_EQ(study->verdict(), "SELF_DEFEATING");
  EXPECT_TRUE(study->definition_2_1());
  ASSERT_EQ(study->entries_size(), 4);
  const auto& car = study->entries(2);
  EXPECT_EQ(car.vertex(), "car");
  EXPECT_TRUE(car.primary());
  EXPECT_EQ(car.outcome(), "WORSE");
  // In the order of the pieces, and as they were.
  EXPECT_EQ(car.u(4), Replicate(10, false).losses[2].before[0].value);
  EXPECT_EQ(car.improved(0), Replicate(2, false).losses[2].after[0].value);
  EXPECT_EQ(car.oracle(1), Replicate(3, true).losses[2].after[0].value);
  EXPECT_THAT(car.swapped(), ElementsAre(-29, -29, -29, -29, -29));
  // A slice, and the pedestrians, are shown and not counted.
  EXPECT_FALSE(study->entries(1).primary());
  EXPECT_FALSE(study->entries(3).primary());

  const std::string tables = StereoTables(*study);
  EXPECT_GE(car.pieces_to_find_two_points(), 5);
  EXPECT_EQ(study->entries(3).pieces_to_find_two_points(), 0);
  EXPECT_THAT(tables, HasSubstr("by: Frustum PointNet, car, AP_3D: "));
  EXPECT_THAT(tables, HasSubstr("Pieces: 5 (2, 3, 4, 5, 10); not complete and left out: 7."));
  EXPECT_THAT(tables, ::testing::ContainsRegex("Frustum PointNet, car . AP_3D . (39|40)[.]"));
  EXPECT_THAT(tables, HasSubstr("| 29.00 ± 0.00 |"));
  EXPECT_THAT(tables, HasSubstr("| PointRCNN, car | AP_3D | not run |"));
  EXPECT_THAT(tables, HasSubstr("| secondary: "));
  EXPECT_THAT(tables, HasSubstr("33.64, 32.78, 55.46"));
  EXPECT_THAT(tables, HasSubstr("| 0 to 20 m | 1."));
  // An average precision that fell has a negative difference.
  EXPECT_THAT(tables, ::testing::ContainsRegex(". -(9|10)[.][0-9]+ .-10[.]"));
}

// Pieces that were made before detectors reported it are judged with those made since.
TEST_F(StereoStudyTest, ElevenRecallPointsAreThoseOfThePiecesThatHaveThem) {
  for (const int piece : {1, 2, 3, 4, 5}) WritePiece(piece);
  const auto without = ReadStereoStudy(folder_.path());
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(without->entries_size(), 4);
  EXPECT_THAT(without->entries(0).pieces(), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(StereoTables(*without), HasSubstr("| not measured | 33.64, 32.78, 55.46 |"));

  for (const int piece : {2, 4}) {
    Write(piece, kImproved, Replicate(piece, false, true));
    Write(piece, kOracle, Replicate(piece, true, true));
  }
  const auto study = ReadStereoStudy(folder_.path());
  ASSERT_TRUE(study.ok()) << study.status();
  ASSERT_EQ(study->entries_size(), 5);
  const StereoEntry& eleven = study->entries(4);
  EXPECT_EQ(eleven.slice(), "recall_11");
  EXPECT_FALSE(eleven.primary());
  EXPECT_THAT(eleven.pieces(), ElementsAre(2, 4));
  EXPECT_EQ(eleven.u(1), Replicate(4, false, true).losses[3].before[0].value);
  EXPECT_EQ(eleven.improved(0), Replicate(2, false, true).losses[3].after[0].value);
  EXPECT_EQ(eleven.oracle(0), Replicate(2, true, true).losses[3].after[0].value);
  EXPECT_EQ(study->verdict(), without->verdict());
  EXPECT_EQ(study->entries(2).u_size(), 5);

  const std::string tables = StereoTables(*study);
  EXPECT_THAT(tables, ::testing::ContainsRegex("4[34][.][0-9 ±.]*, 3[23][.][0-9 ±.]*, "
                                               "6[56][.][0-9 ±.]* [(]2 of 5 pieces[)]; "
                                               "– -1[01][.][0-9]+ – -1[01][.][0-9]+ – [|]"));
  EXPECT_THAT(tables, HasSubstr("nothing was measured by pieces 1, 3, 5: "));
  EXPECT_THAT(tables, HasSubstr("| not measured |")) << "of the pedestrians";

  for (const int piece : {1, 3, 5}) {
    Write(piece, kImproved, Replicate(piece, false, true));
    Write(piece, kOracle, Replicate(piece, true, true));
  }
  const std::string all = StereoTables(*ReadStereoStudy(folder_.path()));
  EXPECT_THAT(all, ::testing::Not(HasSubstr("nothing was measured")));
  EXPECT_THAT(all, ::testing::Not(HasSubstr("5 pieces)")));
}

TEST_F(StereoStudyTest, TheVerdictIsThatOfAllReplicatesTogether) {
  std::vector<verdict::Evidence> parts;
  for (int piece = 1; piece <= 6; ++piece) parts.push_back(Replicate(piece, false));
  const auto merged = MergeReplicates(parts);
  ASSERT_TRUE(merged.ok()) << merged.status();
  for (const verdict::LossEvidence& loss : merged->losses) {
    EXPECT_EQ(loss.before.size(), 6u);
    EXPECT_EQ(loss.swapped.size(), loss.candidate ? 0u : 6u);
  }
  EXPECT_EQ(verdict::Decide(*merged).replicates(), 6);
}

TEST_F(StereoStudyTest, FewPiecesAreAFirstLook) {
  WritePiece(1);
  const auto study = ReadStereoStudy(folder_.path());
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_EQ(study->verdict(), "INCONCLUSIVE");
}

TEST_F(StereoStudyTest, PiecesOfAnotherPlanAreRefusedByName) {
  WritePiece(1);
  verdict::Evidence other = Replicate(2, false);
  other.losses[2].vertex = "van";
  Write(2, kImproved, other);
  Write(2, kOracle, Replicate(2, true));
  const auto study = ReadStereoStudy(folder_.path());
  EXPECT_EQ(study.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(study.status().message()),
              ::testing::AllOf(HasSubstr("2/improved.jsonl"), HasSubstr("van")));
}

TEST_F(StereoStudyTest, MoreNoiseTakesMorePieces) {
  v1::LossComparison one;
  one.set_margin(1);
  one.set_example_freedom(499);
  const auto pieces = [&](double training_variance, double example_variance, double harm = 2) {
    one.set_training_variance(training_variance);  // Of 3 pieces.
    one.set_example_variance(example_variance);
    return PiecesToFind(one, 3, harm, 0.05 / 3);
  };
  EXPECT_EQ(pieces(0, 0), verdict::kReplicatesToDecide);
  EXPECT_EQ(pieces(1e-4, 1e-4), verdict::kReplicatesToDecide);
  // Normal quantiles of 1 - .05 / 3 and .8 are 2.128 and .842: K = 3 a (2.970 / 1)^2 with much K.
  EXPECT_NEAR(pieces(4, 0), 106, 5);
  EXPECT_GT(pieces(4, 0.05), pieces(4, 0));
  EXPECT_LT(pieces(4, 0, 3), pieces(4, 0));
  // A standard error of the examples alone that hides it: 2.970 sqrt(.2) > 1.
  EXPECT_EQ(pieces(0.1, 0.2), -1);
}

TEST_F(StereoStudyTest, WhatWasMeasuredElsewhereIsRefused) {
  const verdict::Evidence one = Replicate(1, false);
  const auto refused = [&](const verdict::Evidence& other) {
    const auto merged = MergeReplicates({one, other});
    return merged.ok() ? "" : std::string(merged.status().message());
  };
  verdict::Evidence elsewhere = Replicate(2, false);
  EXPECT_EQ(refused(elsewhere), "");
  elsewhere.commitments.emplace_back().set_dataset_digest("another");
  EXPECT_THAT(refused(elsewhere), HasSubstr("another dataset"));
  verdict::Evidence smaller = Replicate(2, false);
  smaller.losses[2].size.examples = 300;
  EXPECT_THAT(refused(smaller), HasSubstr("car ap_3d was measured on other examples"));
  verdict::Evidence coarser = Replicate(2, false);
  coarser.losses[1].before[0].resampled.resize(30);
  EXPECT_THAT(refused(coarser), HasSubstr("another number of resamples"));
}

TEST_F(StereoStudyTest, AFolderWithoutAPieceIsNotFound) {
  const auto study = ReadStereoStudy(folder_.path());
  EXPECT_EQ(study.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(study.status().message()), HasSubstr("oracle.jsonl"));
}

}  // namespace
}  // namespace backfire::study
