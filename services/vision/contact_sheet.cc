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
  const cv::Scalar people_colour = Palette::Release(0);
  DrawText(sheet, title, {12, 18}, Palette::Text(), 0.5);
  DrawText(sheet, "Pedestrian", {kWidth - 90, 18}, people_colour);
  DrawText(sheet, "Car and others", {kWidth - 215, 18}, Palette::GroundTruth());
  DrawText(sheet, "DontCare", {kWidth - 305, 18}, Palette::DimText());
  for (int i = 0; i < static_cast<int>(frames.size()); ++i) {
    const SheetFrame& frame = frames[static_cast<size_t>(i)];
    cv::Mat picture;
    cv::resize(frame.left, picture, {cell, picture_height(frame.left)}, 0, 0,
               cell > frame.left.cols ? cv::INTER_CUBIC : cv::INTER_AREA);
    // Too small for text: colours tell the classes apart.
    std::vector<metrics::Object> people, others;
    for (const metrics::Object& label : frame.labels) {
      (label.type == "Pedestrian" ? people : others).push_back(label);
    }
    DrawBoxes(picture, static_cast<double>(cell) / frame.left.cols,
              {{&others, Palette::GroundTruth(), 1, false, /*with_label=*/false},
               {&people, people_colour, 1, false, /*with_label=*/false}});
    const cv::Point at(i % columns * (cell + kGap), kHeading + i / columns * pitch);
    DrawText(sheet, frame.name, {at.x + 4, at.y + 14}, Palette::DimText(), 0.42);
    picture.copyTo(sheet(cv::Rect(at.x, at.y + kCaption, picture.cols, picture.rows)));
  }
  return sheet;
}

}  // namespace backfire::vision
