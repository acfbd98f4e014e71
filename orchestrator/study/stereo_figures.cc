#include "orchestrator/study/stereo_figures.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "orchestrator/study/stereo_rows.h"
#include "services/markup/svg.h"

namespace backfire::study {
namespace {

using markup::Markup;
using markup::Path;
using markup::Pixels;

// Told apart without colour as well: u is dashed. Orange and blue of Okabe and Ito.
constexpr char kColourOfU[] = "#d55e00", kColourOfImproved[] = "#0072b2", kInk[] = "#222",
               kPale[] = "#bbb";

// What happened in one row, worse by so much.
struct Row {
  std::string name;
  const StereoEntry* entry = nullptr;
  double paper = NAN;
};

double PieceDifference(const StereoEntry& entry, int piece) {
  return entry.improved(piece) - entry.u(piece);
}

// Round ticks, some five, in a range.
std::vector<double> TicksIn(double low, double high) {
  const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough / power < 2 ? 2 * power : rough / power < 5 ? 5 * power : 10 * power;
  std::vector<double> ticks;
  for (double i = std::ceil(low / step); i * step <= high; ++i) ticks.push_back(i * step);
  return ticks;
}

class Drawing {
 public:
  Drawing(double width, double height, const std::string& label) {
    markup::OpenDrawing(to_, width, height, /*standalone=*/true, "", label);
    to_.Line().Open("g", {{"font-family", "sans-serif"}, {"font-size", "12"}, {"fill", kInk}});
    to_.Line().Empty("rect",
                     {{"width", Pixels(width)}, {"height", Pixels(height)}, {"fill", "#fff"}});
    to_.Line();
  }
  void Text(double x, double y, const std::string& text, const char* anchor = "start",
            const char* weight = "") {
    to_.Element(
        "text",
        {{"x", Pixels(x)}, {"y", Pixels(y)}, {"text-anchor", anchor}, {"font-weight", weight}},
        text);
    to_.Line();
  }
  void Stroke(const Path& path, const char* colour, double width, const char* dashes = "",
              const char* opacity = "") {
    if (path.empty()) return;
    to_.Empty("path", {{"d", path.text()},
                       {"fill", "none"},
                       {"stroke", colour},
                       {"stroke-width", Pixels(width)},
                       {"stroke-dasharray", dashes},
                       {"stroke-opacity", opacity}});
    to_.Line();
  }
  void Box(double x, double y, double width, double height, const char* fill) {
    to_.Empty("rect", {{"x", Pixels(x)},
                       {"y", Pixels(y)},
                       {"width", Pixels(width)},
                       {"height", Pixels(height)},
                       {"fill", fill}});
    to_.Line();
  }
  void Dot(double x, double y, double radius, const char* fill) {
    to_.Empty("circle",
              {{"cx", Pixels(x)}, {"cy", Pixels(y)}, {"r", Pixels(radius)}, {"fill", fill}});
    to_.Line();
  }
  std::string Take() {
    to_.Close().Line().Close().Line();
    return to_.Take();
  }

 private:
  Markup to_;
};

constexpr double kNames = 300, kPlot = 440, kRow = 34, kFigureWidth = kNames + kPlot + 20;

double HeightOf(const std::vector<Row>& rows) { return 58 + kRow * rows.size(); }

// Rows of one unit on one axis.
void DrawRows(const std::vector<Row>& rows, const std::string& title, int digits, double top,
              Drawing& to) {
  double low = 0, high = 0;
  const auto show = [&](double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const Row& row : rows) {
    show(row.paper);
    show(row.entry->difference());
    show(row.entry->interval_low());
    show(row.entry->interval_high());
    for (int i = 0; i < row.entry->u_size(); ++i) show(PieceDifference(*row.entry, i));
  }
  if (low == high) high = low + 1;
  const double rim = 0.04 * (high - low);
  const auto x = [&](double value) {
    return kNames + (value - low + rim) / (high - low + 2 * rim) * kPlot;
  };
  to.Text(8, top + 16, title, "start", "bold");
  to.Text(kNames + kPlot, top + 16, "worse \xe2\x86\x92", "end");
  const double first = top + 30, last = first + kRow * rows.size();
  for (const double tick : TicksIn(low, high)) {
    to.Stroke(Path().Move(x(tick), first).Line(x(tick), last), kPale, 0.5);
    to.Text(x(tick), last + 14, tick == 0 ? "0" : absl::StrFormat("%+.*f", digits, tick), "middle");
  }
  to.Stroke(Path().Move(x(0), first).Line(x(0), last), kInk, 1);
  for (size_t i = 0; i < rows.size(); ++i) {
    const StereoEntry& entry = *rows[i].entry;
    const double y = first + kRow * i + 11;
    to.Text(8, y + 7, rows[i].name);
    const char* colour = entry.primary() ? kInk : "#777";
    if (std::isfinite(entry.interval_low()) && std::isfinite(entry.interval_high())) {
      Path whisker;
      whisker.Move(x(entry.interval_low()), y).Line(x(entry.interval_high()), y);
      whisker.Move(x(entry.interval_low()), y - 4).Relative("v8");
      whisker.Move(x(entry.interval_high()), y - 4).Relative("v8");
      to.Stroke(whisker, colour, 1.5);
    }
    if (std::isfinite(entry.difference())) to.Dot(x(entry.difference()), y, 4.5, colour);
    for (int k = 0; k < entry.u_size(); ++k) {
      const double difference = PieceDifference(entry, k);
      if (std::isfinite(difference)) to.Dot(x(difference), y + 12, 2.2, kColourOfImproved);
    }
    if (std::isfinite(rows[i].paper)) {
      to.Stroke(Path().Move(x(rows[i].paper), y - 5).Relative("l5 5l-5 5l-5 -5z"), kColourOfU, 1.5);
    }
  }
}

double MeanOf(const google::protobuf::RepeatedField<double>& numbers) {
  double mean = 0;
  for (const double number : numbers) mean += number / numbers.size();
  return mean;
}

}  // namespace

absl::Status ParseObjectDepths(absl::string_view lines, const std::string& name,
                               StereoStudy& study) {
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(lines, '\n')) {
    ++number;
    if (line.empty()) continue;
    const std::vector<std::string> fields = absl::StrSplit(line, '\t');
    double near = 0, far = 0;
    int count = 0;
    if (fields.size() != 4 || fields[0].empty() || !absl::SimpleAtod(fields[1], &near) ||
        !absl::SimpleAtod(fields[2], &far) || !absl::SimpleAtoi(fields[3], &count) ||
        !(near >= 0 && far > near && far <= 1000) || count < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ":", number,
                       ": must be a type, two depths in m, from 0 to 1000 and the second the "
                       "larger, and a count, with a tab between: got \"",
                       line, "\""));
    }
    ObjectDepths& depths = *study.add_object_depths();
    depths.set_type(fields[0]);
    depths.set_near_m(near);
    depths.set_far_m(far);
    depths.set_count(count);
  }
  return absl::OkStatus();
}

std::string DifferencesFigure(const StereoStudy& study) {
  std::vector<Row> errors, precisions;
  for (const DepthRow& row : kTable2) {
    const StereoEntry* entry = FindEntry(study, "disparity", "disparity_mae", row.slice);
    if (entry == nullptr) continue;
    const bool all = std::string(row.slice).empty();
    errors.push_back({absl::StrCat("disparity MAE, ", row.range), entry,
                      all ? kPaperErrorOfImproved - kPaperErrorOfU : NAN});
  }
  const auto add = [&](const DetectorRow& row, const char* what) {
    const StereoEntry* entry = FindEntry(study, row.vertex, row.loss);
    if (entry == nullptr) return;
    precisions.push_back({absl::StrCat(row.detector, what, ", ", PrecisionName(row)), entry,
                          row.paper_u - row.paper_improved});
  };
  for (const DetectorRow& row : kTable1) add(row, "");
  for (const DetectorRow& row : kTable3) add(row, " < 20 m");
  const double middle = HeightOf(errors), legend = middle + HeightOf(precisions);
  Drawing to(kFigureWidth, legend + 24,
             "How much worse the retrained system is with the improved disparity network, by loss");
  DrawRows(errors, "u' \xe2\x88\x92 u, px", 2, 0, to);
  DrawRows(precisions, "points of AP lost by u'", 0, middle, to);
  to.Dot(16, legend + 8, 4.5, kInk);
  to.Text(26, legend + 12, "mean, one-sided bounds (grey: secondary)");
  to.Dot(318, legend + 8, 2.2, kColourOfImproved);
  to.Text(326, legend + 12, "a piece");
  to.Stroke(Path().Move(400, legend + 3).Relative("l5 5l-5 5l-5 -5z"), kColourOfU, 1.5);
  to.Text(411, legend + 12, "the paper, on KITTI");
  return to.Take();
}

std::string DepthFigure(const StereoStudy& study) {
  constexpr double kWidth = 640, kHeight = 360, kLeft = 56, kRight = 20, kTop = 40, kBottom = 48;
  Drawing to(kWidth, kHeight, "Disparity error of both networks by true depth");
  double farthest = kTable2[0].far_m, highest = 0;
  for (const DepthRow& row : kTable2) {
    const StereoEntry* entry = FindEntry(study, "disparity", "disparity_mae", row.slice);
    if (entry == nullptr) continue;
    for (const auto* numbers : {&entry->u(), &entry->improved()}) {
      for (const double number : *numbers) {
        if (std::isfinite(number)) highest = std::max(highest, number);
      }
    }
  }
  if (highest == 0) highest = 1;
  double most = 0;
  for (const ObjectDepths& depths : study.object_depths()) {
    most = std::max(most, static_cast<double>(depths.count()));
  }
  const double bottom = kHeight - kBottom;
  const auto x = [&](double depth) {
    return kLeft + std::min(depth, farthest) / farthest * (kWidth - kLeft - kRight);
  };
  const auto y = [&](double share) { return bottom - share * (bottom - kTop) / 1.08; };
  // Each type has its half of a range's breadth, at most two of them.
  std::vector<std::string> types;
  for (const ObjectDepths& depths : study.object_depths()) {
    if (std::find(types.begin(), types.end(), depths.type()) == types.end()) {
      types.push_back(depths.type());
    }
  }
  const std::vector<const char*> greys = {"#ddd", "#c4c4c4", "#aaa"};
  for (const ObjectDepths& depths : study.object_depths()) {
    const auto type = std::find(types.begin(), types.end(), depths.type()) - types.begin();
    const double breadth = (x(depths.far_m()) - x(depths.near_m())) / types.size();
    const double height = bottom - y(depths.count() / std::max(most, 1.0));
    to.Box(x(depths.near_m()) + type * breadth, bottom - height, breadth, height,
           greys[type % greys.size()]);
  }
  for (const double tick : TicksIn(0, highest)) {
    to.Text(kLeft - 6, y(tick / highest) + 4, absl::StrFormat("%.1f", tick), "end");
    to.Stroke(Path().Move(kLeft, y(tick / highest)).Line(kWidth - kRight, y(tick / highest)), kPale,
              0.5);
  }
  for (double depth = 0; depth <= farthest; depth += 20) {
    to.Text(x(depth), bottom + 16, absl::StrCat(depth), "middle");
  }
  to.Text((kLeft + kWidth - kRight) / 2, bottom + 36, "true depth, m (the last range is open)",
          "middle");
  to.Text(8, 18, "disparity MAE, px", "start", "bold");
  for (const bool improved : {false, true}) {
    const char* colour = improved ? kColourOfImproved : kColourOfU;
    const char* dashes = improved ? "" : "7 4";
    Path mean, pieces;
    for (size_t i = 1; i < kTable2.size(); ++i) {
      const StereoEntry* entry = FindEntry(study, "disparity", "disparity_mae", kTable2[i].slice);
      if (entry == nullptr) continue;
      const auto& numbers = improved ? entry->improved() : entry->u();
      const auto add = [&](double value, Path& path) {
        if (!std::isfinite(value)) return;
        path.Move(x(kTable2[i].near_m), y(value / highest))
            .Line(x(kTable2[i].far_m), y(value / highest));
      };
      for (const double number : numbers) add(number, pieces);
      add(MeanOf(numbers), mean);
    }
    to.Stroke(pieces, colour, 1, dashes, "0.4");
    to.Stroke(mean, colour, 3, dashes);
    const double legend = improved ? 250 : 150;
    to.Stroke(Path().Move(legend, 14).Relative("h28"), colour, 3, dashes);
    to.Text(legend + 34, 18, improved ? "u'" : "u");
  }
  double left = 340;
  for (size_t i = 0; i < types.size(); ++i) {
    to.Box(left, 8, 12, 12, greys[i % greys.size()]);
    to.Text(left + 18, 18, absl::StrCat(types[i], " objects"));
    left += 130;
  }
  return to.Take();
}

}  // namespace backfire::study
