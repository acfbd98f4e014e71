#include "services/runtime/dataset_roots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "services/runtime/dataset_access.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DatasetRootsTest : public ::testing::Test {
 protected:
  DatasetRootsTest() {
    for (const char* name : {"data/kitti", "data2", "private"}) fs::create_directories(At(name));
    for (const char* name : {"data/kitti/a", "data2/a", "private/a"})
      std::ofstream(At(name)) << "a";
  }
  fs::path At(const fs::path& name) const { return fs::canonical(directory_.path()) / name; }
  DatasetRoots Under(std::vector<fs::path> names) const {
    for (fs::path& name : names) name = At(name);
    auto roots = DatasetRoots::Under(std::move(names));
    EXPECT_TRUE(roots.ok()) << roots.status();
    return *std::move(roots);
  }
  testing::TemporaryDirectory directory_;
};

TEST_F(DatasetRootsTest, WhatIsInARootMayBeRead) {
  const DatasetRoots roots = Under({"data"});
  for (const char* name :
       {"data", "data/", "data/kitti/a", "data/./kitti//a", "data/kitti/../kitti",
        "private/../data/kitti/a", "data/not/there/yet"}) {
    EXPECT_TRUE(roots.Check(At(name)).ok()) << name;
  }
}

TEST_F(DatasetRootsTest, WhatLeadsOutOfThemMayNot) {
  const DatasetRoots roots = Under({"data"});
  fs::create_directory_symlink(At("private"), At("data/away"));
  fs::create_symlink("../private/a", At("data/b"));
  fs::create_symlink("b", At("data/c"));  // A link to a link.
  fs::create_symlink("d", At("data/d"));  // A link to itself.
  for (const std::string name :
       {"private/a", "data2", "data2/a", "data/../private/a", "data/kitti/../../private/a",
        "data/b", "data/c", "data/d", "data/away", "data/away/a", "data/away/../private/a", "", "/",
        "data/nothing/../../private/a", "private/nothing"}) {
    const absl::Status status = roots.Check(At(name));
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << name << ": " << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(At(name).string()), HasSubstr("(" + At("data").string() + ")"),
                      HasSubstr("--dataset-root=")));
  }
  EXPECT_THAT(std::string(roots.Check(At("data/c")).message()),
              HasSubstr("(which leads to " + At("private/a").string() + ")"));
  // Nothing is said of what is there and what isn't, and of no link outside.
  fs::create_symlink("a", At("private/link"));
  EXPECT_THAT(std::string(roots.Check(At("private/link")).message()), Not(HasSubstr("leads to")));
  EXPECT_EQ(roots.Check("/a/b").message().substr(4), roots.Check("/etc").message().substr(4));
}

TEST_F(DatasetRootsTest, ARootMayBeALinkThatIsMovedOn) {
  fs::create_directory_symlink("data", At("current"));
  const DatasetRoots roots = Under({"current"});
  EXPECT_TRUE(roots.Check(At("current/kitti/a")).ok());
  EXPECT_TRUE(roots.Check(At("data/kitti/a")).ok()) << "it is the same file";
  EXPECT_FALSE(roots.Check(At("data2/a")).ok());
  fs::remove(At("current"));
  fs::create_directory_symlink("data2", At("current"));
  EXPECT_TRUE(roots.Check(At("current/a")).ok());
  EXPECT_FALSE(roots.Check(At("data/kitti/a")).ok());
  fs::remove(At("current"));
  EXPECT_FALSE(roots.Check(At("current/a")).ok()) << "there is no root any more";
}

TEST_F(DatasetRootsTest, ALinkFromOneRootToAnotherStaysInThem) {
  fs::create_directory_symlink(At("data2"), At("data/more"));
  EXPECT_FALSE(Under({"data"}).Check(At("data/more/a")).ok());
  EXPECT_TRUE(Under({"data", "data2"}).Check(At("data/more/a")).ok());
}

TEST_F(DatasetRootsTest, ARelativePathCountsFromWhereTheProcessIs) {
  const fs::path relative = fs::relative(At("data"), fs::current_path());
  ASSERT_TRUE(relative.is_relative());
  EXPECT_TRUE(Under({"data"}).Check(relative / "kitti/a").ok());
  EXPECT_FALSE(Under({"data2"}).Check(relative / "kitti/a").ok());
  const auto roots = DatasetRoots::Under({relative});
  ASSERT_TRUE(roots.ok()) << roots.status();
  EXPECT_TRUE(roots->Check(At("data/kitti/a")).ok());
}

TEST_F(DatasetRootsTest, TheWholeMachineMayBeARootAndNothingMayBe) {
  EXPECT_TRUE(DatasetRoots::Under({"/"})->Check(At("private/a")).ok());
  EXPECT_TRUE(Under({"private/"}).Check(At("private/a")).ok());
  EXPECT_TRUE(DatasetRoots::Anywhere().Check(At("private/a")).ok());
  const absl::Status none = DatasetRoots().Check(At("data"));
  EXPECT_TRUE(absl::IsPermissionDenied(none)) << none;
  EXPECT_THAT(std::string(none.message()), HasSubstr("was given no folder for datasets"));
  EXPECT_EQ(DatasetRoots::Under({})->Check(At("data")), none);
}

TEST_F(DatasetRootsTest, ARootMustBeADirectory) {
  for (const char* name : {"nothing", "data/kitti/a"}) {
    const absl::Status status = DatasetRoots::Under({At(name)}).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(At(name).string()));
  }
}

TEST(DatasetAccessTest, EndsOnceNobodyWaits) {
  EXPECT_TRUE(DatasetAccess::Unlimited().CheckWanted().ok());
  bool gone = false;
  const DatasetAccess access{{}, [&] { return gone; }};
  EXPECT_TRUE(access.CheckWanted().ok());
  gone = true;
  EXPECT_TRUE(absl::IsCancelled(access.CheckWanted()));
}

}  // namespace
}  // namespace backfire::runtime
