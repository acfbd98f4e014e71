#include "services/datasets/kitti_clusters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/base/file.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class KittiClustersTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    ASSERT_TRUE(WriteFileAtomically(folder_.path() / name, content).ok());
  }
  absl::StatusOr<KittiClusters> Read(const std::string& parameter) {
    return KittiClusters::Read(folder_.path(), parameter, nullptr,
                               runtime::DatasetAccess::Unlimited());
  }

  TestFolder folder_;
};

// Three lines and the order of three frames, in the form of the development kit.
TEST_F(KittiClustersTest, ReadsTheDevelopmentKitsMapping) {
  Write("mapping/train_mapping.txt",
        "2011_09_26 2011_09_26_drive_0005_sync 0000000109\n"
        "2011_09_26 2011_09_26_drive_0009_sync 0000000001\n"
        "2011_09_28 2011_09_28_drive_0001_sync 0000000030\n");
  Write("mapping/train_rand.txt", "3,1, 2\n");
  const auto clusters = Read("mapping");
  ASSERT_TRUE(clusters.ok()) << clusters.status();
  EXPECT_EQ(*clusters->Of("000000"), "2011_09_28_drive_0001_sync");
  EXPECT_EQ(*clusters->Of("000001"), "2011_09_26_drive_0005_sync");
  EXPECT_EQ(*clusters->Of("000002"), "2011_09_26_drive_0009_sync");
  const absl::Status unknown = clusters->Of("000003").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()),
              EndsWith("mapping/train_rand.txt: says nothing of frame 000003"));
}

TEST_F(KittiClustersTest, ReadsAListOfFrames) {
  Write("sessions.txt", "# by hand\n\n000007 monday\r\n000003\ttuesday\n");
  // In the dataset's directory, or anywhere.
  for (const std::string& path :
       {std::string("sessions.txt"), (folder_.path() / "sessions.txt").string()}) {
    const auto clusters = Read(path);
    ASSERT_TRUE(clusters.ok()) << clusters.status();
    EXPECT_EQ(*clusters->Of("000007"), "monday");
    EXPECT_EQ(*clusters->Of("000003"), "tuesday");
  }
}

TEST_F(KittiClustersTest, EachIsAClusterByItself) {
  const auto clusters = Read("each");
  ASSERT_TRUE(clusters.ok()) << clusters.status();
  EXPECT_EQ(*clusters->Of("000007"), "000007");
}

TEST_F(KittiClustersTest, FaultsHaveFileAndLine) {
  EXPECT_EQ(Read("nothing").status().code(), absl::StatusCode::kNotFound);
  Write("twice.txt", "000001 a\n000001 b\n");
  EXPECT_EQ(Read("twice.txt").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(Read("twice.txt").status().message()),
              EndsWith("twice.txt:2: frame 000001 is there twice"));
  Write("words.txt", "000001 a drive\n000002\n");
  std::vector<absl::Status> faults;
  EXPECT_TRUE(
      KittiClusters::Read(folder_.path(), "words.txt", &faults, runtime::DatasetAccess::Unlimited())
          .ok());
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_THAT(std::string(faults[1].message()),
              EndsWith("words.txt:2: a line must be FRAME CLUSTER"));
  Write("cut/train_mapping.txt", "2011_09_26 drive_0005 0000000109\n2011_09_26 drive_0009\n");
  Write("cut/train_rand.txt", "1,2\n");
  EXPECT_EQ(Read("cut").status().code(), absl::StatusCode::kDataLoss);
  Write("short/train_mapping.txt", "2011_09_26 drive_0005 0000000109\n");
  EXPECT_EQ(Read("short").status().code(), absl::StatusCode::kNotFound);  // No train_rand.txt.
  for (const char* order : {"1,2\n", "1,0\n", "1,x\n"}) {
    Write("short/train_rand.txt", order);
    EXPECT_THAT(std::string(Read("short").status().message()),
                HasSubstr("train_rand.txt:1: the number of frame 1 must be that of a line of"));
  }
}

}  // namespace
}  // namespace backfire::datasets
