#include "orchestrator/page/view.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/report/numbers.h"

namespace backfire::page {

using markup::Markup;
using v1::GateResult;
using v1::LossComparison;

Standing StandingOf(const GateResult& result, const LossComparison& one) {
  switch (result.status()) {
    case GateResult::BLOCKS:
      return Standing::kBlocks;
    case GateResult::OPEN:
      return Standing::kOpen;
    case GateResult::WAIVED:
      return Standing::kWaived;
    case GateResult::ADVISORY:
      return Standing::kAdvisory;
    default:
      break;
  }
  switch (one.outcome()) {
    case LossComparison::BETTER:
      return Standing::kBetter;
    case LossComparison::NO_WORSE:
      return Standing::kPasses;
    case LossComparison::UNRESOLVED:
      return Standing::kOpen;
    default:  // Worse, within the margin or where nothing is refused.
      return Standing::kWithin;
  }
}

std::string WordOf(Standing standing) {
  switch (standing) {
    case Standing::kBlocks:
      return "worse";
    case Standing::kOpen:
      return "can't decide";
    case Standing::kWaived:
      return "waived";
    case Standing::kWithin:
      return "worse, allowed";
    case Standing::kPasses:
      return "no worse";
    case Standing::kBetter:
      return "better";
    case Standing::kAdvisory:
      return "shown alone";
    case Standing::kNotJudged:
      return "not judged";
  }
  return "";
}

std::string ClassOf(Standing standing) {
  switch (standing) {
    case Standing::kBlocks:
      return "blocks";
    case Standing::kOpen:
      return "open";
    case Standing::kWaived:
      return "waived";
    case Standing::kWithin:
      return "within";
    case Standing::kPasses:
      return "passes";
    case Standing::kBetter:
      return "better";
    case Standing::kAdvisory:
      return "advisory";
    case Standing::kNotJudged:
      return "unjudged";
  }
  return "";
}

void AppendSymbol(Standing standing, Markup& to) {
  const std::string name = ClassOf(standing);
  to.Open("svg", {{"class", absl::StrCat("symbol ", name)}, {"aria-hidden", "true"}})
      .Empty("use", {{"href", absl::StrCat("#symbol-", name)}})
      .Close();
}

void AppendBadge(Standing standing, Markup& to) {
  to.Open("span", {{"class", absl::StrCat("badge ", ClassOf(standing))}});
  AppendSymbol(standing, to);
  to.Text(WordOf(standing)).Close();
}

View::View(const v1::GateReport& of, std::string ids) : report(of), prefix(std::move(ids)) {
  std::map<std::string, size_t> numbers;
  for (const int i : gate::WorstFirst(report)) {
    const GateResult& one = report.results(i);
    const auto [at, is_new] = numbers.try_emplace(one.vertex(), vertices.size());
    if (is_new) {
      VertexView& added = vertices.emplace_back();
      added.name = one.vertex();
      added.standing = StandingOf(one, comparison(i));
    }
    VertexView& vertex = vertices[at->second];
    vertex.results.push_back(i);
    vertex.candidate = vertex.candidate || comparison(i).candidate();
    vertex.standing = std::min(vertex.standing, StandingOf(one, comparison(i)));
  }
  std::stable_sort(vertices.begin(), vertices.end(), [](const VertexView& a, const VertexView& b) {
    return std::make_pair(a.standing, !a.candidate) < std::make_pair(b.standing, !b.candidate);
  });
  for (size_t v = 0; v < vertices.size(); ++v) {
    vertices[v].id =
        v < kMostVertices ? absl::StrCat(prefix, "vertex-", v) : absl::StrCat(prefix, "evidence");
  }
}

const VertexView* View::Find(const std::string& vertex) const {
  const auto found = std::find_if(vertices.begin(), vertices.end(),
                                  [&](const VertexView& one) { return one.name == vertex; });
  return found == vertices.end() ? nullptr : &*found;
}

std::string LossTitle(const LossComparison& one) {
  return absl::StrCat(one.loss(), one.unit().empty() ? "" : absl::StrCat(" (", one.unit(), ")"),
                      one.slice().empty() ? "" : absl::StrCat(" on ", one.slice()));
}

namespace {

void AppendData(double value, const std::string& text, Markup& to) {
  if (!std::isfinite(value)) {
    to.Text(text);
    return;
  }
  to.Element("data", {{"value", absl::StrFormat("%.17g", value)}}, text);
}

}  // namespace

void AppendNumber(double value, Markup& to) { AppendData(value, report::FormatNumber(value), to); }

void AppendSigned(double value, Markup& to) { AppendData(value, report::FormatSigned(value), to); }

void AppendBounds(const LossComparison& one, Markup& to) {
  if (std::isnan(one.interval_low()) || std::isnan(one.interval_high())) {
    to.Text("no bounds");
    return;
  }
  to.Text("[");
  AppendSigned(one.interval_low(), to);
  to.Text(", ");
  AppendSigned(one.interval_high(), to);
  to.Text("]");
}

bool IsOfNumbers(absl::string_view title) {
  for (const char* other : {"Slice", "Stands", "Example", "Slices, cluster", "Model and loss",
                            "Before, swapped, after", "Part of the error"}) {
    if (title == other) return false;
  }
  return true;
}

void OpenSection(const View& view, const std::string& name, const std::string& title, Markup& to) {
  const std::string id = absl::StrCat(view.prefix, name);
  to.Line().Open("section", {{"id", id}, {"aria-labelledby", absl::StrCat(id, "-title")}});
  to.Element("h2", {{"id", absl::StrCat(id, "-title")}}, title).Line();
}

}  // namespace backfire::page
