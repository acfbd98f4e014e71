#include "services/datasets/rendered_dataset.h"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "services/base/file.h"
#include "services/datasets/stereo_dataset.h"
#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;

class RenderedDatasetTest : public ::testing::Test {
 protected:
  absl::StatusOr<RenderOutcome> Render(int threads = 1) {
    return RenderDataset(
        options_, target_, threads, [this](int64_t done, int64_t) { done_ = done; },
        [this] { return done_ >= cancel_after_; });
  }

  TestFolder folder_;
  const fs::path target_ = folder_.path() / "data";
  RenderedDatasetOptions options_ = {{}, 3, 1, 2, 7};
  int64_t done_ = 0;
  int64_t cancel_after_ = 1000;
};

TEST_F(RenderedDatasetTest, IsReadByTheKittiReader) {
  const auto outcome = Render();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(*outcome, RenderOutcome::kRendered);
  EXPECT_EQ(done_, 6);
  const auto dataset =
      OpenStereoDataset("kitti:" + target_.string() + "?train=train&validation=val&test=test",
                        runtime::DatasetAccess::Unlimited());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(Split::kTrain), 3);
  EXPECT_EQ((*dataset)->size(Split::kValidation), 1);
  EXPECT_EQ((*dataset)->size(Split::kTest), 2);
  const StereoFrame frame = RenderFrame(*FindRenderProfile("tiny"), 7, Split::kTest, 1);
  EXPECT_EQ(cv::norm(*(*dataset)->LeftImage(Split::kTest, 1), frame.left, cv::NORM_INF), 0);
  EXPECT_FALSE(fs::exists(target_.string() + ".partial"));
}

TEST_F(RenderedDatasetTest, ThreadsChangeNothing) {
  ASSERT_TRUE(Render().ok());
  const std::string one =
      (*OpenStereoDataset("kitti:" + target_.string(), runtime::DatasetAccess::Unlimited()))
          ->digest();
  fs::remove_all(target_);
  ASSERT_TRUE(Render(3).ok());
  EXPECT_EQ((*OpenStereoDataset("kitti:" + target_.string(), runtime::DatasetAccess::Unlimited()))
                ->digest(),
            one);
}

TEST_F(RenderedDatasetTest, SecondTimeDoesNothing) {
  ASSERT_TRUE(Render().ok());
  done_ = 0;
  const auto outcome = Render();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(*outcome, RenderOutcome::kWasThere);
  EXPECT_EQ(done_, 0);
}

TEST_F(RenderedDatasetTest, LeavesOtherThingsAlone) {
  ASSERT_TRUE(WriteFileAtomically(target_ / "precious.txt", "x").ok());
  EXPECT_EQ(Render().status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(fs::exists(target_ / "precious.txt"));
  fs::remove_all(target_);
  ASSERT_TRUE(Render().ok());
  options_.seed = 8;
  EXPECT_EQ(Render().status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(RenderedDatasetTest, CancelledLeavesNothingBehind) {
  cancel_after_ = 2;
  EXPECT_EQ(Render().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(RenderedDatasetTest, WhatAKilledProcessLeftIsNoHindrance) {
  ASSERT_TRUE(WriteFileAtomically(target_.string() + ".partial/training/calib/9.txt", "half").ok());
  ASSERT_TRUE(Render().ok());
  EXPECT_FALSE(fs::exists(target_ / "training/calib/9.txt"));
}

TEST_F(RenderedDatasetTest, RefusesBadOptions) {
  options_.train = -1;
  EXPECT_EQ(Render().status().code(), absl::StatusCode::kInvalidArgument);
  options_ = {{}, 0, 0, 0, 1};
  EXPECT_EQ(Render().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

}  // namespace
}  // namespace backfire::datasets
