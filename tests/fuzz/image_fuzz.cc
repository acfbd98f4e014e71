// Pictures of people's datasets: PNG and JPEG, of colours and of disparities.
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "services/datasets/image_file.h"
#include "tests/fuzz/fuzz_entry.h"
#include "tests/fuzz/fuzz_file.h"

namespace backfire::datasets {
namespace {

void FuzzImage(std::string_view content) {
  static const auto* const file = new FuzzFile("image");
  file->Write(content);
  const absl::StatusOr<cv::Mat> rgb = ReadRgbImage(file->path());
  if (rgb.ok()) {
    Require(rgb->type() == CV_8UC3 && !rgb->empty());
  } else {
    Require(absl::IsDataLoss(rgb.status()));
  }
  const absl::StatusOr<cv::Mat> disparity = ReadDisparityImage(file->path());
  if (disparity.ok()) {
    Require(disparity->type() == CV_32FC1 && cv::checkRange(*disparity, true, nullptr, 0, 256));
  } else {
    Require(absl::IsDataLoss(disparity.status()));
  }
  const absl::StatusOr<cv::Size> size = ReadPngSize(file->path());
  Require(size.ok() ? size->width > 0 && size->height > 0 : absl::IsDataLoss(size.status()));
  // Who looks at the first bytes alone learns what the decoder makes of all.
  if (size.ok() && rgb.ok()) Require(rgb->size() == *size);
}

}  // namespace
}  // namespace backfire::datasets

namespace backfire {

std::vector<std::string> FuzzExamples() {
  const cv::Mat rgb(4, 6, CV_8UC3, cv::Scalar(10, 200, 90));
  const cv::Mat disparity(4, 6, CV_32FC1, cv::Scalar(12.5));
  std::vector<unsigned char> jpeg;
  Require(cv::imencode(".jpg", rgb, jpeg));
  return {datasets::EncodeRgbPng(rgb).value(), datasets::EncodeDisparityPng(disparity).value(),
          std::string(jpeg.begin(), jpeg.end())};
}

std::vector<std::string> FuzzTokens() {
  return {"\x89PNG\r\n\x1a\n",
          "IHDR",
          "IDAT",
          "IEND",
          "PLTE",
          "tRNS",
          "gAMA",
          "eXIf",
          "\xff\xd8\xff",
          "\xff\xc0",
          "\xff\xc2",
          "\xff\xc4",
          "\xff\xda",
          "\xff\xd9",
          "\xff\xe1",
          "Exif",
          "BM",
          "II*",
          "RIFF",
          "P6\n"};
}

int FuzzRuns() { return 4000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  backfire::datasets::FuzzImage({reinterpret_cast<const char*>(data), size});
  return 0;
}
