#include "services/vision/view_page.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/vision/birds_eye_view.h"
#include "services/vision/canvas.h"
#include "services/vision/disparity_colours.h"
#include "services/vision/image_overlay.h"

namespace backfire::vision {
namespace {

constexpr int kWidth = 1280, kHeading = 26, kLegend = 40, kGap = 8, kViewHeight = 620;

// Writes (swatch, name) pairs from right to left, ending at the right margin.
void DrawLegend(cv::Mat& page, const PageContent& content, int baseline) {
  std::vector<std::pair<std::string, cv::Scalar>> entries;
  if (content.labels.has_value()) entries.emplace_back("ground truth", Palette::GroundTruth());
  for (size_t i = 0; i < content.layers.size(); ++i) {
    if (content.layers[i].name.empty()) continue;
    entries.emplace_back(content.layers[i].name, Palette::Release(i));
  }
  int right = kWidth - 12;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    right -= TextSize(entry->first).width;
    DrawText(page, entry->first, {right, baseline}, Palette::Text());
    right -= 20;
    cv::rectangle(page, cv::Rect(right, baseline - 10, 14, 11), entry->second, cv::FILLED);
    right -= 18;
  }
}

std::vector<BoxLayer> LabelLayers(const PageContent& content) {
  if (!content.labels.has_value()) return {};
  return {{&*content.labels, Palette::GroundTruth(), /*thickness=*/1, /*with_score=*/false}};
}

cv::Mat DrawLeftImage(const PageContent& content, cv::Size size) {
  cv::Mat image;
  cv::resize(content.left, image, size, 0, 0,
             size.width > content.left.cols ? cv::INTER_CUBIC : cv::INTER_AREA);
  std::vector<BoxLayer> layers = LabelLayers(content);
  for (size_t i = 0; i < content.layers.size(); ++i) {
    // Earlier ones are wider, so that they show behind later ones that agree with them.
    const int behind = static_cast<int>(content.layers.size() - 1 - i);
    layers.push_back({&content.layers[i].detections, Palette::Release(i), 2 + 2 * behind});
  }
  DrawBoxes(image, static_cast<double>(size.width) / content.left.cols, layers);
  return image;
}

bool AllSent(const PageLayer& layer) {
  return layer.sent_rows == cv::Range::all() ||
         layer.sent_rows == cv::Range(0, layer.disparity.rows);
}

// Depth in metres where disparity is at the middle and the end of the scale says more to people.
std::string DepthNote(const PageContent& content, double range) {
  const double fb = content.calibration.focal_length_px() * content.calibration.baseline_m();
  const bool all = std::all_of(content.layers.begin(), content.layers.end(), AllSent);
  return absl::StrFormat("disparity (%g px is %.1f m, %g px is %.1f m; black: no match%s)", range,
                         fb / range, range / 5, fb / (range / 5), all ? "" : "; grey: not sent");
}

cv::Mat DrawDisparity(const PageLayer& layer, double range, cv::Size size, bool with_name,
                      const cv::Scalar& colour) {
  cv::Mat colours = ColourDisparity(layer.disparity, range);
  if (!AllSent(layer)) {
    colours.rowRange(0, layer.sent_rows.start).setTo(Palette::Line());
    colours.rowRange(layer.sent_rows.end, colours.rows).setTo(Palette::Line());
  }
  cv::Mat map;
  cv::resize(colours, map, size, 0, 0, cv::INTER_NEAREST);
  LabelPlacer placer(cv::Rect(0, 0, map.cols, map.rows));
  if (with_name) placer.Draw(map, layer.name, {{6, 6}}, colour);
  return map;
}

}  // namespace

cv::Mat DrawPage(const PageContent& content) {
  const int count = std::max<int>(static_cast<int>(content.layers.size()), 1);
  const int cell = (kWidth - (count - 1) * kGap) / count;
  const double aspect = static_cast<double>(content.left.rows) / content.left.cols;
  const cv::Size image_size(kWidth, std::max(1, static_cast<int>(kWidth * aspect)));
  const cv::Size map_size(cell, std::max(1, static_cast<int>(cell * aspect)));
  const int height = kHeading + image_size.height + kHeading + map_size.height + kLegend +
                     kHeading + kViewHeight + kGap;
  cv::Mat page(height, kWidth, CV_8UC3, Palette::Background());
  const auto place = [&page](const cv::Mat& picture, int x, int y) {
    picture.copyTo(page(cv::Rect(x, y, picture.cols, picture.rows)));
  };

  int y = 0;
  DrawText(page, content.title, {12, y + 18}, Palette::Text(), 0.5);
  DrawLegend(page, content, y + 18);
  y += kHeading;
  place(DrawLeftImage(content, image_size), 0, y);
  y += image_size.height;

  double range = 5;  // The same for all, so that colours can be compared.
  std::vector<const std::vector<metrics::Object>*> objects;
  std::vector<const std::vector<cv::Point3f>*> points;
  if (content.labels.has_value()) objects.push_back(&*content.labels);
  for (const PageLayer& layer : content.layers) {
    range = std::max(range, DisplayRange(layer.disparity));
    objects.push_back(&layer.detections);
    points.push_back(&layer.points);
  }
  const double depth = ViewDepth(objects, points);
  DrawText(page, DepthNote(content, range), {12, y + 18}, Palette::Text());
  y += kHeading;
  for (int i = 0; i < static_cast<int>(content.layers.size()); ++i) {
    const PageLayer& layer = content.layers[static_cast<size_t>(i)];
    place(DrawDisparity(layer, range, map_size, /*with_name=*/count > 1,
                        Palette::Release(static_cast<size_t>(i))),
          i * (cell + kGap), y);
  }
  y += map_size.height + 4;
  place(DisparityLegend(range, {kWidth, kLegend - 4}), 0, y);
  y += kLegend - 4;

  DrawText(page,
           absl::StrFormat("bird's-eye view, rings every 10 m to %g m; the line in a box "
                           "points to its front",
                           depth),
           {12, y + 18}, Palette::Text());
  y += kHeading;
  for (int i = 0; i < static_cast<int>(content.layers.size()); ++i) {
    const PageLayer& layer = content.layers[static_cast<size_t>(i)];
    BirdsEyeScene scene;
    scene.points = &layer.points;
    scene.max_depth_m = depth;
    scene.tangent_of_half_view =
        content.left.cols / 2.0 / std::max(content.calibration.focal_length_px(), 1.0);
    scene.layers = LabelLayers(content);
    for (BoxLayer& labels : scene.layers) labels.thickness = 2;
    scene.layers.push_back({&layer.detections, Palette::Release(static_cast<size_t>(i))});
    scene.name = layer.name;
    scene.name_colour = Palette::Release(static_cast<size_t>(i));
    place(DrawBirdsEyeView(scene, {cell, kViewHeight}), i * (cell + kGap), y);
  }
  return page;
}

}  // namespace backfire::vision
