#include "services/runtime/outputs/input_gatherer.h"

#include <gtest/gtest.h>

#include "services/runtime/outputs/joined_examples.h"
#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

class InputGathererTest : public ::testing::Test {
 protected:
  InputGathererTest() {
    auto store = OutputStore::Open(directory_.path(), 1 << 20);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::StatusOr<std::shared_ptr<const Examples>> Gather(const std::vector<std::string>& names,
                                                         const Feed& feed) {
    const InputGatherer gatherer(*store_, channels_);
    return gatherer.Gather(names, feed, dataset_, Split::kTest, job_, tally_);
  }
  const testing::TemporaryDirectory directory_;
  const std::shared_ptr<const Dataset> dataset_ =
      *testing::MakeToyModel("any", "x")->OpenDataset("toy:8", {});
  std::unique_ptr<OutputStore> store_;
  ChannelPool channels_;
  UnwatchedJob job_;
  OutputTally tally_;
};

TEST_F(InputGathererTest, JoinsTheDatasetsInputsAndParentsOutputs) {
  HostedToy parent("p", "x");
  const v1::Version version = parent.TrainedVersion();
  Feed feed{{FedBy(version, "y"), FedBy(version, "y_again")}, {}};
  (*feed.endpoints.mutable_by_model())["models/p"] = parent.Serve();
  const auto inputs = Gather({"x", "y", "y_again"}, feed);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  ASSERT_EQ((*inputs)->size(), 8);
  const auto tensors = (*inputs)->Get(3);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const double x = *tensors->at("x").As<double>(), y = *tensors->at("y").As<double>();
  EXPECT_NEAR(y, 2 * x, 0.1);
  EXPECT_EQ(*tensors->at("y_again").As<double>(), y);
  EXPECT_EQ(tally_.produced, 1) << "inputs of one parent share one copy";
  ASSERT_TRUE(Gather({"y"}, feed).ok());
  EXPECT_EQ(tally_.reused, 1);
}

TEST_F(InputGathererTest, SaysWhichEndpointIsMissing) {
  HostedToy parent("p", "x");
  const auto inputs = Gather({"y"}, {{FedBy(parent.TrainedVersion(), "y")}, {}});
  EXPECT_TRUE(absl::IsFailedPrecondition(inputs.status())) << inputs.status();
}

TEST_F(InputGathererTest, AParentOfAnotherContentIsRefused) {
  HostedToy parent("p", "x");
  v1::Version version = parent.TrainedVersion();
  version.set_digest(std::string(64, '0'));
  Feed feed{{FedBy(version, "y")}, {}};
  (*feed.endpoints.mutable_by_model())["models/p"] = parent.Serve();
  EXPECT_TRUE(absl::IsDataLoss(Gather({"y"}, feed).status()));
}

// A model reads ranks and types without looking.
TEST_F(InputGathererTest, WhatAParentGivesIsHeldAgainstWhatTheModelReads) {
  HostedToy parent("p", "x");
  Feed feed{{FedBy(parent.TrainedVersion(), "y")}, {}};
  (*feed.endpoints.mutable_by_model())["models/p"] = parent.Serve();
  const auto gathered = Gather({"y"}, feed);
  ASSERT_TRUE(gathered.ok()) << gathered.status();
  google::protobuf::RepeatedPtrField<v1::TensorSignature> signatures;
  v1::TensorSignature& y = *signatures.Add();
  y.set_name("y");
  y.set_datatype("FP64");
  y.add_shape(-1);
  EXPECT_TRUE(CheckedExamples(signatures, *gathered).Get(0).ok());
  y.add_shape(3);
  absl::Status status = CheckedExamples(signatures, *gathered).Get(0).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("input \"y\" of example 0: shape must be [-1, 3]"),
            std::string::npos)
      << status;
  y.clear_shape();
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckedExamples(signatures, *gathered).Get(0).status()));
  y.add_shape(-1);
  y.set_datatype("UINT8");
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckedExamples(signatures, *gathered).Get(0).status()));
}

}  // namespace
}  // namespace backfire::runtime
