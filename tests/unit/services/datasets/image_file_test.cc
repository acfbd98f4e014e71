#include "services/datasets/image_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <opencv2/imgcodecs.hpp>

#include "tests/unit/services/datasets/test_folder.h"

namespace backfire::datasets {
namespace {

using ::testing::HasSubstr;

class ImageFileTest : public ::testing::Test {
 protected:
  static std::string Encoded(const char* format) {
    std::vector<unsigned char> bytes;
    EXPECT_TRUE(cv::imencode(format, cv::Mat(48, 64, CV_8UC3, cv::Scalar(9, 90, 200)), bytes));
    return {bytes.begin(), bytes.end()};
  }
  absl::StatusOr<cv::Mat> Read(const std::string& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return ReadRgbImage(path_);
  }

  const TestFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "image";
};

TEST_F(ImageFileTest, ReadsPngAndJpegWhateverTheyAreCalled) {
  for (const char* format : {".png", ".jpg"}) {
    const auto image = Read(Encoded(format));
    ASSERT_TRUE(image.ok()) << format << image.status();
    EXPECT_EQ(image->size(), cv::Size(64, 48)) << format;
  }
}

// Each decoder is one more that a stranger's file gets into.
TEST_F(ImageFileTest, OtherFormatsReachNoDecoder) {
  for (const char* format : {".bmp", ".tiff", ".ppm"}) {
    const auto image = Read(Encoded(format));
    EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss) << format;
    EXPECT_THAT(image.status().message(), HasSubstr("not a PNG or JPEG")) << format;
  }
}

TEST_F(ImageFileTest, WhatSaysThatItIsHugeIsNotDecoded) {
  std::string png = Encoded(".png");
  png.replace(16, 8, std::string("\0\0\xff\xff\0\0\xff\xff", 8));
  EXPECT_THAT(Read(png).status().message(), HasSubstr("65535x65535 pixels"));
  // Of a JPEG, the size is in the segment that starts the frame, which is baseline here.
  std::string jpeg = Encoded(".jpg");
  const size_t frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\xf0\xff\xf1");
  const auto image = Read(jpeg);
  EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(image.status().message(), HasSubstr("65521x65520 pixels"));
}

TEST_F(ImageFileTest, AnyTruncationIsDataLossOrAnImageOfItsSize) {
  const std::string jpeg = Encoded(".jpg");
  for (size_t length = 0; length < jpeg.size(); length += 7) {
    const auto image = Read(jpeg.substr(0, length));
    if (image.ok()) {
      EXPECT_EQ(image->size(), cv::Size(64, 48));
    } else {
      EXPECT_EQ(image.status().code(), absl::StatusCode::kDataLoss) << length;
    }
  }
}

}  // namespace
}  // namespace backfire::datasets
