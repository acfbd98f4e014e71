#include "orchestrator/study/stereo_piece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::study {
namespace {

using ::testing::EndsWith;

PieceOptions Options(const std::filesystem::path& evidence) {
  PieceOptions options;
  options.evidence = evidence;
  options.pretraining.set_dataset("rendered:lidar?frames=9");
  options.system.set_dataset("rendered:lidar?seed=201");
  for (const char* recipe : {"better", "oracle"}) {
    options.system.add_proposals()->mutable_recipe()->set_name(recipe);
  }
  return options;
}

TEST(StereoPieceTest, PiecesShareTheTestSplitAndNoSeed) {
  const PieceOptions options = Options("");
  const v1::System second = SystemOfPiece(options, 2), third = SystemOfPiece(options, 3);
  EXPECT_EQ(second.dataset(), third.dataset());
  EXPECT_NE(second.seed(), third.seed());
  EXPECT_EQ(second.replicates(), 1);
  const v1::System start = PretrainingOfPiece(options, 2), other = PretrainingOfPiece(options, 3);
  EXPECT_NE(start.seed(), other.seed());
  EXPECT_THAT(start.dataset(), EndsWith("frames=9&seed=1002"));
  EXPECT_THAT(other.dataset(), EndsWith("frames=9&seed=1003"));
}

TEST(StereoPieceTest, IsThereWithTheEvidenceOfEveryProposal) {
  const backfire::testing::TemporaryDirectory folder;
  const PieceOptions options = Options(folder.path());
  EXPECT_FALSE(PieceIsThere(options, 1));
  ASSERT_TRUE(MakeDirectories(folder.path() / "1").ok());
  for (const v1::Proposal& proposal : options.system.proposals()) {
    EXPECT_FALSE(PieceIsThere(options, 1));
    ASSERT_TRUE(WriteFileAtomically(EvidencePath(folder.path(), 1, proposal), "x").ok());
  }
  EXPECT_TRUE(PieceIsThere(options, 1));
  // So it isn't run again: there is no program here to run.
  EXPECT_TRUE(RunPiece(options, 1, [](const v1::Update&) {}).ok());
}

}  // namespace
}  // namespace backfire::study
