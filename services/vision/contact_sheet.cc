#include "services/vision/contact_sheet.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "services/vision/birds_eye_view.h"
#include "services/vision/canvas.h"
#include "services/vision/disparity_colours.h"
#include "services/vision/disparity_of_points.h"
#include "services/vision/image_overlay.h"

namespace backfire::vision {
namespace {

constexpr int kWidth = 1280, kHeading = 26, kCaption = 20, kGap = 8;

// A KITTI image is 3.3 times as wide as high; the bird's-eye view is as high as two of them.
constexpr double kImageShare = 0.64;

// Sizes within a cell.
struct CellLayout {
  int width, image_width;
  int ImageHeight(const cv::Mat& image) const {
    return std::max(1, image_width * image.rows / image.cols);
  }
};

cv::Mat Resized(const cv::Mat& image, cv::Size size) {
  cv::Mat resized;
  cv::resize(image, resized, size, 0, 0,
             size.width > image.cols ? cv::INTER_CUBIC : cv::INTER_AREA);
  return resized;
}

// The labels of a frame, in the colours of the legend: too small for text, they tell the classes
// apart, in the image and from above alike.
struct ColouredLabels {
  std::vector<metrics::Object> people, others;
  explicit ColouredLabels(const std::vector<metrics::Object>& labels) {
    for (const metrics::Object& label : labels) {
      (label.type == "Pedestrian" ? people : others).push_back(label);
    }
  }
  std::vector<BoxLayer> Layers() const {
    return {{&others, Palette::GroundTruth(), 1, false, /*with_label=*/false},
            {&people, Palette::Release(0), 1, false, /*with_label=*/false}};
  }
};

cv::Mat DrawImage(const SheetFrame& frame, cv::Size size) {
  cv::Mat picture = Resized(frame.left, size);
  const ColouredLabels labels(frame.labels);
  DrawBoxes(picture, static_cast<double>(size.width) / frame.left.cols, labels.Layers());
  return picture;
}

cv::Mat DrawDisparity(const SheetFrame& frame, cv::Size size) {
  // Nearest: sparse disparity would fade in an average. Single points are made wider first.
  cv::Mat values = frame.disparity;
  const int step = frame.disparity.cols / std::max(1, size.width);
  if (step >= 2) cv::dilate(values, values, cv::Mat::ones(step, step, CV_8UC1));
  cv::resize(values, values, size, 0, 0, cv::INTER_NEAREST);
  return ColourDisparity(values, DisplayRange(frame.disparity));
}

cv::Mat DrawFromAbove(const SheetFrame& frame, cv::Size size) {
  const std::vector<cv::Point3f> points = PointsOfDisparity(frame.disparity, frame.calibration);
  std::vector<metrics::Object> boxes;
  for (const metrics::Object& label : frame.labels) {
    if (label.type != "DontCare") boxes.push_back(label);
  }
  const ColouredLabels labels(boxes);
  BirdsEyeScene scene;
  scene.points = &points;
  scene.layers = labels.Layers();
  scene.max_depth_m = ViewDepth({&boxes}, {&points});
  scene.tangent_of_half_view =
      frame.left.cols / 2.0 / std::max(frame.calibration.focal_length_px(), 1.0);
  return DrawBirdsEyeView(scene, size);
}

// The cell below its caption.
void DrawFrame(cv::Mat& sheet, cv::Point at, const SheetFrame& frame, const CellLayout& layout,
               bool plain) {
  const int height = layout.ImageHeight(frame.left);
  const cv::Size size(layout.image_width, height);
  DrawImage(frame, size).copyTo(sheet(cv::Rect(at, size)));
  if (plain || frame.disparity.empty()) return;
  const cv::Point below(at.x, at.y + height + 2);
  DrawDisparity(frame, size).copyTo(sheet(cv::Rect(below, size)));
  const cv::Size view(layout.width - layout.image_width - 2, 2 * height + 2);
  DrawFromAbove(frame, view)
      .copyTo(sheet(cv::Rect(cv::Point(at.x + layout.image_width + 2, at.y), view)));
}

}  // namespace

cv::Mat DrawContactSheet(const std::string& title, const std::vector<SheetFrame>& frames,
                         int columns, bool plain) {
  CellLayout layout;
  layout.width = (kWidth - (columns - 1) * kGap) / columns;
  layout.image_width = plain ? layout.width : static_cast<int>(kImageShare * layout.width);
  int tallest = 30;  // Real frames differ a little in size.
  for (const SheetFrame& frame : frames) {
    if (frame.left.empty()) continue;
    const int height = layout.ImageHeight(frame.left);
    tallest = std::max(tallest, plain ? height : 2 * height + 2);
  }
  const int pitch = kCaption + tallest + kGap;
  const int rows = (static_cast<int>(frames.size()) + columns - 1) / columns;
  cv::Mat sheet(kHeading + rows * pitch, kWidth, CV_8UC3, Palette::Background());
  DrawText(sheet, title, {12, 18}, Palette::Text(), 0.5);
  DrawText(sheet, "Pedestrian", {kWidth - 90, 18}, Palette::Release(0));
  DrawText(sheet, "Car and others", {kWidth - 215, 18}, Palette::GroundTruth());
  DrawText(sheet, "DontCare", {kWidth - 305, 18}, Palette::DimText());
  for (int i = 0; i < static_cast<int>(frames.size()); ++i) {
    const SheetFrame& frame = frames[static_cast<size_t>(i)];
    const cv::Point at(i % columns * (layout.width + kGap), kHeading + i / columns * pitch);
    DrawText(sheet, frame.name, {at.x + 4, at.y + 14}, Palette::DimText(), 0.42);
    const cv::Point below(at.x, at.y + kCaption);
    if (frame.fault.empty()) {
      DrawFrame(sheet, below, frame, layout, plain);
      continue;
    }
    cv::Mat place = sheet(cv::Rect(below, cv::Size(layout.width, tallest)));
    place.setTo(Palette::Panel());
    DrawText(place, frame.fault, {6, 20}, Palette::Text(), 0.4);
  }
  return sheet;
}

}  // namespace backfire::vision
