#include "services/runtime/serving/served_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ServedVersionsTest, FindsTheHighestLoadedOrTheOneAskedFor) {
  HostedToy toy("m", "x");
  toy.TrainedVersion(0);
  toy.TrainedVersion(1);
  ServedVersions& served = toy->served();
  EXPECT_TRUE(absl::IsNotFound(served.Find(std::nullopt).status()));
  EXPECT_TRUE(absl::IsUnavailable(served.Find(1).status()));
  EXPECT_TRUE(absl::IsNotFound(served.Find(3).status()));
  ASSERT_TRUE(served.Load(2).ok());
  ASSERT_TRUE(served.Load(1).ok());
  EXPECT_EQ(served.Find(std::nullopt)->number, 2);
  EXPECT_EQ(served.Find(1)->number, 1);
  EXPECT_THAT(served.LoadedNumbers(), ElementsAre(1, 2));
  ASSERT_TRUE(served.Unload(2).ok());
  EXPECT_EQ(served.Find(std::nullopt)->number, 1);
}

TEST(ServedVersionsTest, RemembersOverARestartWhatIsLoaded) {
  HostedToy toy("m", "x");
  toy.TrainedVersion(0);
  toy.TrainedVersion(1);
  ASSERT_TRUE(toy->served().Load(1).ok());
  ASSERT_TRUE(toy->served().Load(2).ok());
  ASSERT_TRUE(toy->served().Unload(1).ok());
  toy.Reopen();
  EXPECT_THAT(toy->served().LoadedNumbers(), ElementsAre(2));
}

TEST(ServedVersionsTest, DeletesOnlyWhatIsNotLoaded) {
  HostedToy toy("m", "x");
  toy.TrainedVersion();
  ASSERT_TRUE(toy->served().Load(1).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(toy->served().Delete(1)));
  ASSERT_TRUE(toy->served().Unload(1).ok());
  EXPECT_TRUE(toy->served().Delete(1).ok());
  EXPECT_TRUE(absl::IsNotFound(toy->served().Find(1).status()));
  EXPECT_TRUE(toy->served().Delete(1).ok()) << "deleting what is gone succeeds";
}

TEST(ServedVersionsTest, RefusesWhatCannotBeServed) {
  HostedToy toy("m", "x");
  v1::TrainRequest request = toy.TrainRequest();
  request.mutable_recipe()->set_name("truth");
  ASSERT_TRUE(toy.Train(request).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(toy->served().Load(1)));
  EXPECT_TRUE(absl::IsNotFound(toy->served().Load(2)));
  EXPECT_THAT(toy->served().LoadedNumbers(), IsEmpty());
}

TEST(ServedVersionsTest, WhoHoldsAVersionGoesOnUsingIt) {
  HostedToy toy("m", "x");
  toy.TrainedVersion();
  ASSERT_TRUE(toy->served().Load(1).ok());
  const auto held = toy->served().Find(1);
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(toy->served().Unload(1).ok());
  Tensor x = MakeTensor(Datatype::kFp64, {1});
  *x.MutableAs<double>() = 1;
  EXPECT_TRUE(held->predictor->Predict({{"x", x}}, [] { return false; }).ok());
}

}  // namespace
}  // namespace backfire::runtime
