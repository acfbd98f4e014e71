#include "services/vision/stereo_input.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"

namespace backfire::vision {
namespace {

std::string SizeText(const cv::Mat& image) { return absl::StrCat(image.cols, "x", image.rows); }

cv::Mat Fit(const cv::Mat& image, const Placement& placement, int scaled_height) {
  cv::Mat scaled = image;
  const cv::Size scaled_size(placement.fitted.width, scaled_height);
  if (scaled_size != image.size()) {
    // Averaging when shrinking: anything else aliases, differently in both views.
    cv::resize(image, scaled, scaled_size, 0, 0,
               scaled_size.width < image.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
  }
  const int top = std::max(placement.crop_top, 0);
  const int bottom = std::min(placement.crop_top + placement.fitted.height, scaled_height);
  cv::Mat fitted;
  cv::copyMakeBorder(scaled.rowRange(top, bottom), fitted, std::max(-placement.crop_top, 0),
                     std::max(placement.crop_top + placement.fitted.height - scaled_height, 0), 0,
                     0, cv::BORDER_REPLICATE);
  return fitted;
}

}  // namespace

absl::StatusOr<StereoInput> ReadStereoInput(const std::filesystem::path& left,
                                            const std::filesystem::path& right,
                                            const std::filesystem::path& calibration) {
  StereoInput input;
  BACKFIRE_ASSIGN_OR_RETURN(input.left, datasets::ReadRgbImage(left));
  BACKFIRE_ASSIGN_OR_RETURN(input.right, datasets::ReadRgbImage(right));
  if (input.left.size() != input.right.size()) {
    return absl::DataLossError(
        absl::StrCat("left and right must be a rectified pair of one size: ", left.string(), " is ",
                     SizeText(input.left), ", ", right.string(), " is ", SizeText(input.right)));
  }
  BACKFIRE_ASSIGN_OR_RETURN(input.calibration, datasets::ReadCalibration(calibration));
  return input;
}

cv::Rect Placement::Content() const {
  const int scaled_height = static_cast<int>(std::lround(original.height * scale_y));
  const int top = std::max(-crop_top, 0);
  return cv::Rect(0, top, fitted.width, std::min(scaled_height - crop_top, fitted.height) - top);
}

int Placement::RowsLeftOut() const {
  return original.height -
         std::min(original.height, static_cast<int>(std::lround(Content().height / scale_y)));
}

absl::StatusOr<FittedInput> FitStereoInput(const StereoInput& input, cv::Size size) {
  const auto fits = [](int side) { return side >= 16 && side <= 4096 && side % 16 == 0; };
  if (!fits(size.width) || !fits(size.height)) {
    return absl::InvalidArgumentError(
        absl::StrCat("width and height must be multiples of 16 in [16, 4096]: got ", size.width,
                     "x", size.height));
  }
  Placement placement;
  placement.original = input.left.size();
  placement.fitted = size;
  placement.scale_x = static_cast<double>(size.width) / input.left.cols;
  const int scaled_height =
      std::max(1, static_cast<int>(std::lround(placement.scale_x * input.left.rows)));
  placement.scale_y = static_cast<double>(scaled_height) / input.left.rows;
  const double horizon = placement.scale_y * (input.calibration.centre_y_px() + 0.5) - 0.5;
  const int wanted = static_cast<int>(std::lround(horizon - kHorizonFraction * size.height));
  const int slack = scaled_height - size.height;  // Rows to crop; negative: to add.
  placement.crop_top = std::clamp(wanted, std::min(slack, 0), std::max(slack, 0));

  FittedInput fitted;
  fitted.placement = placement;
  fitted.input.left = Fit(input.left, placement, scaled_height);
  fitted.input.right = Fit(input.right, placement, scaled_height);
  fitted.input.calibration =
      datasets::ResizeAndCrop(input.calibration, placement.scale_x, placement.scale_y,
                              placement.crop_left, placement.crop_top);
  return fitted;
}

metrics::Box2d ToOriginal(const metrics::Box2d& fitted, const Placement& placement) {
  const auto x = [&placement](double u) {
    return std::clamp((u + 0.5 + placement.crop_left) / placement.scale_x - 0.5, 0.0,
                      placement.original.width - 1.0);
  };
  const auto y = [&placement](double v) {
    return std::clamp((v + 0.5 + placement.crop_top) / placement.scale_y - 0.5, 0.0,
                      placement.original.height - 1.0);
  };
  return {x(fitted.left), y(fitted.top), x(fitted.right), y(fitted.bottom)};
}

void MapToOriginal(std::vector<metrics::Object>& detections, const Placement& placement) {
  for (metrics::Object& detection : detections) {
    detection.box_2d = ToOriginal(detection.box_2d, placement);
  }
}

}  // namespace backfire::vision
