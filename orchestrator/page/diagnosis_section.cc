#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/page/sections.h"
#include "orchestrator/report/numbers.h"
#include "services/markup/svg.h"

namespace backfire::page {
namespace {

using markup::Markup;
using markup::Path;
using markup::Pixels;

struct Term {
  std::string name, meaning;
  double before = 0, after = 0;
};

std::vector<Term> TermsOf(const v1::VertexDiagnosis& one) {
  const v1::ErrorTerms &was = one.before(), &is = one.after();
  std::vector<Term> terms = {
      {"least possible", "what no model could avoid", was.bayes_loss(), is.bayes_loss()},
      {"upstream", "what its inputs don\xe2\x80\x99t tell", was.upstream(), is.upstream()}};
  if (was.has_compatibility() && is.has_compatibility()) {
    terms.push_back({"compatibility", "part of upstream: its inputs don\xe2\x80\x99t fit together",
                     was.compatibility(), is.compatibility()});
    terms.push_back({"excess_upstream", "part of upstream: the rest", was.excess_upstream(),
                     is.excess_upstream()});
  }
  terms.push_back({"approximation", "what its kind of model can\xe2\x80\x99t express",
                   was.approximation(), is.approximation()});
  terms.push_back(
      {"estimation", "what its training did not find", was.estimation(), is.estimation()});
  return terms;
}

// A bar from the middle: right is growth.
void AppendBar(double growth, double most, bool cause, Markup& to) {
  constexpr double kHalf = 70, kHeight = 18;
  const double length = most > 0 ? kHalf * std::min(std::abs(growth) / most, 1.0) : 0;
  markup::OpenDrawing(to, 2 * kHalf + 4, kHeight, /*standalone=*/false, "bar");
  to.Empty("rect", {{"class", cause        ? "cause"
                              : growth > 0 ? "more"
                                           : "less"},
                    {"x", Pixels(growth > 0 ? kHalf + 2 : kHalf + 2 - length)},
                    {"y", "4"},
                    {"width", Pixels(length)},
                    {"height", "10"}});
  to.Empty("path", {{"d", Path().Move(kHalf + 2, 0).Line(kHalf + 2, kHeight).text()}});
  to.Close();
}

void AppendTerms(const v1::VertexDiagnosis& one, Markup& to) {
  const std::vector<Term> terms = TermsOf(one);
  double most = 0;
  for (const Term& term : terms) most = std::max(most, std::abs(term.after - term.before));
  to.Element("h3", {}, one.vertex());
  to.Open("p").Text(absl::StrCat("True ", one.loss(), ": "));
  AppendNumber(one.before().loss(), to);
  to.Text(" \xe2\x86\x92 ");
  AppendNumber(one.after().loss(), to);
  if (one.cause().empty()) {
    to.Text(". No part of it grew.");
  } else {
    to.Text(". What grew most: ").Element("b", {}, one.cause()).Text(".");
  }
  to.Close().Line();
  to.Open("table", {{"class", "plain narrow"}}).Open("thead").Open("tr");
  for (const char* title : {"Part of the error", "Before", "After", "Growth", ""}) {
    if (*title == '\0') {
      to.Open("td").Close();
    } else {
      to.Element("th", {{"scope", "col"}, {"class", IsOfNumbers(title) ? "number" : ""}}, title);
    }
  }
  to.Close().Close().Open("tbody").Line();
  for (const Term& term : terms) {
    const bool cause = term.name == one.cause();
    to.Open("tr", {{"class", cause ? "cause" : ""}}).Open("th", {{"scope", "row"}});
    to.Text(cause ? absl::StrCat(term.name, " (grew most)") : term.name);
    to.Element("span", {{"class", "why"}}, term.meaning).Close();
    const auto number = [&](const char* label, double value, bool sign) {
      to.Open("td", {{"class", "number"}, {"data-label", label}});
      sign ? AppendSigned(value, to) : AppendNumber(value, to);
      to.Close();
    };
    number("before", term.before, false);
    number("after", term.after, false);
    number("growth", term.after - term.before, true);
    to.Open("td");
    AppendBar(term.after - term.before, most, cause, to);
    to.Close().Close().Line();
  }
  to.Close().Close().Line();
}

// One vertex's curves, a line per replicate.
void AppendCurve(const std::string& vertex, const std::vector<const v1::TrainingCurve*>& curves,
                 Markup& to) {
  constexpr double kWidth = 240, kHeight = 110, kLeft = 44, kBottom = 18;
  double low = INFINITY, high = -INFINITY, last = 1;
  for (const v1::TrainingCurve* curve : curves) {
    for (int i = 0; i < std::min(curve->steps_size(), curve->losses_size()); ++i) {
      if (!std::isfinite(curve->losses(i))) continue;
      low = std::min(low, curve->losses(i));
      high = std::max(high, curve->losses(i));
      last = std::max(last, static_cast<double>(curve->steps(i)));
    }
  }
  if (!(low <= high)) return;
  to.Open("figure");
  to.Element("figcaption", {},
             absl::StrCat(vertex, ": training loss by step, a line for each seed"));
  markup::OpenDrawing(to, kWidth, kHeight, /*standalone=*/false, "curve");
  const double span = high > low ? high - low : 1;
  Path lines, frame;
  frame.Move(kLeft, 4).Line(kLeft, kHeight - kBottom).Line(kWidth - 4, kHeight - kBottom);
  for (const v1::TrainingCurve* curve : curves) {
    bool pen_down = false;
    for (int i = 0; i < std::min(curve->steps_size(), curve->losses_size()); ++i) {
      if (!std::isfinite(curve->losses(i))) continue;
      const double x =
          kLeft + 4 + static_cast<double>(curve->steps(i)) / last * (kWidth - kLeft - 12);
      const double y = 8 + (high - curve->losses(i)) / span * (kHeight - kBottom - 16);
      pen_down ? lines.Line(x, y) : lines.Move(x, y);
      pen_down = true;
    }
  }
  to.Empty("path", {{"class", "frame"}, {"d", frame.text()}});
  to.Empty("path", {{"class", "line"}, {"d", lines.text()}});
  const auto text = [&](double x, double y, const char* anchor, const std::string& says) {
    to.Element("text", {{"x", Pixels(x)}, {"y", Pixels(y)}, {"text-anchor", anchor}}, says);
  };
  text(kLeft - 5, 14, "end", report::FormatNumber(high));
  text(kLeft - 5, kHeight - kBottom - 2, "end", report::FormatNumber(low));
  text(kLeft, kHeight - 4, "start", "0");
  text(kWidth - 4, kHeight - 4, "end", absl::StrFormat("%.0f steps", last));
  to.Close().Close().Line();
}

}  // namespace

void AppendDiagnosis(const View& view, Markup& to) {
  if (!view.report.has_verdict() || view.report.candidate().empty()) return;
  OpenSection(view, "diagnosis", "Why", to);
  const auto& diagnoses = view.report.update().diagnoses();
  if (diagnoses.empty()) {
    to.Element(
        "p", {{"class", "lead"}},
        "Which part of the error grew can only be said where the true distribution is known, or "
        "where reference recipes estimate it; here nothing says so. The parts above narrow it "
        "down: whether swapping or retraining did it, on which slices, in which examples.");
  } else {
    to.Element(
        "p", {{"class", "lead"}},
        "True error = least possible + upstream + approximation + estimation (Wu et al., 2021). "
        "Growth is drawn to the right of the line.");
  }
  for (const v1::VertexDiagnosis& one : diagnoses) AppendTerms(one, to);
  to.Close();
}

void AppendCurves(const View& view, Markup& to) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<const v1::TrainingCurve*>> by_vertex;
  for (const v1::TrainingCurve& curve : view.report.update().curves()) {
    if (by_vertex[curve.vertex()].empty()) order.push_back(curve.vertex());
    by_vertex[curve.vertex()].push_back(&curve);
  }
  if (order.empty()) return;
  constexpr size_t kMost = 24;
  OpenSection(view, "training", "How trainings went", to);
  to.Open("div", {{"class", "figures"}}).Line();
  for (size_t i = 0; i < std::min(order.size(), kMost); ++i) {
    AppendCurve(order[i], by_vertex[order[i]], to);
  }
  to.Close().Close();
}

}  // namespace backfire::page
