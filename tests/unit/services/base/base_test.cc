#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "services/base/choose.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/parallel.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "tests/support/temporary_directory.h"

namespace backfire {
namespace {

using ::testing::HasSubstr;

// FIPS 180-4's examples.
TEST(DigestTest, MatchesThePublishedVectors) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(DigestTest, FieldsAreNotTheirConcatenation) {
  EXPECT_NE(Sha256().UpdateField("a").UpdateField("bc").Finish(),
            Sha256().UpdateField("ab").UpdateField("c").Finish());
  Sha256 pieces;
  pieces.Update("a").Update("bc");
  EXPECT_EQ(pieces.Finish(), Sha256Hex("abc"));
  EXPECT_EQ(pieces.Finish(), Sha256Hex("")) << "afresh";
}

// The first outputs of SplitMix64 seeded with 1234567, as published with its reference code.
TEST(RandomTest, SplitMix64MatchesThePublishedSequence) {
  uint64_t state = 1234567;
  for (const uint64_t expected : {6457827717110365317ULL, 3203168211198807973ULL,
                                  9817491932198370423ULL, 4593380528125082431ULL}) {
    EXPECT_EQ(SplitMix64(state), expected);
    state += 0x9E3779B97F4A7C15ULL;
  }
}

TEST(ChooseTest, DrawsAscendingDistinctNumbersOrAllThereAre) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const std::vector<int64_t> chosen = Choose(20, 7, random);
    EXPECT_EQ(chosen.size(), 7U);
    EXPECT_EQ(std::set<int64_t>(chosen.begin(), chosen.end()).size(), 7U);
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_GE(chosen.front(), 0);
    EXPECT_LT(chosen.back(), 20);
  }
  Random random(1);
  EXPECT_THAT(Choose(3, 9, random), ::testing::ElementsAre(0, 1, 2));
  EXPECT_TRUE(Choose(0, 9, random).empty());
}

TEST(RandomTest, MultiplyHighIsTheUpperHalf) {
  EXPECT_EQ(MultiplyHigh(~0ULL, ~0ULL), ~0ULL - 1);
  EXPECT_EQ(MultiplyHigh(1ULL << 63, 10), 5u);
  EXPECT_EQ(MultiplyHigh(~0ULL, 1), 0u);
}

TEST(RandomTest, NumbersHaveTheirMoments) {
  Random random(1);
  double uniform = 0, normal = 0, squares = 0;
  std::set<int64_t> below;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.Uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    uniform += u;
    const double n = random.Normal();
    normal += n;
    squares += n * n;
    below.insert(random.Below(7));
  }
  EXPECT_NEAR(uniform / kCount, 0.5, 0.005);
  EXPECT_NEAR(normal / kCount, 0, 0.02);
  EXPECT_NEAR(squares / kCount, 1, 0.03);
  EXPECT_EQ(below, (std::set<int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_NE(Random(1, 0).Bits(), Random(1, 1).Bits());
}

TEST(FileTest, WritesWholeFilesAndLeavesNothingElse) {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path path = directory / "a/b/c";
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two").ok());
  EXPECT_EQ(*ReadFile(path), "two");
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    (void)entry;
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

TEST(FileTest, ErrorsNameThePath) {
  const testing::TemporaryDirectory directory;
  const auto missing = ReadFile(directory / "none");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("none"));
  ASSERT_TRUE(WriteFileAtomically(directory / "file", "x").ok());
  EXPECT_FALSE(WriteFileAtomically(directory / "file/below", "x").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ErrnoToStatus(ENOSPC, "write x")));
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return number / 2;
}

absl::StatusOr<int> Quarter(int number) {
  BACKFIRE_ASSIGN_OR_RETURN(const int half, Half(number));
  BACKFIRE_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST(StatusTest, MacrosReturnTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_TRUE(absl::IsInvalidArgument(Quarter(6).status()));
  EXPECT_EQ(Annotate(absl::NotFoundError("b"), "a"), absl::NotFoundError("a: b"));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "a").ok());
}

TEST(ParallelForTest, CallsForEachOnceWhateverTheThreads) {
  for (const int threads : {0, 1, 2, 9}) {
    std::vector<int> calls(1000, 0);
    ParallelFor(1000, threads, [&calls](int64_t i) { ++calls[i]; });
    EXPECT_EQ(calls, std::vector<int>(1000, 1));
    ParallelFor(0, threads, [](int64_t) { FAIL(); });
  }
}

}  // namespace
}  // namespace backfire
