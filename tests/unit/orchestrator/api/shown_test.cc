#include "orchestrator/api/shown.h"

#include <gtest/gtest.h>

#include "tests/support/record_kit.h"

namespace backfire::api {
namespace {

TEST(ShownReleasesTest, AreMadeOnceUntilSystemsOrReleasesChange) {
  ShownReleases releases(std::chrono::seconds(3));
  const records::State state = testing::LiveState();
  const auto first = releases.Of(state);
  EXPECT_EQ(first->epoch(), 1);
  EXPECT_EQ(first->lease().seconds(), 3);
  // What runs is nothing to a gateway.
  const records::State busy = testing::WithUpdate(state, testing::SmallUpdate(2, "a"));
  EXPECT_EQ(releases.Of(busy), first);
  const auto second = releases.Of(testing::LackingState());
  EXPECT_EQ(second->epoch(), 2);
  EXPECT_EQ(second->releases(0).name(), "releases/2");
  EXPECT_EQ(releases.Of(state)->epoch(), 1) << "of whatever state is asked for";
  EXPECT_EQ(first->epoch(), 1) << "whoever has one keeps it";
}

}  // namespace
}  // namespace backfire::api
