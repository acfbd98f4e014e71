#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/sections.h"
#include "orchestrator/report/numbers.h"

namespace backfire::page {
namespace {

using markup::Markup;

constexpr size_t kMostGroups = 60;

std::string SizeOf(const v1::LossComparison& one) {
  if (one.example_count() == 0) return "-";
  std::string text = absl::StrCat(one.example_count());
  if (one.cluster_count() > 0 && one.cluster_count() < one.example_count()) {
    absl::StrAppend(&text, " in ", one.cluster_count(), " clusters");
  }
  return text;
}

void AppendRow(const View& view, int i, Markup& to) {
  const v1::GateResult& result = view.result(i);
  const v1::LossComparison& one = view.comparison(i);
  to.Open("tr").Element("th", {{"scope", "row"}},
                        one.slice().empty() ? "all examples" : one.slice());
  to.Element("td", {{"class", "number"}, {"data-label", "examples"}}, SizeOf(one));
  to.Open("td", {{"class", "number"}, {"data-label", "before \xe2\x86\x92 after"}});
  AppendNumber(gate::OwnSign(result, one.before()), to);
  to.Text(" \xe2\x86\x92 ");
  AppendNumber(gate::OwnSign(result, one.after()), to);
  to.Close();
  to.Open("td", {{"class", "number"}, {"data-label", "worse by"}});
  AppendSigned(one.difference(), to);
  to.Text(" ");
  AppendBounds(one, to);
  to.Close();
  to.Open("td", {{"class", "number"}, {"data-label", "margin"}});
  if (one.judged()) {
    AppendNumber(one.margin(), to);
  } else {
    to.Text("none");
  }
  to.Close();
  to.Open("td", {{"data-label", "stands"}});
  AppendBadge(StandingOf(result, one), to);
  if (!result.would_decide().empty()) {
    to.Element("span", {{"class", "why"}}, absl::StrCat("would decide: ", result.would_decide()));
  }
  to.Close().Close().Line();
}

}  // namespace

void AppendSlices(const View& view, Markup& to) {
  // A group for each loss that has slices, all examples first, in the order of the evidence.
  std::vector<std::vector<int>> groups;
  std::map<std::pair<std::string, std::string>, size_t> numbers;
  for (const VertexView& vertex : view.vertices) {
    for (const int i : vertex.results) {
      const auto key = std::make_pair(vertex.name, view.comparison(i).loss());
      const auto [at, is_new] = numbers.try_emplace(key, groups.size());
      if (is_new) groups.emplace_back();
      std::vector<int>& group = groups[at->second];
      group.insert(view.comparison(i).slice().empty() ? group.begin() : group.end(), i);
    }
  }
  size_t sliced = 0, shown = 0;
  for (const auto& group : groups) {
    sliced += !view.comparison(group.back()).slice().empty() ? 1 : 0;
  }
  if (sliced == 0) return;
  OpenSection(view, "slices", "Where: slices of the examples", to);
  to.Element(
      "p", {{"class", "lead"}},
      "Each slice is judged on its own examples alone. Few examples leave wide bounds, and then "
      "it can\xe2\x80\x99t be decided, which is no sign of safety.");
  to.Open("table", {{"class", "plain"}}).Open("thead").Open("tr");
  for (const char* title :
       {"Slice", "Examples", "Before \xe2\x86\x92 after", "Worse by", "Margin", "Stands"}) {
    to.Element("th", {{"scope", "col"}, {"class", IsOfNumbers(title) ? "number" : ""}}, title);
  }
  to.Close().Close().Line();
  for (const auto& group : groups) {
    if (view.comparison(group.back()).slice().empty()) continue;
    if (++shown > kMostGroups) break;
    to.Open("tbody").Open("tr", {{"class", "group"}});
    v1::LossComparison whole = view.comparison(group.front());
    whole.clear_slice();
    to.Open("th", {{"scope", "rowgroup"}, {"colspan", "6"}})
        .Text(absl::StrCat(view.comparison(group.front()).vertex(), " \xc2\xb7 ", LossTitle(whole)))
        .Close()
        .Close()
        .Line();
    for (const int i : group) AppendRow(view, i, to);
    to.Close().Line();
  }
  to.Close().Line();
  if (sliced > kMostGroups) {
    to.Element("p", {{"class", "note"}},
               absl::StrCat("Slices of ", sliced - kMostGroups,
                            " more losses are in the JSON report alone."));
  }
  to.Close();
}

}  // namespace backfire::page
