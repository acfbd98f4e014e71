#pragma once

#include <filesystem>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <opencv2/core/types.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::datasets {

/// Reads a PNG or JPEG as CV_8UC3, RGB. NOT_FOUND; DATA_LOSS: neither of these, of more than 2^26
/// pixels, cut off, or not of 8 bits a channel.
absl::StatusOr<cv::Mat> ReadRgbImage(const std::filesystem::path& path);

/// Reads disparities as KITTI stores them: 16-bit PNG, pixels times 256, 0 where unknown. Returns
/// CV_32FC1, pixels. NOT_FOUND; DATA_LOSS: as above, or not a 16-bit image of one channel.
absl::StatusOr<cv::Mat> ReadDisparityImage(const std::filesystem::path& path);

/// Names of a folder's pictures, sorted. FAILED_PRECONDITION: one that isn't `*.png`, which would
/// be left out else (`.PNG`, `.jpg`, `.tiff` ...). NOT_FOUND: no such folder. Other errors as
/// `go_on` has them, which is asked before each file, if there is one.
absl::StatusOr<std::vector<std::string>> ListPngs(
    const std::filesystem::path& folder, const std::function<absl::Status()>& go_on = nullptr);

/// The size of a PNG, from its first bytes. NOT_FOUND; DATA_LOSS: not a PNG.
absl::StatusOr<cv::Size> ReadPngSize(const std::filesystem::path& path);

/// PNG bytes of a CV_8UC3 RGB image.
absl::StatusOr<std::string> EncodeRgbPng(const cv::Mat& rgb);
/// PNG bytes of CV_32FC1 disparities, as ReadDisparityImage reads them: rounded to 1/256 px, at
/// most 255.99 px; what is not > 0 becomes 0.
absl::StatusOr<std::string> EncodeDisparityPng(const cv::Mat& disparity);

/// Writes a CV_8UC3 RGB image as PNG, whole or not at all.
absl::Status WriteRgbImage(const std::filesystem::path& path, const cv::Mat& rgb);

}  // namespace backfire::datasets
