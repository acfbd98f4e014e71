#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

namespace backfire::vision {

/// Colours of pages, RGB.
struct Palette {
  static cv::Scalar Background() { return {22, 24, 29}; }
  static cv::Scalar Panel() { return {32, 35, 42}; }
  static cv::Scalar Line() { return {70, 75, 86}; }
  static cv::Scalar Text() { return {225, 228, 235}; }
  static cv::Scalar DimText() { return {150, 156, 168}; }
  static cv::Scalar GroundTruth() { return {70, 220, 100}; }
  /// Of the i-th release on a page: orange, blue, magenta, yellow; told apart also by people who
  /// see red and green alike.
  static cv::Scalar Release(size_t i);
};

/// How large a text will be.
cv::Size TextSize(const std::string& text, double scale = 0.45);
/// Writes text whose lower left corner is at `at`.
void DrawText(cv::Mat& image, const std::string& text, cv::Point at, const cv::Scalar& colour,
              double scale = 0.45);

/// Puts small labels where they cover neither each other nor leave the picture.
class LabelPlacer {
 public:
  explicit LabelPlacer(cv::Rect area) : area_(area) {}
  /// Draws `text` on a dark plate at the first of `corners` (upper left) where it fits. Returns
  /// false, and draws nothing, where none does.
  bool Draw(cv::Mat& image, const std::string& text, const std::vector<cv::Point>& corners,
            const cv::Scalar& colour, double scale = 0.42);

 private:
  const cv::Rect area_;
  std::vector<cv::Rect> taken_;
};

}  // namespace backfire::vision
