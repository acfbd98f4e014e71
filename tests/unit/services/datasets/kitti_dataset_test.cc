#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <opencv2/core.hpp>

#include "services/base/file.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_writer.h"
#include "services/datasets/rendered_world.h"
#include "services/datasets/stereo_dataset.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;
using ::testing::HasSubstr;

class KittiDatasetTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteTo(folder_.path()); }

  // Frames 000000 (train), 000001 (val), 000002 (test).
  static void WriteTo(const fs::path& directory) {
    const RenderProfile profile = *FindRenderProfile("tiny");
    ASSERT_TRUE(MakeKittiFolders(directory / "training").ok());
    const std::array<const char*, 3> lists = {"train", "val", "test"};
    for (int i = 0; i < 3; ++i) {
      const std::string id = "00000" + std::to_string(i);
      ASSERT_TRUE(
          WriteKittiFrame(directory / "training", id, RenderFrame(profile, 1, Split::kTrain, i))
              .ok());
      ASSERT_TRUE(
          WriteFileAtomically(directory / "ImageSets" / (std::string(lists[i]) + ".txt"), id + "\n")
              .ok());
    }
  }

  std::string Uri(const std::string& query = "") const {
    return "kitti:" + folder_.path().string() + query;
  }
  fs::path File(const std::string& name) const { return folder_.path() / "training" / name; }
  static runtime::DatasetAccess Within(const fs::path& root) {
    auto roots = runtime::DatasetRoots::Under({root});
    EXPECT_TRUE(roots.ok()) << roots.status();
    return {*std::move(roots), nullptr};
  }

  TestFolder folder_;
};

TEST_F(KittiDatasetTest, OpeningEndsOnceNobodyWaits) {
  // A thousand frames that all are one: as much to read as if they were a thousand.
  constexpr int kFrames = 1000;
  for (int i = 0; i < kFrames; ++i) {
    const std::string id = "alias-" + std::to_string(i);
    for (const auto& [folder, extension] : {std::pair("image_2", ".png"), {"calib", ".txt"}}) {
      const fs::path directory = fs::path("training") / folder;
      fs::create_symlink(std::string("000000") + extension,
                         folder_.path() / directory / (id + extension));
    }
  }
  // Listing the frames asks once for each; then they are read.
  std::atomic<int> asked = 0;
  const runtime::DatasetAccess access{runtime::DatasetRoots::Anywhere(),
                                      [&] { return ++asked > kFrames + 100; }};
  const auto dataset = OpenStereoDataset(Uri("?train=all&validation=&test="), access);
  EXPECT_TRUE(absl::IsCancelled(dataset.status())) << dataset.status();
  // Each of the threads that read may have asked once more.
  EXPECT_LE(asked, kFrames + 100 + 64);
  asked = kFrames + 100;
  EXPECT_TRUE(absl::IsCancelled(OpenStereoDataset(Uri("?train=all"), access).status()))
      << "the listing ends as well";
}

TEST_F(KittiDatasetTest, NoFileOutsideOfTheRootsIsRead) {
  const TestFolder elsewhere;
  const runtime::DatasetAccess access = Within(folder_.path());
  const auto denied = [&](const std::string& uri) {
    const absl::Status status = OpenStereoDataset(uri, access).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << uri << ": " << status;
    return std::string(status.message());
  };
  const auto link = [&](const std::string& name) {
    const fs::path file = folder_.path() / name,
                   moved = elsewhere.path() / fs::path(name).filename();
    fs::copy(file, moved, fs::copy_options::recursive);
    fs::remove_all(file);
    fs::create_symlink(moved, file);
  };
  EXPECT_TRUE(OpenStereoDataset(Uri(), access).ok());
  WriteTo(elsewhere.path());
  EXPECT_THAT(denied("kitti:" + elsewhere.path().string()), HasSubstr("--dataset-root"));
  denied(Uri("/../" + elsewhere.path().filename().string()));
  denied("kitti:/etc");
  ASSERT_TRUE(WriteFileAtomically(elsewhere.path() / "drives.txt", "000000 a\n").ok());
  denied(Uri("?clusters=" + elsewhere.path().string() + "/drives.txt"));
  denied(Uri("?clusters=../" + elsewhere.path().filename().string() + "/drives.txt"));
  denied(Uri("?clusters=/etc/passwd"));

  // Links in it to what isn't: a list, a folder, a file that opening reads, one that it doesn't.
  fs::create_directory(folder_.path() / "mapping");
  fs::create_symlink("/etc/passwd", folder_.path() / "mapping/train_mapping.txt");
  EXPECT_THAT(denied(Uri("?clusters=mapping")), HasSubstr("which leads to /etc/passwd"));
  const auto opened = OpenStereoDataset(Uri(), access);
  ASSERT_TRUE(opened.ok()) << opened.status();
  link("training/label_2");
  EXPECT_TRUE(absl::IsPermissionDenied((*opened)->Labels(Split::kTest, 0).status()));
  EXPECT_TRUE((*opened)->LeftImage(Split::kTest, 0).ok());
  denied(Uri());
  EXPECT_TRUE(OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()).ok())
      << "for whoever started the program it is a dataset";
  denied(Uri());
  link("ImageSets/test.txt");
  denied(Uri("?train=test"));
}

TEST_F(KittiDatasetTest, ReadsWhatWasWritten) {
  const StereoFrame frame = RenderFrame(*FindRenderProfile("tiny"), 1, Split::kTrain, 2);
  const auto dataset = OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const StereoDataset& data = **dataset;
  EXPECT_EQ(data.size(Split::kTest), 1);
  EXPECT_EQ(data.ExampleId(Split::kTest, 0), "000002");
  const auto inputs = data.RequestInputs(Split::kTest, 0, {"left", "right", "calibration"});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->at("left").data, ImageToTensor(frame.left).data);
  EXPECT_EQ(inputs->at("right").data, ImageToTensor(frame.right).data);
  EXPECT_EQ(inputs->at("left").shape, (std::vector<int64_t>{128, 384, 3}));
  EXPECT_NEAR(CalibrationFromTensor(inputs->at("calibration"))->baseline_m(), 1.2, 1e-9);
  const auto disparity = data.Disparity(Split::kTest, 0);
  ASSERT_TRUE(disparity.ok()) << disparity.status();
  EXPECT_LE(cv::norm(*disparity, frame.disparity, cv::NORM_INF), 0.5 / 256 + 1e-6);
  const auto labels = data.Labels(Split::kTest, 0);
  ASSERT_TRUE(labels.ok()) << labels.status();
  ASSERT_EQ(labels->size(), frame.labels.size());
  EXPECT_NEAR((*labels)[0].box_3d.x, frame.labels[0].box_3d.x, 0.005 + 1e-9);
}

TEST_F(KittiDatasetTest, ClustersAreNamedByTheUri) {
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "drives.txt",
                                  "000000 monday\n000001 monday\n000002 tuesday\n")
                  .ok());
  const auto none = OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()),
             each = OpenStereoDataset(Uri("?clusters=each"), runtime::DatasetAccess::Unlimited());
  const auto drives = OpenStereoDataset(Uri("?clusters=drives.txt&size=192x64"),
                                        runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(none.ok() && each.ok() && drives.ok()) << drives.status();
  EXPECT_EQ((*none)->Cluster(Split::kTest, 0), "");
  EXPECT_EQ((*each)->Cluster(Split::kTest, 0), "000002");
  EXPECT_EQ((*drives)->Cluster(Split::kTest, 0), "tuesday");
  EXPECT_EQ((*drives)->Cluster(Split::kTrain, 0), "monday");
  EXPECT_NE((*none)->digest(), (*each)->digest());
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "drives.txt", "000000 monday\n").ok());
  const auto missing =
      OpenStereoDataset(Uri("?clusters=drives.txt"), runtime::DatasetAccess::Unlimited());
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound) << missing.status();
}

TEST_F(KittiDatasetTest, SplitsByUri) {
  const auto dataset = OpenStereoDataset(Uri("?train=test&validation=&test=train"),
                                         runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->ExampleId(Split::kTrain, 0), "000002");
  EXPECT_EQ((*dataset)->size(Split::kValidation), 0);
  EXPECT_NE((*dataset)->digest(),
            (*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest());
}

TEST_F(KittiDatasetTest, DigestIsOfContentNotOfPlace) {
  TestFolder elsewhere;
  WriteTo(elsewhere.path());
  const std::string digest =
      (*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ((*OpenStereoDataset("kitti:" + elsewhere.path().string(),
                                runtime::DatasetAccess::Unlimited()))
                ->digest(),
            digest);
  ASSERT_TRUE(WriteFileAtomically(File("label_2/000001.txt"), "").ok());
  EXPECT_NE((*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest(), digest);
}

// Opening again reads no file that is as it was, but sees every one that isn't.
TEST_F(KittiDatasetTest, DigestFollowsContentAtOnce) {
  const std::string before =
      (*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest();
  EXPECT_EQ((*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest(), before);
  const std::string labels = *ReadFile(File("label_2/000001.txt"));
  std::string changed = labels;
  changed[0] = changed[0] == 'C' ? 'P' : 'C';  // The same size.
  ASSERT_TRUE(WriteFileAtomically(File("label_2/000001.txt"), changed).ok());
  EXPECT_NE((*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest(), before);
  ASSERT_TRUE(WriteFileAtomically(File("label_2/000001.txt"), labels).ok());
  EXPECT_EQ((*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest(), before);
  fs::remove(File("image_3/000001.png"));
  EXPECT_NE((*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest(), before);
  EXPECT_EQ(
      (*OpenStereoDataset(Uri("?disparity=file"), runtime::DatasetAccess::Unlimited()))->digest(),
      (*OpenStereoDataset(Uri("?disparity=file"), runtime::DatasetAccess::Unlimited()))->digest());
  EXPECT_NE(
      (*OpenStereoDataset(Uri("?disparity=file"), runtime::DatasetAccess::Unlimited()))->digest(),
      (*OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()))->digest());
}

TEST_F(KittiDatasetTest, MissingOptionalFileIsFoundWhenAskedFor) {
  fs::remove(File("image_3/000000.png"));
  const auto dataset = OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE((*dataset)->LeftImage(Split::kTrain, 0).ok());
  const absl::Status missing = (*dataset)->RightImage(Split::kTrain, 0).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("image_3/000000.png"));
}

TEST_F(KittiDatasetTest, MissingRequiredFile) {
  fs::remove(File("calib/000001.txt"));
  const absl::Status status =
      OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("calib/000001.txt"));
}

TEST_F(KittiDatasetTest, DamagedFilesAreNamed) {
  ASSERT_TRUE(WriteFileAtomically(File("image_2/000000.png"), "no image").ok());
  ASSERT_TRUE(WriteFileAtomically(File("label_2/000000.txt"), "Car 1 2\n").ok());
  fs::copy_file(File("image_2/000001.png"), File("disp_occ_0/000000.png"),
                fs::copy_options::overwrite_existing);
  const auto dataset = OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok());
  const absl::Status image = (*dataset)->LeftImage(Split::kTrain, 0).status();
  EXPECT_EQ(image.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(image.message(), HasSubstr("image_2/000000.png"));
  EXPECT_THAT((*dataset)->Labels(Split::kTrain, 0).status().message(),
              HasSubstr("label_2/000000.txt:1:"));
  EXPECT_THAT((*dataset)->Disparity(Split::kTrain, 0).status().message(), HasSubstr("16-bit"));
}

TEST_F(KittiDatasetTest, RefusesWhatIsNoUri) {
  for (const char* uri :
       {"", "kitti:", "rendered:", "rendered:huge", "cityscapes:/data", "/data"}) {
    EXPECT_EQ(OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << uri;
  }
  for (const char* query : {"?tset=a", "?train=a&train=b", "?train=../x"}) {
    EXPECT_EQ(OpenStereoDataset(Uri(query), runtime::DatasetAccess::Unlimited()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << query;
  }
  EXPECT_EQ(
      OpenStereoDataset("kitti:/nowhere", runtime::DatasetAccess::Unlimited()).status().code(),
      absl::StatusCode::kNotFound);
  EXPECT_THAT(OpenStereoDataset(Uri("?train=absent"), runtime::DatasetAccess::Unlimited())
                  .status()
                  .message(),
              HasSubstr("ImageSets/absent.txt"));
}

TEST_F(KittiDatasetTest, RefusesExamplesAndTensorsItLacks) {
  const auto dataset = OpenStereoDataset(Uri(), runtime::DatasetAccess::Unlimited());
  EXPECT_EQ((*dataset)->LeftImage(Split::kTest, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*dataset)->LeftImage(Split::kTest, -1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*dataset)->RequestInputs(Split::kTest, 0, {"labels"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ImageTensorTest, RoundTripOfACroppedImage) {
  cv::Mat image(10, 12, CV_8UC3);
  cv::randu(image, 0, 255);
  const cv::Mat part = image(cv::Rect(2, 3, 5, 4));  // Not contiguous.
  const auto back = ImageFromTensor(ImageToTensor(part), "left");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(cv::norm(*back, part, cv::NORM_INF), 0);
}

TEST(ImageTensorTest, RefusesOtherTensors) {
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{4, 4}, {4, 4, 4}, {0, 4, 3}, {100000, 1, 3}}) {
    EXPECT_FALSE(
        ImageFromTensor(runtime::MakeTensor(runtime::Datatype::kUint8, shape), "left").ok());
  }
  EXPECT_FALSE(
      ImageFromTensor(runtime::MakeTensor(runtime::Datatype::kFp32, {4, 4, 3}), "left").ok());
}

}  // namespace
}  // namespace backfire::datasets
