// Pictures of people's datasets: PNG and JPEG, of colours and of disparities. The first byte says
// whether a PNG's checksums are mended, without which hardly a change gets past them.
#include <zlib.h>

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

// Writes a big-endian number of four bytes, or reads it.
void PutNumber(uint32_t number, char* to) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(number >> (24 - 8 * i));
}
uint32_t Number(const char* from) {
  uint32_t number = 0;
  for (int i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(from[i]);
  return number;
}

// Each chunk of a PNG is the length of its data, its name, its data, and the CRC-32 of these two.
std::string WithChecksums(std::string png) {
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t length = Number(&png[at]);
    if (length > png.size() - at - 12) break;
    const auto* named = reinterpret_cast<const Bytef*>(&png[at + 4]);
    const uLong checksum = crc32(0, named, static_cast<uInt>(length + 4));
    PutNumber(static_cast<uint32_t>(checksum), &png[at + 8 + length]);
    at += length + 12;
  }
  return png;
}

// Whether it may say that it is a picture of more than half a million pixels, and yet of few enough
// to be read. In a JPEG the height and width follow a frame's marker, its length and a byte.
bool IsCostly(std::string_view content) {
  constexpr uint64_t kFew = 1 << 19, kMostThatAreRead = 1 << 26;
  const auto costly = [](uint64_t pixels) { return pixels > kFew && pixels <= kMostThatAreRead; };
  const bool is_png = content.substr(0, 4) == "\x89PNG" && content.size() >= 24;
  if (is_png) return costly(uint64_t{Number(&content[16])} * Number(&content[20]));
  for (size_t at = 0; at + 9 <= content.size(); ++at) {
    if (content[at] != '\xFF' || (content[at + 1] & 0xF0) != 0xC0) continue;
    const uint32_t size = Number(&content[at + 5]);
    if (costly(uint64_t{size >> 16} * (size & 0xFFFF))) return true;
  }
  return false;
}

void FuzzImage(const std::string& content) {
  // A decoder makes room for all that a picture says it is, and blank rows of what is missing, in
  // tenths of a second: a search would do little else.
  if (IsCostly(content)) return;
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
  std::vector<std::string> examples;
  for (const std::string& image :
       {datasets::EncodeRgbPng(rgb).value(), datasets::EncodeDisparityPng(disparity).value(),
        std::string(jpeg.begin(), jpeg.end())}) {
    examples.push_back("0" + image);
    examples.push_back("1" + image);
  }
  return examples;
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
  using namespace backfire::datasets;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string content(reinterpret_cast<const char*>(data) + 1, size - 1);
  FuzzImage(data[0] % 2 == 1 ? WithChecksums(content) : content);
  return 0;
}
