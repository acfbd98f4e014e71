#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/sections.h"

namespace backfire::page {
namespace {

using markup::Markup;

constexpr int kMostOpen = 3;

void AppendTable(const View& view, int i, Markup& to) {
  const v1::GateResult& result = view.result(i);
  to.Open("table", {{"class", "plain narrow"}}).Open("thead").Open("tr");
  for (const char* title : {"Example", "Before", "After", "Worse by", "Slices, cluster"}) {
    to.Element("th", {{"scope", "col"}, {"class", IsOfNumbers(title) ? "number" : ""}}, title);
  }
  to.Close().Close().Open("tbody").Line();
  for (const v1::ExampleChange& one : result.worst_examples()) {
    to.Open("tr").Open("th", {{"scope", "row"}}).Element("code", {}, one.example()).Close();
    const auto number = [&](const char* label, double value, bool sign) {
      to.Open("td", {{"class", "number"}, {"data-label", label}});
      sign ? AppendSigned(value, to) : AppendNumber(gate::OwnSign(result, value), to);
      to.Close();
    };
    number("before", one.before(), false);
    number("after", one.after(), false);
    number("worse by", one.after() - one.before(), true);
    std::string where = absl::StrJoin(one.slices(), ", ");
    if (!one.cluster().empty()) {
      absl::StrAppend(&where, where.empty() ? "" : "; ", one.cluster());
    }
    to.Element("td", {{"data-label", "in"}}, where).Close().Line();
  }
  to.Close().Close().Line();
}

}  // namespace

void AppendExamples(const View& view, Markup& to) {
  if (!view.report.has_verdict()) return;
  OpenSection(view, "examples", "Which examples flipped", to);
  int shown = 0;
  for (const VertexView& vertex : view.vertices) {
    for (const int i : vertex.results) {
      const v1::GateResult& result = view.result(i);
      if (result.worst_examples().empty()) continue;
      if (shown == 0) {
        to.Element("p", {{"class", "lead"}},
                   "Test examples whose loss grew most, mean over the seeds. Look at these first.");
      }
      const bool open = shown++ < kMostOpen;
      to.Open("details", {{"open", open ? "open" : ""}});
      to.Open("summary")
          .Element("b", {}, vertex.name)
          .Text(absl::StrCat(" ", LossTitle(view.comparison(i)), ": ", result.examples_worse(),
                             result.examples_worse() == 1 ? " example" : " examples", " worse, ",
                             result.examples_better(), " better"))
          .Close();
      AppendTable(view, i, to);
      to.Close().Line();
    }
  }
  if (view.flips != nullptr) AppendFlips(view, to);
  if (shown == 0 && view.flips == nullptr) {
    to.Element(
        "p", {{"class", "lead"}},
        view.report.update().vertices().empty()
            ? "The records name no loss of a single example that grew."
            : "A mesh\xe2\x80\x99s evidence has losses of whole test splits and their "
              "resamples, not of single examples: there is none to be shown. Of a system that "
              "finds objects in stereo pairs there are frames with pictures, if its mesh runs "
              "where this page is made: `backfire report` asks both releases.");
  }
  to.Close();
}

}  // namespace backfire::page
