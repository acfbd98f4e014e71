#include "services/vision/image_overlay.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/vision/canvas.h"

namespace backfire::vision {

// Beyond any picture, within any integer: a file may hold whatever numbers.
constexpr double kFarPx = 1e5;

void DrawBoxes(cv::Mat& image, double scale, const std::vector<BoxLayer>& layers) {
  const auto rectangle = [scale](const metrics::Box2d& box) {
    const auto pixel = [scale](double value) {
      return static_cast<int>(
          std::lround(std::clamp((value + 0.5) * scale - 0.5, -kFarPx, kFarPx)));
    };
    return cv::Rect(cv::Point(pixel(box.left), pixel(box.top)),
                    cv::Point(pixel(box.right), pixel(box.bottom)));
  };
  LabelPlacer placer(cv::Rect(0, 0, image.cols, image.rows));
  for (const BoxLayer& layer : layers) {
    for (const metrics::Object& object : *layer.objects) {
      const bool dont_care = object.type == "DontCare";
      cv::rectangle(image, rectangle(object.box_2d),
                    dont_care ? cv::Scalar(170, 170, 170) : layer.colour,
                    dont_care ? 1 : layer.thickness, cv::LINE_AA);
    }
  }
  for (const BoxLayer& layer : layers) {
    if (!layer.with_label) continue;
    for (const metrics::Object& object : *layer.objects) {
      if (object.type == "DontCare") continue;
      std::string text = object.type;
      if (layer.with_score) absl::StrAppendFormat(&text, " %.2f", object.score.value_or(0));
      const cv::Rect box = rectangle(object.box_2d);
      const int height = TextSize(text, 0.42).height + 6;
      placer.Draw(image, text,
                  {{box.x, box.y - height},
                   {box.x, box.y + box.height + 2},
                   {box.x + 2, box.y + 2},
                   {box.x, box.y - 2 * height},
                   {box.x + 2, box.y + box.height - height - 2}},
                  layer.colour);
    }
  }
}

}  // namespace backfire::vision
