#include "services/vision/lidar_report.h"

#include <cmath>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/metrics/disparity_error.h"

namespace backfire::vision {
namespace {

// NaN and infinity have no JSON.
std::string Json(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.6g", value) : "null";
}

}  // namespace

std::vector<LidarError> CompareWithLidar(const std::vector<ReleaseView>& views,
                                         const cv::Mat& lidar) {
  std::vector<LidarError> errors;
  for (const ReleaseView& view : views) {
    // Rows that were cropped away are 0 in the view. To the nearest: a mean of them with their
    // neighbours would be no disparity.
    cv::Mat shown, disparity;
    cv::resize(view.disparity, disparity, lidar.size(), 0, 0, cv::INTER_LINEAR);
    cv::resize(view.disparity, shown, lidar.size(), 0, 0, cv::INTER_NEAREST);
    LidarError error;
    error.release = view.release;
    cv::Mat truth = lidar.clone();
    for (int y = 0; y < truth.rows; ++y) {
      for (int x = 0; x < truth.cols; ++x) {
        if (!(truth.at<float>(y, x) > 0) || shown.at<float>(y, x) != 0) continue;
        truth.at<float>(y, x) = 0;
        ++error.not_shown;
      }
    }
    const auto sums = metrics::SumDisparityErrors(disparity.ptr<float>(), truth.ptr<float>(),
                                                  static_cast<int64_t>(truth.total()), 1);
    error.points = static_cast<int64_t>(sums.pixels[0]);
    error.mae_px = sums.absolute_error_px[0] / sums.pixels[0];
    error.d1_percent = 100 * sums.bad_pixels[0] / sums.pixels[0];
    errors.push_back(error);
  }
  return errors;
}

std::string FormatLidarTable(const std::vector<LidarError>& errors) {
  std::string text = absl::StrFormat("%-10s %16s %16s %10s %10s\n", "release", "disparity MAE px",
                                     "disparity D1 %", "points", "not shown");
  for (const LidarError& e : errors) {
    absl::StrAppendFormat(&text, "%-10s %16.3f %16.2f %10d %10d\n", e.release, e.mae_px,
                          e.d1_percent, e.points, e.not_shown);
  }
  return text;
}

std::string FormatLidarJson(const std::vector<LidarError>& errors) {
  std::string text = "{\"lidar\": [";
  for (size_t i = 0; i < errors.size(); ++i) {
    const LidarError& e = errors[i];
    absl::StrAppend(&text, i == 0 ? "" : ", ", "{\"release\": \"", e.release,
                    "\", \"disparity_mae_px\": ", Json(e.mae_px),
                    ", \"disparity_d1_percent\": ", Json(e.d1_percent), ", \"points\": ", e.points,
                    ", \"not_shown\": ", e.not_shown, "}");
  }
  return text + "]}\n";
}

}  // namespace backfire::vision
