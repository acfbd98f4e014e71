#include "services/runtime/jobs/trainer.h"

#include <gtest/gtest.h>

#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

TEST(TrainerTest, TheSameInputsFindTheSameVersion) {
  HostedToy toy("m", "x");
  const v1::Version first = toy.TrainedVersion();
  const auto again = toy.Train(toy.TrainRequest());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->version().name(), first.name());
  EXPECT_NE(toy.TrainedVersion(0, /*seed=*/2).name(), first.name());
  EXPECT_EQ(toy->versions().List().size(), 2u);
}

TEST(TrainerTest, ASeedThatChangesNothingIsNotKept) {
  HostedToy toy("m", "x");
  v1::TrainRequest request = toy.TrainRequest();
  request.mutable_recipe()->set_name("truth");
  const auto one = toy.Train(request);
  request.set_seed(2);
  const auto other = toy.Train(request);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->version().name(), other->version().name());
  EXPECT_EQ(one->version().seed(), 0);
}

TEST(TrainerTest, StartsFromAVersionOrFromWeightsThatComeWithTheModel) {
  HostedToy toy("m", "x");
  const v1::Version start = toy.TrainedVersion();
  v1::TrainRequest request = toy.TrainRequest();
  SetParameter(*request.mutable_recipe(), kInitializeFrom, start.name());
  const auto from_version = toy.Train(request);
  ASSERT_TRUE(from_version.ok()) << from_version.status();
  EXPECT_EQ(from_version->version().initial_digest(), start.digest());
  SetParameter(*request.mutable_recipe(), kInitializeFrom, "pretrained:steep");
  const auto from_weights = toy.Train(request);
  ASSERT_TRUE(from_weights.ok()) << from_weights.status();
  EXPECT_NE(from_weights->version().input_key(), from_version->version().input_key());
}

TEST(TrainerTest, FindsFaultsBeforeAnythingRuns) {
  HostedToy toy("m", "x");
  const auto check = [&](void (*spoil)(v1::TrainRequest&)) {
    v1::TrainRequest request = toy.TrainRequest();
    spoil(request);
    return toy->trainer().Check(request);
  };
  EXPECT_TRUE(check([](v1::TrainRequest&) {}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::TrainRequest& r) { r.set_seed(-1); })));
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::TrainRequest& r) { r.clear_dataset(); })));
  EXPECT_TRUE(absl::IsInvalidArgument(
      check([](v1::TrainRequest& r) { r.mutable_recipe()->set_name("none"); })));
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::TrainRequest& r) { r.add_lineage(); })));
  EXPECT_TRUE(absl::IsNotFound(check([](v1::TrainRequest& r) {
    SetParameter(*r.mutable_recipe(), kInitializeFrom, "models/m/versions/7");
  })));
  EXPECT_TRUE(absl::IsInvalidArgument(check([](v1::TrainRequest& r) {
    SetParameter(*r.mutable_recipe(), kInitializeFrom, "models/other/versions/1");
  })));
}

}  // namespace
}  // namespace backfire::runtime
