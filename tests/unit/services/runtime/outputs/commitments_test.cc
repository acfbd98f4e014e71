#include "services/runtime/outputs/commitments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::runtime {
namespace {

v1::OutputsCommitment CommitmentOf(char version, const std::string& split, char outputs) {
  v1::OutputsCommitment commitment;
  commitment.set_version("models/p/versions/1");
  commitment.set_version_digest(std::string(64, version));
  commitment.set_dataset_digest(std::string(64, 'd'));
  commitment.set_split(split);
  commitment.set_outputs_digest(std::string(64, outputs));
  return commitment;
}

TEST(CommitmentsTest, AreFoundByVersionAndSplit) {
  Commitments::Messages messages;
  *messages.Add() = CommitmentOf('a', "train", '1');
  *messages.Add() = CommitmentOf('b', "test", '2');
  const Commitments commitments(messages);
  const std::string a(64, 'a'), b(64, 'b'), c(64, 'c');
  ASSERT_NE(commitments.Find(a, Split::kTrain), nullptr);
  EXPECT_EQ(commitments.Find(a, Split::kTrain)->outputs_digest(), std::string(64, '1'));
  EXPECT_EQ(commitments.Find(a, Split::kTest), nullptr);
  EXPECT_TRUE(commitments.Names(a));
  EXPECT_TRUE(commitments.Names(b));
  EXPECT_FALSE(commitments.Names(c));
  v1::Parent left, right;
  left.set_digest(a);
  right.set_digest(a);
  EXPECT_EQ(commitments.Of({left, right}, Split::kTrain).size(), 1u) << "inputs share a parent";
  EXPECT_EQ(commitments.OnSplit(Split::kTest).size(), 1u);
}

struct CommitmentCase {
  std::string name;
  void (*spoil)(v1::OutputsCommitment&);
  std::string says;  // Empty: it is right.
};
class CheckCommitmentsTest : public ::testing::TestWithParam<CommitmentCase> {};

TEST_P(CheckCommitmentsTest, NamesTheFieldThatIsWrong) {
  Commitments::Messages messages;
  *messages.Add() = CommitmentOf('a', "train", '1');
  *messages.Add() = CommitmentOf('b', "train", '1');
  GetParam().spoil(*messages.Mutable(1));
  const absl::Status status = CheckCommitments(messages);
  if (GetParam().says.empty()) {
    EXPECT_TRUE(status.ok()) << status;
    return;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::StartsWith(GetParam().says));
}
INSTANTIATE_TEST_SUITE_P(
    Requests, CheckCommitmentsTest,
    ::testing::Values(
        CommitmentCase{"Right", [](v1::OutputsCommitment&) {}, ""},
        CommitmentCase{"TheSameTwice",
                       [](v1::OutputsCommitment& c) { c = CommitmentOf('a', "train", '1'); }, ""},
        CommitmentCase{"TwoThatDiffer",
                       [](v1::OutputsCommitment& c) { c = CommitmentOf('a', "train", '2'); },
                       "commitments[1]: models/p/versions/1 on split train has two"},
        CommitmentCase{"NoVersion", [](v1::OutputsCommitment& c) { c.set_version("p"); },
                       "commitments[1].version"},
        CommitmentCase{"NoSplit", [](v1::OutputsCommitment& c) { c.set_split("exam"); },
                       "commitments[1].split"},
        CommitmentCase{"ShortDigest", [](v1::OutputsCommitment& c) { c.set_outputs_digest("1"); },
                       "commitments[1].outputs_digest must have 64"},
        CommitmentCase{"NoVersionDigest",
                       [](v1::OutputsCommitment& c) { c.clear_version_digest(); },
                       "commitments[1].version_digest must have 64"},
        CommitmentCase{"NoDataset", [](v1::OutputsCommitment& c) { c.clear_dataset_digest(); },
                       "commitments[1].dataset_digest must have 64"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace backfire::runtime
