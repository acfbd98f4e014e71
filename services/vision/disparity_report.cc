#include "services/vision/disparity_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/metrics/bootstrap.h"
#include "services/vision/json_text.h"
#include "services/vision/resampled_spread.h"

namespace backfire::vision {
namespace {

using metrics::DisparityErrorSums;
using metrics::kDepthRanges;

struct LossRow {
  const char* name;
  const char* title;
  bool needs_depth;
};
constexpr LossRow kRows[] = {{"disparity_mae_px", "disparity MAE, px", false},
                             {"end_point_error_px", "end-point error, px", false},
                             {"d1_all_percent", "D1-all, %", false},
                             {"depth_mae_m", "depth MAE, m", true},
                             {"predicted_percent", "predicted, %", false}};

std::vector<double> Resampled(const v1::LossEstimate& loss) {
  return {loss.resampled().begin(), loss.resampled().end()};
}

std::vector<const v1::LossEstimate*> Find(const DisparityReport& report, const char* name) {
  std::vector<const v1::LossEstimate*> found;
  for (const v1::LossEstimate& loss : report.evaluation.losses()) {
    if (loss.loss() == name) found.push_back(&loss);
  }
  return found;
}

std::string RangeName(const std::string& slice) { return slice.empty() ? "all" : slice; }

}  // namespace

DisparityReport MakeDisparityReport(const std::vector<DisparityErrorSums>& images, bool with_depth,
                                    const v1::Bootstrap& bootstrap) {
  const metrics::Resampling resampling(bootstrap, static_cast<int64_t>(images.size()));
  DisparityReport report;
  report.images = static_cast<int64_t>(images.size());
  report.with_depth = with_depth;
  for (const DisparityErrorSums& image : images) report.pixels += image.pixels[0];
  const size_t ranges = with_depth ? kDepthRanges.size() : 1;
  const auto add = [&](const char* name, double scale, const auto& numerator,
                       const auto& denominator) {
    for (size_t range = 0; range < ranges; ++range) {
      std::vector<double> numerators, denominators;
      for (const DisparityErrorSums& image : images) {
        numerators.push_back(scale * numerator(image, range));
        denominators.push_back(denominator(image, range));
      }
      metrics::AddRatioLoss(numerators, denominators, resampling, name,
                            std::string(kDepthRanges[range].slice), /*judged=*/false,
                            report.evaluation);
    }
  };
  const auto pixels = [](const DisparityErrorSums& image, size_t range) {
    return image.pixels[range];
  };
  add(
      "disparity_mae_px", 1,
      [](const auto& image, size_t range) { return image.absolute_error_px[range]; }, pixels);
  add(
      "end_point_error_px", 1,
      [](const auto& image, size_t range) {
        return image.pixels[range] > 0 ? image.absolute_error_px[range] / image.pixels[range] : 0;
      },
      [](const auto& image, size_t range) { return image.pixels[range] > 0 ? 1.0 : 0.0; });
  add(
      "d1_all_percent", 100,
      [](const auto& image, size_t range) { return image.bad_pixels[range]; }, pixels);
  if (with_depth) {
    add(
        "depth_mae_m", 1,
        [](const auto& image, size_t range) { return image.depth_error_m[range]; },
        [](const auto& image, size_t range) { return image.predicted_pixels[range]; });
  }
  add(
      "predicted_percent", 100,
      [](const auto& image, size_t range) { return image.predicted_pixels[range]; }, pixels);
  return report;
}

std::string FormatDisparityTable(const DisparityReport& report) {
  std::string table =
      absl::StrFormat("%d images, %.0f pixels with ground truth\n", report.images, report.pixels);
  const bool with_spread = report.evaluation.losses(0).resampled_size() > 0;
  absl::StrAppendFormat(&table, "%-20s", "");
  for (const v1::LossEstimate* loss : Find(report, kRows[0].name)) {
    absl::StrAppendFormat(&table, "  %14s%s", RangeName(loss->slice()),
                          with_spread ? "           " : "");
  }
  absl::StrAppend(&table, "\n");
  for (const LossRow& row : kRows) {
    if (row.needs_depth && !report.with_depth) continue;
    absl::StrAppendFormat(&table, "%-20s", row.title);
    for (const v1::LossEstimate* loss : Find(report, row.name)) {
      absl::StrAppendFormat(&table, "  %14.4f", loss->value());
      if (!with_spread) continue;
      absl::StrAppendFormat(&table, " +-%8.4f", SpreadOf(Resampled(*loss)).standard_error);
    }
    absl::StrAppend(&table, "\n");
  }
  if (with_spread) {
    absl::StrAppendFormat(&table, "+-: standard error over %d bootstrap resamples of the images\n",
                          report.evaluation.losses(0).resampled_size());
  }
  return table;
}

std::string FormatDisparityJson(const DisparityReport& report) {
  JsonText json;
  json.BeginObject();
  json.Key("images").Integer(report.images);
  json.Key("pixels").Number(report.pixels);
  const auto write = [&](const auto& value_of) {
    for (const LossRow& row : kRows) {
      const auto losses = Find(report, row.name);
      if (losses.empty()) continue;
      json.Key(row.name).BeginObject();
      for (const v1::LossEstimate* loss : losses) {
        json.Key(RangeName(loss->slice()));
        value_of(*loss);
      }
      json.EndObject();
    }
  };
  write([&json](const v1::LossEstimate& loss) { json.Number(loss.value()); });
  if (report.evaluation.losses(0).resampled_size() > 0) {
    json.Key("standard_error").BeginObject();
    write([&json](const v1::LossEstimate& loss) {
      json.Number(SpreadOf(Resampled(loss)).standard_error);
    });
    json.EndObject();
    json.Key("interval").BeginObject();
    write([&json](const v1::LossEstimate& loss) {
      const ResampledSpread spread = SpreadOf(Resampled(loss));
      json.BeginList().Number(spread.low).Number(spread.high).EndList();
    });
    json.EndObject();
  }
  json.EndObject();
  return std::move(json).Finish();
}

}  // namespace backfire::vision
