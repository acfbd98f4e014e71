#include "services/vision/canvas.h"

#include <algorithm>
#include <array>
#include <opencv2/imgproc.hpp>

namespace backfire::vision {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

}  // namespace

cv::Scalar Palette::Release(size_t i) {
  static const std::array<cv::Scalar, 4> colours = {
      {{255, 150, 40}, {80, 170, 255}, {240, 90, 220}, {245, 230, 80}}};
  return colours[i % colours.size()];
}

cv::Size TextSize(const std::string& text, double scale) {
  int baseline = 0;
  cv::Size size = cv::getTextSize(text, kFont, scale, 1, &baseline);
  size.height += baseline;
  return size;
}

void DrawText(cv::Mat& image, const std::string& text, cv::Point at, const cv::Scalar& colour,
              double scale) {
  cv::putText(image, text, at, kFont, scale, colour, 1, cv::LINE_AA);
}

bool LabelPlacer::Draw(cv::Mat& image, const std::string& text,
                       const std::vector<cv::Point>& corners, const cv::Scalar& colour,
                       double scale) {
  int baseline = 0;
  const cv::Size size = cv::getTextSize(text, kFont, scale, 1, &baseline);
  for (const cv::Point& corner : corners) {
    const cv::Rect plate(corner.x, corner.y, size.width + 6, size.height + 7);
    if ((plate & area_) != plate) continue;
    if (std::any_of(taken_.begin(), taken_.end(),
                    [&plate](const cv::Rect& other) { return (plate & other).area() > 0; })) {
      continue;
    }
    taken_.push_back(plate);
    cv::Mat background = image(plate);
    background = background * 0.25;
    DrawText(image, text, {plate.x + 3, plate.y + size.height + 3}, colour, scale);
    return true;
  }
  return false;
}

}  // namespace backfire::vision
