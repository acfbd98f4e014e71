#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/axis.h"
#include "orchestrator/page/sections.h"
#include "orchestrator/report/numbers.h"
#include "services/markup/svg.h"

namespace backfire::page {
namespace {

using markup::Markup;
using markup::Path;
using markup::Pixels;
using v1::LossComparison;

// Rows that a page shows at most, of which each vertex has one, its worst: each takes about two
// kilobytes.
constexpr size_t kMostRows = 550;
static_assert(View::kMostVertices < kMostRows);
// Vertices in which nothing was found are folded if there are more than so many.
constexpr size_t kMostOpenVertices = 16;
// So are those of a long list of findings, whose worst are enough to begin with.
constexpr size_t kMostFindings = 30;
constexpr double kPlotWidth = 420, kPlotHeight = 40, kPairsWidth = 92;
constexpr double kHalfLabel = 20;  // Of the widest label of the axis, in pixels.

// A whisker from bound to bound with the estimate on it, and below it a dot for each seed.
class PlotRow {
 public:
  PlotRow(const Axis& axis, const LossComparison& one, Standing standing)
      : axis_(axis), one_(one), unit_(UnitOf(one)), standing_(standing) {}

  void AppendTo(Markup& to) const {
    markup::OpenDrawing(to, kPlotWidth, kPlotHeight, /*standalone=*/false,
                        absl::StrCat("plot ", ClassOf(standing_)));
    const double y = 14;
    if (std::isfinite(one_.interval_low()) && std::isfinite(one_.interval_high())) {
      const double low = X(one_.interval_low()), high = X(one_.interval_high());
      Path whisker;
      whisker.Move(Inside(low), y).Line(Inside(high), y);
      AppendEnd(low, y, whisker);
      AppendEnd(high, y, whisker);
      to.Empty("path", {{"class", "whisker"}, {"d", whisker.text()}});
    }
    if (std::isfinite(one_.difference())) {
      to.Empty("circle", {{"class", "estimate"},
                          {"cx", Pixels(Inside(X(one_.difference())))},
                          {"cy", Pixels(y)},
                          {"r", "5"}});
    }
    // Seeds that fall on one another stay to be seen: each a bit lower than the one before.
    const double count = one_.differences_size();
    for (int k = 0; k < one_.differences_size(); ++k) {
      const double step = count > 1 ? 10.0 * k / (count - 1) : 5;
      if (!std::isfinite(one_.differences(k))) continue;
      to.Empty("circle", {{"class", "seed"},
                          {"cx", Pixels(Inside(X(one_.differences(k))))},
                          {"cy", Pixels(25 + step)},
                          {"r", "2.4"}});
    }
    to.Close();
  }

 private:
  double X(double difference) const { return axis_.At(difference / unit_) * kPlotWidth; }
  static double Inside(double x) { return std::clamp(x, 3.0, kPlotWidth - 3); }
  // A cap, or an arrow to where the axis does not reach.
  static void AppendEnd(double x, double y, Path& path) {
    if (x >= 0 && x <= kPlotWidth) {
      path.Move(x, y - 5).Relative("v10");
    } else {
      path.Move(Inside(x), y).Relative(x < 0 ? "m5 -5l-5 5l5 5" : "m-5 -5l5 5l-5 5");
    }
  }

  const Axis& axis_;
  const LossComparison& one_;
  const double unit_;
  const Standing standing_;
};

// Each seed's loss before and after, joined: on a scale of its own, up is more.
void AppendPairs(const v1::GateResult& result, Standing standing, Markup& to) {
  const int seeds = std::min(result.before_size(), result.after_size());
  double low = INFINITY, high = -INFINITY;
  for (int k = 0; k < seeds; ++k) {
    for (const double value : {result.before(k), result.after(k)}) {
      if (!std::isfinite(value)) return;
      low = std::min(low, gate::OwnSign(result, value));
      high = std::max(high, gate::OwnSign(result, value));
    }
  }
  if (seeds == 0) return;
  markup::OpenDrawing(to, kPairsWidth, kPlotHeight, /*standalone=*/false,
                      absl::StrCat("pairs ", ClassOf(standing)));
  const auto y = [&](double value) {
    const double share = high > low ? (gate::OwnSign(result, value) - low) / (high - low) : 0.5;
    return kPlotHeight - 5 - share * (kPlotHeight - 10);
  };
  Path lines, dots;
  for (int k = 0; k < seeds; ++k) {
    lines.Move(8, y(result.before(k))).Line(kPairsWidth - 8, y(result.after(k)));
    dots.Dot(8, y(result.before(k))).Dot(kPairsWidth - 8, y(result.after(k)));
  }
  to.Empty("path", {{"class", "pair"}, {"d", lines.text()}});
  to.Empty("path", {{"class", "ends"}, {"d", dots.text()}});
  to.Close();
}

class Table {
 public:
  Table(const View& view, const Axis& axis) : view_(view), axis_(axis) {}

  // @param more_left  Rows that may be shown beside the first of each vertex.
  // @param shown      Counts rows.
  void AppendTo(const std::vector<const VertexView*>& vertices, size_t& more_left, size_t& shown,
                Markup& to) const {
    to.Open("table", {{"class", "evidence"},
                      {"style", absl::StrFormat("--zero:%.2f%%;--margin:%.2f%%", 100 * axis_.At(0),
                                                100 * axis_.At(1))}});
    to.Element(
        "caption", {{"class", "sr"}},
        "Each comparison: its loss before and after, by how much it is worse, with bounds and "
        "margin");
    AppendHeading(to);
    for (const VertexView* vertex : vertices) AppendVertex(*vertex, more_left, shown, to);
    to.Close().Line();
  }

 private:
  void AppendHeading(Markup& to) const {
    to.Open("thead").Open("tr");
    to.Element("th", {{"scope", "col"}}, "Model and loss");
    to.Open("th", {{"scope", "col"}, {"class", "axis"}});
    to.Element("span", {{"class", "sr"}}, "Drawn: worse by, in margins");
    markup::OpenDrawing(to, kPlotWidth, 34, /*standalone=*/false, "ticks");
    Path marks;
    for (const Axis::Tick& tick : axis_.Ticks()) {
      const double x = tick.at * kPlotWidth;
      marks.Move(x, 28).Relative("v6");
      // A label at the rim would be cut off, and a number without its sign says the opposite.
      const double label_x = std::clamp(x, kHalfLabel, kPlotWidth - kHalfLabel);
      to.Element("text", {{"x", Pixels(label_x)}, {"y", "24"}}, tick.label);
    }
    to.Empty("path", {{"d", marks.text()}});
    to.Element("text", {{"class", "side"}, {"x", "2"}, {"y", "10"}}, "\xe2\x86\x90 better");
    to.Element("text", {{"class", "side end"}, {"x", Pixels(kPlotWidth - 2)}, {"y", "10"}},
               "worse than allowed \xe2\x86\x92");
    to.Close().Close();
    to.Element("th", {{"scope", "col"}, {"class", "pairs"}}, "Each seed");
    to.Element("th", {{"scope", "col"}, {"class", "number"}}, "Before \xe2\x86\x92 after");
    to.Element("th", {{"scope", "col"}, {"class", "number"}}, "Worse by");
    to.Element("th", {{"scope", "col"}, {"class", "number"}}, "Margin");
    to.Close().Close().Line();
  }

  void AppendVertex(const VertexView& vertex, size_t& more_left, size_t& shown, Markup& to) const {
    to.Open("tbody", {{"id", vertex.id}, {"tabindex", "-1"}});
    bool first = true;
    for (const int i : vertex.results) {
      if (!first && more_left == 0) break;
      if (!first) --more_left;
      ++shown;
      AppendRow(vertex, i, first, to);
      first = false;
    }
    to.Close().Line();
  }

  void AppendRow(const VertexView& vertex, int i, bool first, Markup& to) const {
    const v1::GateResult& result = view_.result(i);
    const LossComparison& one = view_.comparison(i);
    const Standing standing = StandingOf(result, one);
    to.Open("tr", {{"class", ClassOf(standing)}});
    to.Open("th", {{"scope", "row"}});
    to.Element("span", {{"class", first ? "vertex" : "vertex again"}}, vertex.name);
    if (vertex.candidate && first) to.Element("span", {{"class", "tag"}}, "changed");
    to.Open("span", {{"class", "loss"}}).Text(LossTitle(one)).Close();
    AppendBadge(standing, to);
    if (!result.waived_because().empty()) {
      to.Element("span", {{"class", "why"}}, result.waived_because());
    }
    if (!one.note().empty()) to.Element("span", {{"class", "why"}}, one.note());
    to.Close();
    to.Open("td", {{"class", "axis"}});
    PlotRow(axis_, one, standing).AppendTo(to);
    to.Close();
    to.Open("td", {{"class", "pairs"}});
    AppendPairs(result, standing, to);
    to.Close();
    to.Open("td", {{"class", "number"}, {"data-label", "before \xe2\x86\x92 after"}});
    AppendNumber(gate::OwnSign(result, one.before()), to);
    to.Text(" \xe2\x86\x92 ");
    AppendNumber(gate::OwnSign(result, one.after()), to);
    to.Close();
    to.Open("td", {{"class", "number"}, {"data-label", "worse by"}}).Open("b");
    AppendSigned(one.difference(), to);
    to.Close().Open("span", {{"class", "bounds"}});
    AppendBounds(one, to);
    to.Close().Close();
    to.Open("td", {{"class", "number"}, {"data-label", "margin"}});
    if (one.judged()) {
      AppendNumber(one.margin(), to);
    } else {
      to.Text("none");
    }
    to.Close().Close().Line();
  }

  const View& view_;
  const Axis& axis_;
};

void AppendLegend(const Axis& axis, Markup& to) {
  to.Open("p", {{"class", "lead"}});
  to.Text("One axis for all losses: their difference, after minus before, counted in margins. ");
  to.Element("b", {}, "0");
  to.Text(" is no change, the shaded band up to ");
  to.Element("b", {}, "margin");
  to.Text(
      " is what is allowed. A large dot is the estimate, its whisker the bounds by which it is "
      "decided: worse, if all of it is right of the band; no worse, if none of it is. Small dots "
      "are "
      "the seeds. At its right, each seed\xe2\x80\x99s loss before and after is joined.");
  if (axis.logarithmic()) to.Text(" Beyond one margin the axis is logarithmic.");
  to.Close().Line();
}

}  // namespace

void AppendEvidence(const View& view, Markup& to) {
  if (!view.report.has_verdict()) return;
  OpenSection(view, "evidence", "The evidence, worst first", to);
  std::vector<const LossComparison*> all;
  std::vector<const VertexView*> open, folded;
  size_t found = 0;
  for (const VertexView& vertex : view.vertices) {
    for (const int i : vertex.results) all.push_back(&view.comparison(i));
    found += vertex.standing < Standing::kWithin ? 1 : 0;
  }
  // A long page shows what was found, and folds the rest.
  const size_t most_open = std::max(std::min(found, kMostFindings), kMostOpenVertices);
  const size_t placed = std::min(view.vertices.size(), View::kMostVertices);
  for (size_t v = 0; v < placed; ++v) {
    const VertexView& vertex = view.vertices[v];
    (open.size() < most_open || vertex.candidate ? open : folded).push_back(&vertex);
  }
  const Axis axis(all);
  AppendLegend(axis, to);
  size_t more_left = kMostRows - placed, shown = 0;
  Table(view, axis).AppendTo(open, more_left, shown, to);
  if (!folded.empty()) {
    to.Open("details").Element(
        "summary", {},
        absl::StrCat(folded.size(), folded.size() == 1 ? " more model" : " more models",
                     found > most_open ? "" : ", none of which is worse than allowed"));
    Table(view, axis).AppendTo(folded, more_left, shown, to);
    to.Close().Line();
  }
  if (all.size() > shown) {
    to.Element("p", {{"class", "note"}},
               absl::StrCat(all.size() - shown,
                            " more comparisons, which stand no worse than those of the same model, "
                            "are in the JSON report alone."));
  }
  to.Close();
}

}  // namespace backfire::page
