#include "services/base/excerpt.h"

#include <gtest/gtest.h>

namespace backfire {
namespace {

TEST(ExcerptTest, LeavesShortTextsAndCutsLongOnesBetweenCharacters) {
  EXPECT_EQ(Excerpt("short", 5), "short");
  EXPECT_EQ(Excerpt("longer", 4), "long... (6 bytes)");
  EXPECT_EQ(Excerpt("ab\xC3\xA9"
                    "cd",
                    3),
            "ab... (6 bytes)")
      << "an e with an accent has two bytes";
  EXPECT_EQ(Excerpt("\xA9\xA9\xA9", 2), "... (3 bytes)");
  EXPECT_LT(Excerpt(std::string(1 << 20, 'x')).size(), 100u);
}

}  // namespace
}  // namespace backfire
