#include "services/datasets/image_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
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

constexpr absl::string_view kPngStart = "\x89PNG\r\n\x1a\n";
// Signature, length and name of the first chunk, width and height.
constexpr size_t kPngHead = 24;

// A big-endian number of 2 or 4 bytes; the caller knows that they are there.
int64_t Number(absl::string_view bytes, size_t at, size_t width) {
  int64_t value = 0;
  for (size_t i = at; i < at + width; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Width and height of a JPEG: its segments, each a marker of two bytes and its length in two more,
// up to the one that starts a frame (ITU-T T.81, B.1.1 and B.2.2). nullopt: there is none before
// the first scan.
std::optional<std::pair<int64_t, int64_t>> JpegSize(absl::string_view bytes) {
  for (size_t at = 2; at + 9 <= bytes.size();) {
    const auto marker = static_cast<unsigned char>(bytes[at + 1]);
    if (bytes[at] != '\xFF' || marker == 0xD9 || marker == 0xDA) return std::nullopt;
    if (marker == 0xFF) {  // Markers may have any number of these before them.
      ++at;
      continue;
    }
    const bool starts_frame =
        marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (starts_frame) return std::pair(Number(bytes, at + 7, 2), Number(bytes, at + 5, 2));
    at += 2 + static_cast<size_t>(std::max<int64_t>(Number(bytes, at + 2, 2), 2));
  }
  return std::nullopt;
}

// The size that a PNG or JPEG says of itself in its first bytes. Nothing else is given to a
// decoder: OpenCV knows a dozen formats, and a small file may say that it is a picture of
// gigabytes.
absl::StatusOr<cv::Size> SaidSize(const std::filesystem::path& path, absl::string_view bytes) {
  constexpr int64_t kMaxPixels = int64_t{1} << 26;  // 8192 x 8192.
  std::optional<std::pair<int64_t, int64_t>> size;
  if (bytes.size() >= kPngHead && absl::StartsWith(bytes, kPngStart) &&
      bytes.substr(12, 4) == "IHDR") {
    size = {Number(bytes, 16, 4), Number(bytes, 20, 4)};
  } else if (absl::StartsWith(bytes, "\xFF\xD8\xFF")) {
    size = JpegSize(bytes);
  }
  if (!size.has_value()) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": not a PNG or JPEG, or a damaged one"));
  }
  const auto [width, height] = *size;
  if (width <= 0 || height <= 0 || height > kMaxPixels / width) {
    return absl::DataLossError(absl::StrCat(path.string(), ": a picture of ", width, "x", height,
                                            " pixels: at most ", kMaxPixels, " are read"));
  }
  return cv::Size(static_cast<int>(width), static_cast<int>(height));
}

absl::StatusOr<cv::Mat> Decode(const std::filesystem::path& path, int flags) {
  BACKFIRE_ASSIGN_OR_RETURN(std::string content, ReadRegularFile(path));
  if (content.empty()) return absl::DataLossError(absl::StrCat(path.string(), ": an empty file"));
  BACKFIRE_RETURN_IF_ERROR(SaidSize(path, content).status());
  // A PNG that ends early may still be decoded in part; its last chunk says that it is whole.
  if (absl::StartsWith(content, "\x89PNG") && !absl::StrContains(content, "IEND")) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": a PNG that is cut off after ", content.size(), " bytes"));
  }
  cv::Mat image;
  try {
    image =
        cv::imdecode(cv::Mat(1, static_cast<int>(content.size()), CV_8UC1, content.data()), flags);
  } catch (const cv::Exception& error) {
    return absl::DataLossError(absl::StrCat(path.string(), ": ", error.what()));
  }
  if (image.empty()) {
    return absl::DataLossError(absl::StrCat(path.string(), ": a damaged image"));
  }
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

absl::StatusOr<std::vector<std::string>> ListPngs(const std::filesystem::path& folder,
                                                  const std::function<absl::Status()>& go_on) {
  static constexpr absl::string_view kPictures[] = {".png", ".jpg", ".jpeg", ".bmp",  ".ppm",
                                                    ".pgm", ".pfm", ".tif",  ".tiff", ".webp"};
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (go_on) BACKFIRE_RETURN_IF_ERROR(go_on());
    const std::string extension = entry->path().extension().string();
    if (extension == ".png") {
      names.push_back(entry->path().filename().string());
    } else if (std::count(std::begin(kPictures), std::end(kPictures),
                          absl::AsciiStrToLower(extension)) > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(entry->path().string(),
                       ": pictures must be PNG files, and named so: NNNNNN.png: convert or rename "
                       "it, and those like it"));
    }
  }
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("list ", folder.string()));
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<cv::Size> ReadPngSize(const std::filesystem::path& path) {
  std::array<char, kPngHead> head{};
  std::error_code error;
  const bool is_regular = std::filesystem::is_regular_file(path, error);
  if (!is_regular && std::filesystem::exists(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " is not a regular file"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoToStatus(errno, absl::StrCat("open ", path.string()));
  file.read(head.data(), head.size());
  const absl::string_view bytes(head.data(), head.size());
  if (!file || !absl::StartsWith(bytes, kPngStart)) {
    return absl::DataLossError(absl::StrCat(path.string(), ": not a PNG"));
  }
  return SaidSize(path, bytes);
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
