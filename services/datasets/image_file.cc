#include "services/datasets/image_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
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

// A small file may say that it is a picture of gigabytes.
absl::Status CheckPixels(const std::filesystem::path& path, int64_t width, int64_t height) {
  constexpr int64_t kMaxPixels = int64_t{1} << 26;  // 8192 x 8192.
  if (width > 0 && height > 0 && height <= kMaxPixels / width) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path.string(), ": a PNG of ", width, "x", height, " pixels"));
}

absl::StatusOr<cv::Mat> Decode(const std::filesystem::path& path, int flags) {
  BACKFIRE_ASSIGN_OR_RETURN(std::string content, ReadRegularFile(path));
  // A PNG that ends early may still be decoded in part; its last chunk says that it is whole.
  if (absl::StartsWith(content, "\x89PNG") && !absl::StrContains(content, "IEND")) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": a PNG that is cut off after ", content.size(), " bytes"));
  }
  cv::Mat image;
  try {
    if (!content.empty()) {
      image = cv::imdecode(cv::Mat(1, static_cast<int>(content.size()), CV_8UC1, content.data()),
                           flags);
    }
  } catch (const cv::Exception& error) {
    return absl::DataLossError(absl::StrCat(path.string(), ": ", error.what()));
  }
  if (image.empty())
    return absl::DataLossError(absl::StrCat(
        path.string(), ": ", content.empty() ? "an empty file" : "not an image, or a damaged one"));
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
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image,
                            Decode(path, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH));
  if (image.depth() != CV_8U) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": must have 8 bits a channel: has ", 8 * image.elemSize1()));
  }
  return SwapRedAndBlue(image);
}

absl::StatusOr<cv::Mat> ReadDisparityImage(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, Decode(path, cv::IMREAD_UNCHANGED));
  if (image.type() != CV_16UC1) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": disparities must be a 16-bit image of one channel: has ",
                     8 * image.elemSize1(), " bits and ", image.channels(), " channel(s)"));
  }
  cv::Mat disparity;
  image.convertTo(disparity, CV_32F, 1.0 / 256);
  return disparity;
}

absl::StatusOr<cv::Size> ReadPngSize(const std::filesystem::path& path) {
  // Signature, length and name of the first chunk, width and height: big-endian.
  std::array<char, 24> head{};
  std::error_code error;
  const bool is_regular = std::filesystem::is_regular_file(path, error);
  if (!is_regular && std::filesystem::exists(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " is not a regular file"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoToStatus(errno, absl::StrCat("open ", path.string()));
  file.read(head.data(), head.size());
  const absl::string_view bytes(head.data(), head.size());
  if (!file || !absl::StartsWith(bytes, "\x89PNG\r\n\x1a\n") || bytes.substr(12, 4) != "IHDR") {
    return absl::DataLossError(absl::StrCat(path.string(), ": not a PNG"));
  }
  const auto number = [&head](size_t at) {
    uint32_t value = 0;
    for (size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<unsigned char>(head[i]);
    return static_cast<int>(std::min(value, 0x7FFFFFFFu));
  };
  const int width = number(16), height = number(20);
  BACKFIRE_RETURN_IF_ERROR(CheckPixels(path, width, height));
  return cv::Size(width, height);
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
