#include "services/vision/kitti_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/vision/json_text.h"
#include "services/vision/resampled_spread.h"

namespace backfire::vision {
namespace {

using metrics::AveragePrecisionOptions;
using metrics::KittiAverages;
using metrics::PrecisionRecall;
using metrics::RangeMode;
using metrics::View;

constexpr size_t kDifficulties = 3;

std::vector<double> Values(const KittiCell& cell, double KittiAverages::*which) {
  std::vector<double> values;
  for (const KittiAverages& averages : cell.resampled) values.push_back(averages.*which);
  return values;
}

void WriteSpread(const KittiCell& cell, const char* name, double KittiAverages::*which,
                 JsonText& json) {
  if (cell.resampled.empty()) return;
  const ResampledSpread spread = SpreadOf(Values(cell, which));
  json.Key(absl::StrCat(name, "_standard_error")).Number(spread.standard_error);
  json.Key(absl::StrCat(name, "_interval")).BeginList();
  json.Number(spread.low).Number(spread.high).EndList();
}

void WriteRange(const AveragePrecisionOptions& rules, JsonText& json) {
  if (rules.min_depth_m > 0) json.Key("min_depth_m").Number(rules.min_depth_m);
  if (!rules.max_depth_m.has_value()) return;
  json.Key("max_depth_m").Number(*rules.max_depth_m);
  json.Key("range_mode").String(rules.range_mode == RangeMode::kDrop ? "authors" : "ignore");
}

void WriteCell(const KittiCell& cell, JsonText& json) {
  const PrecisionRecall& result = cell.result;
  json.BeginObject();
  if (!cell.slice.empty()) json.Key("slice").String(cell.slice);
  json.Key("class").String(cell.rules.type);
  json.Key("metric").String(MetricName(cell.rules.view));
  json.Key("difficulty").String(DifficultyName(cell.rules.difficulty));
  json.Key("min_overlap").Number(cell.rules.iou_threshold);
  WriteRange(cell.rules, json);
  json.Key("evaluated").Bool(result.evaluated);
  if (result.evaluated) {
    json.Key("n_ground_truth").Integer(result.label_count);
    json.Key("thresholds").NumberList(result.thresholds);
    json.Key("tp").NumberList(result.hits);
    json.Key("fp").NumberList(result.false_positives);
    json.Key("fn").NumberList(result.misses);
    json.Key("precision").NumberList(result.precision);
    json.Key("ap11").Number(result.Average(11));
    json.Key("ap40").Number(result.Average(40));
    WriteSpread(cell, "ap11", &KittiAverages::ap11, json);
    WriteSpread(cell, "ap40", &KittiAverages::ap40, json);
    if (result.oriented) {
      json.Key("aos").NumberList(result.similarity);
      json.Key("aos11").Number(result.AverageSimilarity(11));
      json.Key("aos40").Number(result.AverageSimilarity(40));
      WriteSpread(cell, "aos11", &KittiAverages::aos11, json);
      WriteSpread(cell, "aos40", &KittiAverages::aos40, json);
    }
  }
  json.EndObject();
}

std::string RangeText(const AveragePrecisionOptions& rules) {
  std::string text;
  if (rules.min_depth_m > 0) absl::StrAppend(&text, " z>", rules.min_depth_m, "m");
  if (rules.max_depth_m.has_value()) absl::StrAppend(&text, " z<=", *rules.max_depth_m, "m");
  return text;
}

// Rows of one class and view: three cells that differ in difficulty.
void AppendRows(const KittiCell* cells, bool with_spread, std::string& table) {
  const KittiCell& first = cells[0];
  const std::string overlap = absl::StrFormat("%.2f", first.rules.iou_threshold);
  const std::string name = absl::StrCat(first.rules.type, RangeText(first.rules));
  const auto row = [&](const std::string& metric, const auto& average,
                       double KittiAverages::*at40) {
    absl::StrAppendFormat(&table, "%-22s %-6s %7s ", name, metric, overlap);
    if (!first.result.evaluated) {
      absl::StrAppend(&table, "  not evaluated: no usable detection\n");
      return;
    }
    for (size_t d = 0; d < kDifficulties; ++d) {
      absl::StrAppendFormat(&table, "  %7.3f", average(cells[d].result, 40));
      if (with_spread) {
        absl::StrAppendFormat(&table, " +-%6.3f", SpreadOf(Values(cells[d], at40)).standard_error);
      }
    }
    absl::StrAppend(&table, " ");
    for (size_t d = 0; d < kDifficulties; ++d) {
      absl::StrAppendFormat(&table, "  %7.3f", average(cells[d].result, 11));
    }
    absl::StrAppend(&table, " ");
    for (size_t d = 0; d < kDifficulties; ++d) {
      absl::StrAppendFormat(&table, " %6d", cells[d].result.label_count);
    }
    absl::StrAppend(&table, "\n");
  };
  row(
      std::string(MetricName(first.rules.view)),
      [](const PrecisionRecall& result, int points) { return result.Average(points); },
      &KittiAverages::ap40);
  if (first.rules.view != View::kImage || !first.result.evaluated || !first.result.oriented) return;
  row(
      "aos",
      [](const PrecisionRecall& result, int points) { return result.AverageSimilarity(points); },
      &KittiAverages::aos40);
}

void AppendTable(const std::vector<KittiCell>& cells, std::string& table) {
  const bool with_spread = !cells.empty() && !cells.front().resampled.empty();
  const int average_width = with_spread ? 18 : 9;
  absl::StrAppendFormat(&table, "%-38s%-*s %-27s %s\n", "", 3 * average_width,
                        "  AP in percent, 40 points", "  11 points", "  labels that count");
  absl::StrAppendFormat(&table, "%-22s %-6s %7s ", "class", "metric", "overlap");
  for (const char* name : {"easy", "moder.", "hard"}) {
    absl::StrAppendFormat(&table, "  %7s%*s", name, average_width - 9, "");
  }
  absl::StrAppendFormat(&table, "   %7s  %7s  %7s   %6s %6s %6s\n", "easy", "moder.", "hard",
                        "easy", "moder.", "hard");
  for (size_t i = 0; i + kDifficulties <= cells.size(); i += kDifficulties) {
    AppendRows(&cells[i], with_spread, table);
  }
}

bool Any(const std::vector<KittiCell>& cells, bool (*is)(const KittiCell&)) {
  return std::any_of(cells.begin(), cells.end(), is);
}

}  // namespace

std::string_view MetricName(View view) {
  switch (view) {
    case View::kImage:
      return "image";
    case View::kBirdsEye:
      return "bev";
    case View::k3d:
      break;
  }
  return "3d";
}

std::string_view DifficultyName(metrics::Difficulty difficulty) {
  switch (difficulty) {
    case metrics::Difficulty::kEasy:
      return "easy";
    case metrics::Difficulty::kModerate:
      return "moderate";
    case metrics::Difficulty::kHard:
      break;
  }
  return "hard";
}

std::string FormatKittiTable(const KittiReport& report) {
  std::string table = absl::StrFormat("%d frames\n", report.frames);
  AppendTable(report.cells, table);
  for (size_t i = 0; i < report.slices.size();) {
    std::vector<KittiCell> slice;
    while (i < report.slices.size() &&
           (slice.empty() || report.slices[i].slice == slice.front().slice)) {
      slice.push_back(report.slices[i++]);
    }
    absl::StrAppend(&table, "\n", slice.front().slice, "\n");
    AppendTable(slice, table);
  }
  if (!report.cells.empty() && !report.cells.front().resampled.empty()) {
    absl::StrAppendFormat(&table, "+-: standard error over %d bootstrap resamples of the frames\n",
                          report.cells.front().resampled.size());
  }
  if (Any(report.cells, [](const KittiCell& cell) {
        return cell.result.evaluated && cell.result.label_count < 40;
      })) {
    absl::StrAppend(&table,
                    "Note: with fewer than 40 labels that count, even perfect detections get less "
                    "than 100.\n");
  }
  if (Any(report.cells, [](const KittiCell& cell) {
        return cell.rules.view == View::kImage && cell.result.evaluated && !cell.result.oriented;
      })) {
    absl::StrAppend(&table, "Note: some detection has alpha -10: no orientation similarity.\n");
  }
  if (Any(report.cells,
          [](const KittiCell& cell) { return cell.rules.range_mode == RangeMode::kDrop; })) {
    absl::StrAppend(&table,
                    "Note: --range-mode authors knows no difficulties: the three columns are one. "
                    "The authors averaged 11 points.\n");
  }
  return table;
}

std::string FormatKittiJson(const KittiReport& report) {
  JsonText json;
  json.BeginObject();
  json.Key("frames").Integer(report.frames);
  if (!report.cells.empty() && !report.cells.front().resampled.empty()) {
    json.Key("bootstrap").BeginObject();
    json.Key("resample_count").Integer(static_cast<int64_t>(report.cells.front().resampled.size()));
    json.Key("seed").Integer(static_cast<int64_t>(report.bootstrap_seed));
    json.EndObject();
  }
  json.Key("results").BeginList();
  for (const KittiCell& cell : report.cells) WriteCell(cell, json);
  json.EndList();
  if (!report.slices.empty()) {
    json.Key("slices").BeginList();
    for (const KittiCell& cell : report.slices) WriteCell(cell, json);
    json.EndList();
  }
  json.EndObject();
  return std::move(json).Finish();
}

}  // namespace backfire::vision
