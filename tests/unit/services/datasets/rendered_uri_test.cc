// `rendered:` datasets: opened like any other, drawn on demand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <thread>

#include "services/datasets/frame_cache.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/rendered_dataset.h"
#include "services/datasets/stereo_dataset.h"
#include "services/datasets/stereo_loader.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

using runtime::Split;
using ::testing::HasSubstr;

constexpr char kUri[] = "rendered:tiny?frames=4&validation=1&test=2&seed=7";

TEST(RenderedUriTest, HasTheFramesThatRenderDatasetWrites) {
  TestFolder folder;
  const auto path = folder.path() / "data";
  ASSERT_TRUE(RenderDataset(
                  {{}, 4, 1, 2, 7}, path, 1, [](int64_t, int64_t) {}, [] { return false; })
                  .ok());
  const auto on_disk =
      OpenStereoDataset("kitti:" + path.string(), runtime::DatasetAccess::Unlimited());
  const auto on_demand = OpenStereoDataset(kUri, runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(on_demand.ok()) << on_demand.status();
  EXPECT_EQ((*on_demand)->uri(), kUri);
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    ASSERT_EQ((*on_demand)->size(split), (*on_disk)->size(split));
    for (int64_t i = 0; i < (*on_demand)->size(split); ++i) {
      EXPECT_EQ((*on_demand)->ExampleId(split, i), (*on_disk)->ExampleId(split, i));
      EXPECT_EQ(cv::norm(*(*on_demand)->RightImage(split, i), *(*on_disk)->RightImage(split, i),
                         cv::NORM_INF),
                0);
      EXPECT_EQ(FormatObjects(*(*on_demand)->Labels(split, i)),
                FormatObjects(*(*on_disk)->Labels(split, i)));
      EXPECT_LT(cv::norm(*(*on_demand)->VisibleDisparity(split, i),
                         *(*on_disk)->VisibleDisparity(split, i), cv::NORM_INF),
                0.5 / 256 + 1e-6);
    }
  }
  EXPECT_EQ((*on_demand)->LeftImage(Split::kTest, 2).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*on_demand)->LidarPoints(Split::kTest, 0).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(RenderedUriTest, DigestIsOverEverythingThatMatters) {
  const auto digest = [](const std::string& uri) {
    const auto dataset = OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited());
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return (*dataset)->digest();
  };
  const std::string base = digest(kUri);
  EXPECT_EQ(base.size(), 64u);
  EXPECT_EQ(digest("rendered:tiny?seed=7&test=2&frames=4&validation=1&cars=7"), base);
  EXPECT_EQ(digest("rendered:tiny?seed=7&test=2&frames=4&validation=1&height_scale=1"), base);
  for (const char* other : {"rendered:tiny?frames=4&validation=1&test=2&seed=8",
                            "rendered:tiny?frames=5&validation=1&test=2&seed=7",
                            "rendered:tiny?frames=4&validation=1&test=2&seed=7&cars=3",
                            "rendered:tiny?frames=4&validation=1&test=2&seed=7&height_scale=0.5",
                            "rendered:half?frames=4&validation=1&test=2&seed=7"}) {
    EXPECT_NE(digest(other), base) << other;
  }
  // By default a test split that can tell two points of AP apart.
  EXPECT_EQ((*OpenStereoDataset("rendered:tiny", runtime::DatasetAccess::Unlimited()))
                ->size(Split::kTest),
            320);
}

TEST(RenderedUriTest, FaultsNameTheParameter) {
  for (const auto& [query, part] : {std::pair("frames=-1", "frames"),
                                    {"frames=1e9", "frames"},
                                    {"seed=x", "seed"},
                                    {"cars=99", "cars must be a number in [0, 40]"},
                                    {"height_scale=0", "height_scale must be a number in (0, 10]"},
                                    {"colour=red", "\"colour\""},
                                    {"frames", "parameter=value"},
                                    {"seed=1&seed=2", "seed is given twice"},
                                    {"near_m=50&far_m=20", "far_m"},
                                    {"frames=0&validation=0&test=0", "all 0"}}) {
    const absl::Status status = OpenStereoDataset(std::string("rendered:tiny?") + query,
                                                  runtime::DatasetAccess::Unlimited())
                                    .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << query;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
}

TEST(FrameCacheTest, KeepsWhatWasUsedLastWithinItsBound) {
  FrameCache cache(2500);  // Two frames of 1200 bytes.
  int made = 0;
  const auto get = [&](int64_t key) {
    return cache.Get(key, [&] {
      ++made;
      StereoFrame frame;
      frame.left = cv::Mat(20, 20, CV_8UC3, cv::Scalar(static_cast<double>(key), 0, 0));
      return frame;
    });
  };
  const auto held = get(1);
  get(2);
  get(1);
  EXPECT_EQ(made, 2);
  get(3);  // 2 goes.
  EXPECT_LE(cache.bytes(), 2500u);
  get(1);
  EXPECT_EQ(made, 3);
  get(2);
  EXPECT_EQ(made, 4);
  EXPECT_EQ(held->left.at<cv::Vec3b>(0, 0)[0], 1);  // Who holds a frame keeps it.
}

TEST(StereoLoaderTest, OrderDependsOnSeedAndEpochAlone) {
  const std::vector<int64_t> order = EpochOrder(1, 0, 100);
  EXPECT_EQ(order, EpochOrder(1, 0, 100));
  EXPECT_NE(order, EpochOrder(1, 1, 100));
  EXPECT_NE(order, EpochOrder(2, 0, 100));
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[static_cast<size_t>(i)], i);
  EXPECT_TRUE(EpochOrder(1, 0, 0).empty());
}

TEST(StereoLoaderTest, ThreadsChangeNeitherOrderNorContent) {
  const auto dataset = *OpenStereoDataset(kUri, runtime::DatasetAccess::Unlimited());
  for (const int threads : {1, 3}) {
    StereoLoader::Options options;
    options.seed = 5;
    options.epochs = 3;
    options.threads = threads;
    options.ahead = 2;
    StereoLoader loader(dataset, Split::kTrain, options);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      for (const int64_t example : EpochOrder(5, epoch, 4)) {
        auto loaded = loader.Next();
        ASSERT_TRUE(loaded.ok() && loaded->has_value());
        EXPECT_EQ((*loaded)->example, example);
        EXPECT_EQ(cv::norm((*loaded)->frame.left, *dataset->LeftImage(Split::kTrain, example),
                           cv::NORM_INF),
                  0);
      }
    }
    EXPECT_FALSE(loader.Next()->has_value());
    EXPECT_LE(loader.most_waiting(), 2);
  }
}

TEST(StereoLoaderTest, CanBeLeftHalfWay) {
  StereoLoader::Options options;
  options.threads = 2;
  options.ahead = 2;
  StereoLoader loader(*OpenStereoDataset(kUri, runtime::DatasetAccess::Unlimited()), Split::kTrain,
                      options);
  EXPECT_TRUE(loader.Next().ok());
}

}  // namespace
}  // namespace backfire::datasets
