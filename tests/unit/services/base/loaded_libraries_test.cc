#include "services/base/loaded_libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

TEST(LoadedLibrariesTest, AreNamedWithTheirBuildIds) {
  EXPECT_THAT(LoadedLibraries({"libc.so", "libm.so"}),
              ElementsAre(MatchesRegex("libc\\.so\\.[0-9]+ [0-9a-f]{16,}"),
                          MatchesRegex("libm\\.so\\.[0-9]+ [0-9a-f]{16,}")));
  EXPECT_EQ(LoadedLibraries({"libm.so", "libc.so"}), LoadedLibraries({"libc.so", "libm.so"}));
}

TEST(LoadedLibrariesTest, WhatIsNotLoadedIsNotNamed) {
  EXPECT_THAT(LoadedLibraries({"libnobodys"}), IsEmpty());
  EXPECT_THAT(LoadedLibraries({}), IsEmpty());
}

}  // namespace
}  // namespace backfire
