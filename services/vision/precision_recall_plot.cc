#include "services/vision/precision_recall_plot.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_format.h"
#include "services/vision/canvas.h"

namespace backfire::vision {
namespace {

constexpr int kWidth = 720, kHeight = 520;
const cv::Rect kPlot(70, 50, 620, 400);

// Where recall and value, both in [0, 1], are on the page.
cv::Point At(double recall, double value) {
  return {kPlot.x + cvRound(recall * kPlot.width), kPlot.y + cvRound((1 - value) * kPlot.height)};
}

void DrawAxes(cv::Mat& page, const std::string& title, const std::string& vertical_name) {
  cv::rectangle(page, kPlot, Palette::Panel(), cv::FILLED);
  for (int tick = 0; tick <= 10; tick += 2) {
    const double at = tick / 10.0;
    cv::line(page, At(at, 0), At(at, 1), Palette::Line());
    cv::line(page, At(0, at), At(1, at), Palette::Line());
    const std::string text = absl::StrFormat("%.1f", at);
    const cv::Size size = TextSize(text);
    DrawText(page, text, At(at, 0) + cv::Point(-size.width / 2, 22), Palette::DimText());
    DrawText(page, text, At(0, at) + cv::Point(-size.width - 8, 5), Palette::DimText());
  }
  DrawText(page, title, {kPlot.x, 32}, Palette::Text(), 0.6);
  // At the end of the top line: beside the axis there is no room for it.
  DrawText(page, vertical_name, {kPlot.br().x - TextSize(vertical_name).width, 32},
           Palette::DimText());
  const cv::Size size = TextSize("recall");
  DrawText(page, "recall", {kPlot.x + (kPlot.width - size.width) / 2, kHeight - 18},
           Palette::DimText());
}

}  // namespace

cv::Mat DrawCurves(const std::string& title, const std::string& vertical_name,
                   const std::vector<SampledCurve>& curves) {
  cv::Mat page(kHeight, kWidth, CV_8UC3, Palette::Background());
  DrawAxes(page, title, vertical_name);
  constexpr double kSteps = metrics::kRecallSamples - 1;
  for (size_t c = 0; c < curves.size(); ++c) {
    const size_t count = std::min(curves[c].sample_count, curves[c].samples.size());
    std::vector<cv::Point> line;
    for (size_t k = 0; k < count; ++k) {
      line.push_back(At(static_cast<double>(k) / kSteps, curves[c].samples[k]));
    }
    if (count > 0 && count < curves[c].samples.size()) {
      line.push_back(At(static_cast<double>(count - 1) / kSteps, 0));
    }
    cv::polylines(page, line, /*isClosed=*/false, Palette::Release(c), 2, cv::LINE_AA);
  }
  // The legend, where precision-recall curves are seldom.
  int width = 0;
  for (const SampledCurve& curve : curves) width = std::max(width, TextSize(curve.name).width);
  const int row = 22;
  const cv::Rect legend(kPlot.x + 12, kPlot.br().y - 14 - row * static_cast<int>(curves.size()),
                        width + 58, row * static_cast<int>(curves.size()) + 4);
  cv::Mat(page, legend).setTo(Palette::Background());
  cv::rectangle(page, legend, Palette::Line());
  for (size_t c = 0; c < curves.size(); ++c) {
    const cv::Point at(legend.x + 10, legend.y + 17 + row * static_cast<int>(c));
    cv::line(page, at + cv::Point(0, -5), at + cv::Point(28, -5), Palette::Release(c), 2);
    DrawText(page, curves[c].name, at + cv::Point(38, 0), Palette::Text());
  }
  return page;
}

}  // namespace backfire::vision
