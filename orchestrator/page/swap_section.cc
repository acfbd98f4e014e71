#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/sections.h"
#include "services/markup/svg.h"

namespace backfire::page {
namespace {

using markup::Markup;
using markup::Path;
using markup::Pixels;

constexpr size_t kMostOpenRows = 16;
constexpr size_t kMostRows = 200;
constexpr double kWidth = 220, kHeight = 56;

// Three means joined, with each seed's thin line behind them.
void AppendDrawing(const v1::GateResult& result, const v1::LossComparison& one, Standing standing,
                   Markup& to) {
  const int seeds = result.swapped_size();
  std::vector<std::vector<double>> lines;
  for (int k = 0; k < seeds && k < result.before_size() && k < result.after_size(); ++k) {
    lines.push_back({result.before(k), result.swapped(k), result.after(k)});
  }
  const std::vector<double> mean = {one.before(), one.swapped(), one.after()};
  lines.push_back(mean);
  double low = INFINITY, high = -INFINITY;
  for (auto& line : lines) {
    for (double& value : line) {
      if (!std::isfinite(value)) return;
      value = gate::OwnSign(result, value);
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  const auto y = [&](double value) {
    return kHeight - 8 - (high > low ? (value - low) / (high - low) : 0.5) * (kHeight - 16);
  };
  const auto x = [](size_t step) { return 12 + static_cast<double>(step) * (kWidth - 24) / 2; };
  const auto draw = [&](const std::vector<double>& line, Path& path) {
    path.Move(x(0), y(line[0])).Line(x(1), y(line[1])).Line(x(2), y(line[2]));
  };
  markup::OpenDrawing(to, kWidth, kHeight, /*standalone=*/false,
                      absl::StrCat("swap ", ClassOf(standing)));
  Path thin, thick, dots;
  for (size_t l = 0; l + 1 < lines.size(); ++l) draw(lines[l], thin);
  draw(lines.back(), thick);
  for (size_t step = 0; step < 3; ++step) dots.Dot(x(step), y(lines.back()[step]));
  if (!thin.empty()) to.Empty("path", {{"class", "pair"}, {"d", thin.text()}});
  to.Empty("path", {{"class", "mean"}, {"d", thick.text()}});
  to.Empty("path", {{"class", "ends"}, {"d", dots.text()}});
  to.Close();
}

void AppendTable(const View& view, const std::vector<int>& rows, Markup& to) {
  to.Open("table", {{"class", "plain"}}).Open("thead").Open("tr");
  for (const char* title : {"Model and loss", "Before, swapped, after", "Before", "Swapped",
                            "After", "Swap alone", "Retraining"}) {
    to.Element("th", {{"scope", "col"}, {"class", IsOfNumbers(title) ? "number" : ""}}, title);
  }
  to.Close().Close().Open("tbody").Line();
  for (const int i : rows) {
    const v1::GateResult& result = view.result(i);
    const v1::LossComparison& one = view.comparison(i);
    to.Open("tr").Open("th", {{"scope", "row"}});
    to.Element("span", {{"class", "vertex"}}, one.vertex());
    to.Element("span", {{"class", "loss"}}, LossTitle(one)).Close();
    to.Open("td");
    AppendDrawing(result, one, StandingOf(result, one), to);
    to.Close();
    const auto number = [&](const char* label, double value) {
      to.Open("td", {{"class", "number"}, {"data-label", label}});
      AppendNumber(gate::OwnSign(result, value), to);
      to.Close();
    };
    number("before", one.before());
    number("swapped", one.swapped());
    number("after", one.after());
    const auto change = [&](const char* label, double value) {
      to.Open("td", {{"class", "number"}, {"data-label", label}});
      AppendSigned(value, to);
      to.Close();
    };
    change("swap alone", one.swapped() - one.before());
    change("retraining", one.after() - one.swapped());
    to.Close().Line();
  }
  to.Close().Close().Line();
}

}  // namespace

void AppendSwap(const View& view, Markup& to) {
  if (!view.report.has_verdict()) return;
  std::vector<int> rows;
  bool any_behind = false;
  for (const VertexView& vertex : view.vertices) {
    any_behind = any_behind || !vertex.candidate;
    for (const int i : vertex.results) {
      const v1::LossComparison& one = view.comparison(i);
      if (one.candidate() || !std::isfinite(one.swapped()) || !one.slice().empty()) continue;
      if (rows.size() < kMostRows) rows.push_back(i);
    }
  }
  if (!any_behind) return;
  OpenSection(view, "swap", "Before, swapped, after", to);
  if (rows.empty()) {
    to.Element(
        "p", {{"class", "lead"}},
        "Nobody measured the models behind it as they were, fed by the changed one, without "
        "retraining them: `--swapped` takes such records, and tells what the swap does from what "
        "retraining does.");
    to.Close();
    return;
  }
  to.Element(
      "p", {{"class", "lead"}},
      "Swapped: the old model behind, fed by the changed one. After: retrained on it. Plus is "
      "worse. Thin lines are the seeds.");
  const size_t open = std::min(rows.size(), kMostOpenRows);
  const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(open);
  AppendTable(view, {rows.begin(), middle}, to);
  if (middle != rows.end()) {
    to.Open("details").Element("summary", {}, absl::StrCat(rows.size() - open, " more losses"));
    AppendTable(view, {middle, rows.end()}, to);
    to.Close().Line();
  }
  to.Close();
}

}  // namespace backfire::page
