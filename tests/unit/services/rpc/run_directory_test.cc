#include "services/rpc/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

mode_t ModeOf(const std::filesystem::path& path) {
  struct stat found {};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

class RunDirectoryTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory directory_;
  const std::filesystem::path data_ = directory_ / "its data";
  const std::filesystem::path run_ = data_ / "run";
};

TEST_F(RunDirectoryTest, IsItsOwnersAlone) {
  // What a user's umask would let others do makes no difference.
  for (const mode_t mask : {mode_t{0}, mode_t{0077}}) {
    const mode_t before = ::umask(mask);
    const absl::Status status = MakeRunDirectory(directory_ / std::to_string(mask));
    ::umask(before);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(ModeOf(directory_ / std::to_string(mask) / "run"), mode_t{0700});
  }
}

TEST_F(RunDirectoryTest, IsClosedWhereItWasOpenAndKeepsWhatItHas) {
  std::filesystem::create_directories(run_);
  ::chmod(run_.c_str(), 0777);
  std::ofstream(run_ / "car") << "something";
  ASSERT_TRUE(MakeRunDirectory(data_).ok());
  EXPECT_EQ(ModeOf(run_), mode_t{0700});
  EXPECT_TRUE(std::filesystem::exists(run_ / "car"));
}

TEST_F(RunDirectoryTest, IsNoLinkAndNoFile) {
  std::filesystem::create_directories(data_);
  std::filesystem::create_directories(directory_ / "elsewhere");
  ::chmod((directory_ / "elsewhere").c_str(), 0755);
  std::filesystem::create_symlink(directory_ / "elsewhere", run_);
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeRunDirectory(data_)));
  EXPECT_EQ(ModeOf(directory_ / "elsewhere"), mode_t{0755});
  std::filesystem::remove(run_);
  std::ofstream(run_) << "no folder";
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeRunDirectory(data_)));
}

TEST_F(RunDirectoryTest, IsNotWhereEverybodyCouldReplaceIt) {
  std::filesystem::create_directories(data_);
  ::chmod(data_.c_str(), 0777);
  const absl::Status status = MakeRunDirectory(data_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("chmod o-w"));
  // As in /tmp nobody may replace what is another's.
  ::chmod(data_.c_str(), 01777);
  EXPECT_TRUE(MakeRunDirectory(data_).ok());
}

TEST_F(RunDirectoryTest, IsNotAnothersFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  std::filesystem::create_directories(run_);
  ASSERT_EQ(::chown(run_.c_str(), 65534, 65534), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeRunDirectory(data_)));
}

TEST_F(RunDirectoryTest, ASocketIsFoundFromAnywhere) {
  EXPECT_EQ(RunSocket("/data", "car"), "unix:/data/run/car");
  EXPECT_EQ(RunSocket("mesh", "car"),
            "unix:" + (std::filesystem::current_path() / "mesh/run/car").string());
}

}  // namespace
}  // namespace backfire::runtime
