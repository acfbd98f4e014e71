#include "services/runtime/versions/version_exchange.h"

#include <gtest/gtest.h>

#include "tests/unit/services/runtime/hosted_toy.h"

namespace backfire::runtime {
namespace {

v1::ImportVersionRequest ImportOf(const std::string& recipe) {
  v1::ImportVersionRequest description;
  description.set_model("models/m");
  description.mutable_recipe()->set_name(recipe);
  return description;
}

TEST(VersionExchangePartTest, TheSameWeightsAreTheSameVersion) {
  HostedToy toy("m", "x");
  const auto first = toy->exchange().Import(ImportOf("least-squares"), "2.5");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto again = toy->exchange().Import(ImportOf("least-squares"), "2.5");
  const auto other = toy->exchange().Import(ImportOf("least-squares"), "3.5");
  ASSERT_TRUE(again.ok() && other.ok());
  EXPECT_EQ(again->name(), first->name());
  EXPECT_NE(other->name(), first->name());
  EXPECT_EQ(toy->exchange().Export(1).value(), "2.5");
  EXPECT_EQ(toy->exchange().ExportAsStored(2).value(), "3.5");
}

TEST(VersionExchangePartTest, KeepsNothingThatCannotBeLoaded) {
  HostedToy toy("m", "x");
  EXPECT_FALSE(toy->exchange().Import(ImportOf("least-squares"), "no number").ok());
  EXPECT_TRUE(toy->versions().List().empty());
}

TEST(VersionExchangePartTest, RefusesWhatHasNoWeightsOfItsOwn) {
  HostedToy toy("m", "x");
  EXPECT_TRUE(absl::IsInvalidArgument(toy->exchange().Check(ImportOf("truth"))));
  v1::ImportVersionRequest started = ImportOf("least-squares");
  SetParameter(*started.mutable_recipe(), kInitializeFrom, "models/m/versions/1");
  EXPECT_TRUE(absl::IsInvalidArgument(toy->exchange().Check(started)));
  EXPECT_TRUE(absl::IsNotFound(toy->exchange().Export(1).status()));
}

}  // namespace
}  // namespace backfire::runtime
