#include "services/runtime/outputs/output_producer.h"

#include <gtest/gtest.h>

#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

double FirstOutput(const Examples& examples) {
  const auto tensors = examples.Get(0);
  EXPECT_TRUE(tensors.ok()) << tensors.status();
  return *tensors->at("y").As<double>();
}

class OutputProducerTest : public ::testing::Test {
 protected:
  OutputProducer::Wanted Wanted(const v1::Version& version) {
    OutputProducer::Wanted wanted;
    wanted.version = version;
    wanted.dataset = *testing::MakeToyModel("any", "x")->OpenDataset("toy:8", {});
    return wanted;
  }
  v1::MaterializeRequest Request(const v1::Version& version) {
    v1::MaterializeRequest request;
    request.set_version(version.name());
    request.mutable_dataset()->set_uri("toy:8");
    request.set_split("test");
    return request;
  }
  UnwatchedJob job_;
  OutputTally tally_;
};

TEST_F(OutputProducerTest, ComputesOnce) {
  HostedToy toy("m", "x");
  const v1::Version version = toy.TrainedVersion();
  const auto first = toy->outputs().Produce(Wanted(version), job_, tally_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->size(), 8);
  ASSERT_TRUE(toy->outputs().Produce(Wanted(version), job_, tally_).ok());
  EXPECT_EQ(tally_.produced, 1);
  EXPECT_EQ(tally_.reused, 1);
}

TEST_F(OutputProducerTest, OnOtherParentsGivesOtherOutputs) {
  HostedToy parent("p", "x");
  const v1::Version old_parent = parent.TrainedVersion(0);
  const v1::Version new_parent = parent.TrainedVersion(1);
  v1::Endpoints endpoints;
  (*endpoints.mutable_by_model())["models/p"] = parent.Serve();

  HostedToy child("c", "y");
  v1::TrainRequest request = child.TrainRequest();
  *request.add_lineage() = FedBy(old_parent, "y");
  *request.mutable_endpoints() = endpoints;
  const auto trained = child.Train(request);
  ASSERT_TRUE(trained.ok()) << trained.status();

  OutputProducer::Wanted wanted = Wanted(trained->version());
  wanted.endpoints = endpoints;
  const auto of_lineage = child->outputs().Produce(wanted, job_, tally_);
  ASSERT_TRUE(of_lineage.ok()) << of_lineage.status();
  wanted.swapped_parents = {FedBy(new_parent, "y")};
  const auto swapped = child->outputs().Produce(wanted, job_, tally_);
  ASSERT_TRUE(swapped.ok()) << swapped.status();
  EXPECT_LT(FirstOutput(**of_lineage), FirstOutput(**swapped)) << "the other parent is steeper";
}

TEST_F(OutputProducerTest, PredictsFromTheDatasetWhatNoRequestCouldAskFor) {
  HostedToy toy("m", "x");
  v1::TrainRequest request = toy.TrainRequest();
  request.mutable_recipe()->set_name("truth");
  const auto trained = toy.Train(request);
  ASSERT_TRUE(trained.ok());
  const auto outputs = toy->outputs().Materialize(Request(trained->version()), job_);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_EQ(outputs->examples->size(), 8);
}

TEST_F(OutputProducerTest, RefusesWhatItDoesNotHave) {
  HostedToy toy("m", "x");
  const v1::Version version = toy.TrainedVersion();
  const auto status = [&](const v1::MaterializeRequest& request) {
    return toy->outputs().Materialize(request, job_).status();
  };
  v1::MaterializeRequest request = Request(version);
  request.set_version("models/m/versions/2");
  EXPECT_TRUE(absl::IsNotFound(status(request)));
  request = Request(version);
  request.set_digest(std::string(64, '0'));
  EXPECT_TRUE(absl::IsDataLoss(status(request)));
  request.set_digest(version.digest());
  EXPECT_TRUE(status(request).ok());
  request.set_split("exam");
  EXPECT_TRUE(absl::IsInvalidArgument(status(request)));
  request.set_split("population");
  EXPECT_TRUE(absl::IsInvalidArgument(status(request)));
  request.set_split("test");
  request.add_examples(8);
  EXPECT_TRUE(absl::IsInvalidArgument(status(request)));
}

}  // namespace
}  // namespace backfire::runtime
