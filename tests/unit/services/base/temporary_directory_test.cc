#include "services/base/temporary_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "services/base/file.h"

namespace backfire {
namespace {

namespace fs = std::filesystem;

TEST(TemporaryDirectoryTest, IsGoneWithAllThatIsInIt) {
  fs::path path;
  {
    const absl::StatusOr<TemporaryDirectory> directory = TemporaryDirectory::Make();
    ASSERT_TRUE(directory.ok()) << directory.status();
    path = directory->path();
    ASSERT_TRUE(WriteFileAtomically(path / "deep" / "file", "content").ok());
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(TemporaryDirectoryTest, MovesWithItsOwner) {
  absl::StatusOr<TemporaryDirectory> made = TemporaryDirectory::Make();
  ASSERT_TRUE(made.ok()) << made.status();
  const fs::path path = made->path();
  absl::StatusOr<TemporaryDirectory> other = TemporaryDirectory::Make();
  ASSERT_TRUE(other.ok()) << other.status();
  const fs::path replaced = other->path();
  {
    TemporaryDirectory owner = *std::move(made);
    EXPECT_TRUE(fs::is_directory(path));
    *other = std::move(owner);
  }
  EXPECT_EQ(other->path(), path);
  EXPECT_TRUE(fs::is_directory(path));
  EXPECT_FALSE(fs::exists(replaced));
}

TEST(TemporaryDirectoryTest, SaysWhereNoneCanBeMade) {
  const char* before = ::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TMPDIR", "/proc", 1);  // Nobody makes a directory there, not even root.
  const absl::Status status = TemporaryDirectory::Make().status();
  ::setenv("TMPDIR", "/proc/version", 1);  // Nor in a file, nor then wherever the program runs.
  const absl::Status no_place = TemporaryDirectory::Make().status();
  before == nullptr ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", kept.c_str(), 1);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("/proc/backfire."), std::string::npos) << status;
  EXPECT_FALSE(no_place.ok());
  EXPECT_NE(std::string(no_place.message()).find("TMPDIR"), std::string::npos) << no_place;
}

}  // namespace
}  // namespace backfire
