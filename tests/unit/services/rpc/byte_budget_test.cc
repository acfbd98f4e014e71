#include "services/rpc/byte_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(ByteBudgetTest, OneIdentityHoldsThreeQuartersAndOthersTheRest) {
  ByteBudget budget(100 * kMiB);
  std::optional<ByteBudget::Hold> ada(std::in_place, budget, "ada");
  ByteBudget::Hold her_other_call(budget, "ada"), bob(budget, "bob");
  EXPECT_TRUE(ada->Add(50 * kMiB).ok());
  EXPECT_TRUE(her_other_call.Add(25 * kMiB).ok());
  const absl::Status refused = her_other_call.Add(1);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("calls of \"ada\" in flight hold 75 MiB"));
  EXPECT_TRUE(bob.Add(25 * kMiB).ok()) << "the last quarter is somebody else's";
  EXPECT_THAT(std::string(bob.Add(1).message()), HasSubstr("the 100 MiB that all may be"));
  ada.reset();
  EXPECT_TRUE(her_other_call.Add(50 * kMiB).ok()) << "what a call held is given back at its end";
}

TEST(ByteBudgetTest, WhoHasNoNameMayHoldAll) {
  ByteBudget budget(100 * kMiB);
  ByteBudget::Hold owner(budget, "");
  EXPECT_TRUE(owner.Add(100 * kMiB).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(owner.Add(1)));
  EXPECT_TRUE(absl::IsResourceExhausted(owner.Add(INT64_MAX)));
}

}  // namespace
}  // namespace backfire::runtime
