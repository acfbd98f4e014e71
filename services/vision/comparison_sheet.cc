#include "services/vision/comparison_sheet.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_format.h"
#include "services/vision/birds_eye_view.h"
#include "services/vision/canvas.h"
#include "services/vision/disparity_colours.h"
#include "services/vision/image_overlay.h"

namespace backfire::vision {
namespace {

constexpr int kSheetWidth = 1280, kTitle = 26, kColumnName = 24, kFrameName = 22, kColumnGap = 6,
              kScale = 36, kFromAbove = 300;

// What a frame's cells have in common.
struct FrameLayout {
  cv::Size image;
  int Height() const { return kFrameName + 2 * (image.height + 2) + kFromAbove + kColumnGap; }
};

cv::Mat DrawCellImage(const PageContent& frame, size_t column, cv::Size size) {
  cv::Mat image;
  cv::resize(frame.left, image, size, 0, 0,
             size.width > frame.left.cols ? cv::INTER_CUBIC : cv::INTER_AREA);
  std::vector<BoxLayer> layers;
  if (frame.labels.has_value()) {
    layers.push_back({&*frame.labels, Palette::GroundTruth(), 1, /*with_score=*/false,
                      /*with_label=*/false});
  }
  layers.push_back({&frame.layers[column].detections, Palette::Release(column), 2,
                    /*with_score=*/true, /*with_label=*/false});
  DrawBoxes(image, static_cast<double>(size.width) / frame.left.cols, layers);
  return image;
}

cv::Mat DrawCellFromAbove(const PageContent& frame, size_t column, double depth, int width) {
  BirdsEyeScene scene;
  scene.points = &frame.layers[column].points;
  scene.max_depth_m = depth;
  scene.tangent_of_half_view =
      frame.left.cols / 2.0 / std::max(frame.calibration.focal_length_px(), 1.0);
  if (frame.labels.has_value()) {
    scene.layers.push_back({&*frame.labels, Palette::GroundTruth(), 2, /*with_score=*/false});
  }
  scene.layers.push_back({&frame.layers[column].detections, Palette::Release(column), 2});
  return DrawBirdsEyeView(scene, {width, kFromAbove});
}

}  // namespace

cv::Mat DrawComparison(const std::string& title, const std::vector<PageContent>& frames,
                       double max_depth_m) {
  const int columns = std::max<int>(1, static_cast<int>(frames.front().layers.size()));
  const int width = (kSheetWidth - (columns - 1) * kColumnGap) / columns;
  std::vector<FrameLayout> layouts;
  double range = 5;
  int height = kTitle + kColumnName + kScale;
  for (const PageContent& frame : frames) {
    layouts.push_back({{width, std::max(1, width * frame.left.rows / frame.left.cols)}});
    height += layouts.back().Height();
    for (const PageLayer& layer : frame.layers) {
      range = std::max(range, DisplayRange(layer.disparity));
    }
  }
  cv::Mat sheet(height, kSheetWidth, CV_8UC3, Palette::Background());
  const auto place = [&sheet](const cv::Mat& picture, int x, int y) {
    picture.copyTo(sheet(cv::Rect(x, y, picture.cols, picture.rows)));
  };
  const auto left_of = [&](int column) { return column * (width + kColumnGap); };

  DrawText(sheet, title, {8, 18}, Palette::Text(), 0.48);
  const std::string truth = "ground truth";
  const int truth_left = kSheetWidth - TextSize(truth).width - 10;
  DrawText(sheet, truth, {truth_left, 18}, Palette::Text());
  cv::rectangle(sheet, cv::Rect(truth_left - 20, 8, 14, 11), Palette::GroundTruth(), cv::FILLED);
  int y = kTitle;
  for (int c = 0; c < columns; ++c) {
    const auto column = static_cast<size_t>(c);
    cv::rectangle(sheet, cv::Rect(left_of(c) + 8, y + 5, 14, 11), Palette::Release(column),
                  cv::FILLED);
    DrawText(sheet, frames.front().layers[column].name, {left_of(c) + 28, y + 16}, Palette::Text(),
             0.5);
  }
  y += kColumnName;
  for (size_t f = 0; f < frames.size(); ++f) {
    const PageContent& frame = frames[f];
    const cv::Size size = layouts[f].image;
    DrawText(sheet, frame.title, {8, y + 15}, Palette::DimText(), 0.42);
    const int top = y + kFrameName;
    for (int c = 0; c < columns; ++c) {
      const auto column = static_cast<size_t>(c);
      place(DrawCellImage(frame, column, size), left_of(c), top);
      cv::Mat map;
      cv::resize(ColourDisparity(frame.layers[column].disparity, range), map, size, 0, 0,
                 cv::INTER_NEAREST);
      place(map, left_of(c), top + size.height + 2);
      place(DrawCellFromAbove(frame, column, max_depth_m, width), left_of(c),
            top + 2 * (size.height + 2));
    }
    y += layouts[f].Height();
  }
  const double fb =
      frames.front().calibration.focal_length_px() * frames.front().calibration.baseline_m();
  const std::string scale = absl::StrFormat(
      "from above: rings every 10 m, to %g m    disparity: %g px is %.1f m, black is none",
      max_depth_m, range, fb / range);
  const int text = TextSize(scale, 0.42).width + 24;
  DrawText(sheet, scale, {8, y + 14}, Palette::DimText(), 0.42);
  place(DisparityLegend(range, {kSheetWidth - text, kScale}), text, y);
  return sheet;
}

}  // namespace backfire::vision
