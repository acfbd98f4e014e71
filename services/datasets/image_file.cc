#include "services/datasets/image_file.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::datasets {
namespace {

// OpenCV stores BGR; everything here is RGB. Done by hand: imgproc is not needed for that.
cv::Mat SwapRedAndBlue(const cv::Mat& image) {
  cv::Mat swapped(image.size(), CV_8UC3);
  const int from_to[] = {0, 2, 1, 1, 2, 0};
  cv::mixChannels(&image, 1, &swapped, 1, from_to, 3);
  return swapped;
}

absl::StatusOr<cv::Mat> Decode(const std::filesystem::path& path, int flags) {
  BACKFIRE_ASSIGN_OR_RETURN(std::string content, ReadFile(path));
  cv::Mat image;
  try {
    if (!content.empty()) {
      image = cv::imdecode(cv::Mat(1, static_cast<int>(content.size()), CV_8UC1, content.data()),
                           flags);
    }
  } catch (const cv::Exception& error) {
    return absl::DataLossError(absl::StrCat(path.string(), ": ", error.what()));
  }
  if (image.empty()) return absl::DataLossError(absl::StrCat(path.string(), ": not an image"));
  return image;
}

absl::StatusOr<std::string> Encode(const cv::Mat& image) {
  std::vector<uchar> bytes;
  try {
    if (!cv::imencode(".png", image, bytes)) return absl::InternalError("cannot encode a PNG");
  } catch (const cv::Exception& error) {
    return absl::InternalError(absl::StrCat("cannot encode a PNG: ", error.what()));
  }
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

absl::StatusOr<cv::Mat> ReadRgbImage(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, Decode(path, cv::IMREAD_COLOR));
  return SwapRedAndBlue(image);
}

absl::StatusOr<cv::Mat> ReadDisparityImage(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, Decode(path, cv::IMREAD_UNCHANGED));
  if (image.type() != CV_16UC1) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": disparities must be a 16-bit image of one channel"));
  }
  cv::Mat disparity;
  image.convertTo(disparity, CV_32F, 1.0 / 256);
  return disparity;
}

absl::StatusOr<std::string> EncodeRgbPng(const cv::Mat& rgb) {
  if (rgb.type() != CV_8UC3) return absl::InternalError("EncodeRgbPng: not CV_8UC3");
  return Encode(SwapRedAndBlue(rgb));
}

absl::StatusOr<std::string> EncodeDisparityPng(const cv::Mat& disparity) {
  if (disparity.type() != CV_32FC1) return absl::InternalError("EncodeDisparityPng: not CV_32FC1");
  cv::Mat image(disparity.size(), CV_16UC1);
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      const float value = disparity.at<float>(y, x);
      image.at<uint16_t>(y, x) =
          value > 0 ? static_cast<uint16_t>(std::clamp(std::round(value * 256), 1.0f, 65535.0f))
                    : uint16_t{0};
    }
  }
  return Encode(image);
}

absl::Status WriteRgbImage(const std::filesystem::path& path, const cv::Mat& rgb) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, EncodeRgbPng(rgb));
  return WriteFileAtomically(path, content);
}

}  // namespace backfire::datasets
