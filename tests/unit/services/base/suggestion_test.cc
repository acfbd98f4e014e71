#include "services/base/suggestion.h"

#include <gtest/gtest.h>

namespace backfire {
namespace {

TEST(EditDistanceTest, CountsLettersThatDiffer) {
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("shwo", "show"), 1) << "neighbours that are swapped";
  EXPECT_EQ(EditDistance("same", "same"), 0);
}

TEST(SuggestTest, NamesTheNearestAndNothingThatIsFar) {
  const std::vector<std::string> known = {"update", "up", "release", "--vertex"};
  EXPECT_EQ(Suggest("updaet", known), "update");
  EXPECT_EQ(Suggest("--vertx", known), "--vertex");
  EXPECT_EQ(Suggest("relase", known), "release");
  EXPECT_EQ(Suggest("magic", known), "");
  EXPECT_EQ(DidYouMean("updte", known), "; did you mean \"update\"?");
  EXPECT_EQ(DidYouMean("x", {}), "");
}

}  // namespace
}  // namespace backfire
