#include "services/vision/contact_sheet.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "services/vision/canvas.h"
#include "services/vision/image_overlay.h"

namespace backfire::vision {

cv::Mat DrawContactSheet(const std::string& title, const std::vector<SheetFrame>& frames,
                         int columns) {
  constexpr int kWidth = 1280, kHeading = 26, kCaption = 20, kGap = 8;
  const int cell = (kWidth - (columns - 1) * kGap) / columns;
  const auto picture_height = [cell](const cv::Mat& image) {
    return std::max(1, cell * image.rows / image.cols);
  };
  int tallest = 1;  // Real frames differ a little in size.
  for (const SheetFrame& frame : frames) tallest = std::max(tallest, picture_height(frame.left));
  const int pitch = kCaption + tallest + kGap;
  const int rows = (static_cast<int>(frames.size()) + columns - 1) / columns;
  cv::Mat sheet(kHeading + rows * pitch, kWidth, CV_8UC3, Palette::Background());
  DrawText(sheet, title, {12, 18}, Palette::Text(), 0.5);
  for (int i = 0; i < static_cast<int>(frames.size()); ++i) {
    const SheetFrame& frame = frames[static_cast<size_t>(i)];
    cv::Mat picture;
    cv::resize(frame.left, picture, {cell, picture_height(frame.left)}, 0, 0,
               cell > frame.left.cols ? cv::INTER_CUBIC : cv::INTER_AREA);
    DrawBoxes(picture, static_cast<double>(cell) / frame.left.cols,
              {{&frame.labels, Palette::GroundTruth(), /*thickness=*/1, /*with_score=*/false}});
    const cv::Point at(i % columns * (cell + kGap), kHeading + i / columns * pitch);
    DrawText(sheet, frame.name, {at.x + 4, at.y + 14}, Palette::DimText(), 0.42);
    picture.copyTo(sheet(cv::Rect(at.x, at.y + kCaption, picture.cols, picture.rows)));
  }
  return sheet;
}

}  // namespace backfire::vision
