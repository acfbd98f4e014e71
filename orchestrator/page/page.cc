#include "orchestrator/page/page.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/page/plain_words.h"
#include "orchestrator/page/sections.h"
#include "orchestrator/page/style.h"
#include "orchestrator/page/view.h"

namespace backfire::page {
namespace {

using markup::Markup;

struct Part {
  const char* id;
  const char* title;  // In the page's navigation.
  void (*append)(const View&, Markup&);
};

constexpr Part kParts[] = {
    {"system", "System", &AppendGraph},
    {"evidence", "Evidence", &AppendEvidence},
    {"slices", "Slices", &AppendSlices},
    {"swap", "Swapped", &AppendSwap},
    {"examples", "Examples", &AppendExamples},
    {"diagnosis", "Why", &AppendDiagnosis},
    {"training", "Training", &AppendCurves},
    {"method", "Again", &AppendMethod},
    {"next", "Next", &AppendNext},
};

std::string TitleOf(const PageEntry& entry) {
  if (!entry.title.empty()) return entry.title;
  return entry.report.candidate().empty() ? "a change" : entry.report.candidate();
}

void AppendReport(const PageEntry& entry, const std::string& prefix, Markup& to) {
  View view(entry.report, prefix);
  view.command = entry.command;
  if (entry.flips.frames() > 0) view.flips = &entry.flips;
  AppendVerdict(view, to);
  Markup parts, links;
  for (const Part& part : kParts) {
    Markup section;
    part.append(view, section);
    const std::string text = section.Take();
    if (text.empty()) continue;
    parts.Written(text);
    links.Open("li")
        .Element("a", {{"href", absl::StrCat("#", prefix, part.id)}}, part.title)
        .Close();
  }
  to.Open("nav", {{"aria-label", absl::StrCat("Parts of the report of ", TitleOf(entry))}});
  to.Open("ul").Written(links.Take()).Close().Close();
  to.Written(parts.Take()).Line();
}

// Of several reports: what each came to.
void AppendOverview(const std::vector<PageEntry>& entries, Markup& to) {
  to.Element("h1", {}, absl::StrCat(entries.size(), " reports")).Line();
  to.Open("table", {{"class", "plain"}}).Open("thead").Open("tr");
  for (const char* title : {"Report", "Answer", "In words"}) {
    to.Element("th", {{"scope", "col"}}, title);
  }
  to.Close().Close().Open("tbody").Line();
  for (size_t i = 0; i < entries.size(); ++i) {
    const View view(entries[i].report, "");
    to.Open("tr").Open("th", {{"scope", "row"}});
    to.Element("a", {{"href", absl::StrCat("#r", i, "-report")}}, TitleOf(entries[i])).Close();
    to.Element("td", {{"data-label", "answer"}}, OutcomeWord(entries[i].report));
    to.Element("td", {{"data-label", "in words"}}, PlainVerdict(view)).Close().Line();
  }
  to.Close().Close().Line();
}

}  // namespace

std::string HtmlPage(const std::vector<PageEntry>& entries) {
  const bool one = entries.size() == 1;
  const std::string title =
      one ? absl::StrCat(OutcomeWord(entries[0].report), ": ", TitleOf(entries[0]))
          : absl::StrCat(entries.size(), " reports");
  Markup to;
  to.Written("<!DOCTYPE html>\n").Open("html", {{"lang", "en"}}).Line().Open("head").Line();
  to.Empty("meta", {{"charset", "utf-8"}}).Line();
  to.Empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}})
      .Line();
  to.Empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}}).Line();
  // A browser that is told to do more than this page does, does not.
  to.Empty("meta", {{"http-equiv", "Content-Security-Policy"},
                    {"content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}})
      .Line();
  // Browsers ask for an icon otherwise.
  to.Empty("link", {{"rel", "icon"}, {"href", "data:,"}}).Line();
  to.Element("title", {}, absl::StrCat(title, " \xc2\xb7 Backfire")).Line();
  to.Open("style").Written(kStyle).Close().Line().Close().Line();
  to.Open("body").Line().Written(kSymbols).Line();
  to.Element("a", {{"class", "skip"}, {"href", "#main"}}, "To the verdict").Line();
  to.Open("main", {{"id", "main"}}).Line();
  if (!one) AppendOverview(entries, to);
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string prefix = one ? "" : absl::StrCat("r", i, "-");
    if (!one) {
      to.Open("article",
              {{"id", absl::StrCat(prefix, "report")}, {"aria-label", TitleOf(entries[i])}});
      to.Element("p", {{"class", "of"}}, TitleOf(entries[i])).Line();
    }
    AppendReport(entries[i], prefix, to);
    if (!one) to.Close().Line();
  }
  to.Close().Line();
  to.Element("footer", {},
             "Written by backfire gate. Its numbers are those of its JSON report, and of what "
             "releases see of frames those of `backfire vision flips`; this page adds none.");
  to.Close().Close().Line();
  return to.Take();
}

}  // namespace backfire::page
