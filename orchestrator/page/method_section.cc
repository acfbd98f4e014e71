#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "orchestrator/page/sections.h"
#include "orchestrator/report/numbers.h"

namespace backfire::page {
namespace {

using markup::Markup;
using report::FormatNumber;
using report::FormatSeconds;

constexpr int kMostVertices = 40;

void AppendEntry(const std::string& term, const std::string& text, bool code, Markup& to) {
  if (text.empty()) return;
  to.Element("dt", {}, term).Open("dd");
  if (code) {
    to.Element("code", {}, text);
  } else {
    to.Text(text);
  }
  to.Close().Line();
}

std::string TimeOf(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string TestedBy(const v1::Verdict& verdict) {
  std::string text =
      absl::StrCat("alpha ", FormatNumber(verdict.alpha()), " over ", verdict.family(),
                   verdict.family() == 1 ? " loss that may block" : " losses that may block",
                   ", by Holm\xe2\x80\x99s correction");
  if (verdict.planned_looks() > 1) {
    absl::StrAppend(&text, "; look ", verdict.look(), " of ", verdict.planned_looks(),
                    " that were planned, which may spend ", FormatNumber(verdict.look_alpha()));
  }
  return text;
}

void AppendWaivers(const char* what, const google::protobuf::RepeatedPtrField<v1::Waiver>& waivers,
                   Markup& to) {
  for (const v1::Waiver& waiver : waivers) {
    to.Open("li")
        .Element("b", {}, what)
        .Text(absl::StrCat(
            ": ", waiver.vertex(), waiver.loss().empty() ? "" : absl::StrCat(" ", waiver.loss()),
            waiver.slice().empty() ? "" : absl::StrCat(" on ", waiver.slice()), ", by ",
            waiver.owner(), ", until ", waiver.expires(), ": ", waiver.reason()))
        .Close()
        .Line();
  }
}

// Which versions an update trained, of each vertex and seed.
void AppendVersions(const v1::UpdateContext& update, Markup& to) {
  const bool any = std::any_of(update.vertices().begin(), update.vertices().end(),
                               [](const auto& vertex) { return vertex.versions_size() > 0; });
  if (!any) return;
  to.Open("details").Element("summary", {}, "Versions that were trained, with seeds and digests");
  to.Open("table", {{"class", "plain narrow"}}).Open("thead").Open("tr");
  for (const char* title : {"Version", "Seed", "Digest"}) {
    to.Element("th", {{"scope", "col"}}, title);
  }
  to.Close().Close().Open("tbody").Line();
  int shown = 0;
  for (const v1::UpdateVertex& vertex : update.vertices()) {
    if (vertex.versions().empty() || ++shown > kMostVertices) continue;
    for (int k = 0; k < vertex.versions_size(); ++k) {
      to.Open("tr").Element("th", {{"scope", "row"}}, vertex.versions(k));
      to.Element("td", {}, k < vertex.seeds_size() ? absl::StrCat(vertex.seeds(k)) : "");
      to.Open("td").Element("code", {}, k < vertex.digests_size() ? vertex.digests(k) : "");
      to.Close().Close().Line();
    }
  }
  to.Close().Close();
  if (shown > kMostVertices) {
    to.Element("p", {{"class", "note"}},
               absl::StrCat(shown - kMostVertices, " more models are in the JSON report alone."));
  }
  to.Close().Line();
}

}  // namespace

void AppendMethod(const View& view, Markup& to) {
  const v1::GateReport& report = view.report;
  const v1::UpdateContext& update = report.update();
  OpenSection(view, "method", "How to get the same again", to);
  if (!view.command.empty()) {
    to.Open("pre", {{"tabindex", "0"}}).Element("code", {}, view.command).Close().Line();
  }
  to.Open("dl", {{"class", "facts"}}).Line();
  AppendEntry("What changed",
              update.change().empty()
                  ? report.candidate()
                  : absl::StrCat(update.vertex(), " \xe2\x86\x92 ", update.change()),
              false, to);
  AppendEntry("Proposed",
              absl::StrCat(TimeOf(update.create_time()),
                           update.actor().empty() ? "" : absl::StrCat(" by ", update.actor()),
                           update.reason().empty() ? "" : absl::StrCat(": ", update.reason())),
              false, to);
  AppendEntry("Decided", TimeOf(update.decide_time()), false, to);
  AppendEntry("Compared with", update.baseline_release(), true, to);
  AppendEntry("Made", update.release(), true, to);
  AppendEntry("Seeds", absl::StrJoin(report.seeds(), ", "), false, to);
  if (report.has_verdict()) AppendEntry("Tested at", TestedBy(report.verdict()), false, to);
  if (report.has_bootstrap()) {
    AppendEntry(
        "Resamples",
        absl::StrCat(report.bootstrap().resample_count(), ", seed ", report.bootstrap().seed()),
        false, to);
  }
  if (report.has_verdict()) {
    AppendEntry(
        "Judged before",
        absl::StrCat("these test examples have judged ", report.verdict().candidates_judged(),
                     report.verdict().candidates_judged() == 1 ? " candidate" : " candidates",
                     ", this one included"),
        false, to);
  }
  if (update.compute_seconds() + update.saved_seconds() > 0) {
    AppendEntry(
        "Cost",
        absl::StrCat(FormatSeconds(update.compute_seconds()), " of services\xe2\x80\x99 time; ",
                     FormatSeconds(update.saved_seconds()), " saved by what had been done before"),
        false, to);
  }
  AppendEntry("Policy", report.policy_digest(), true, to);
  const bool one_file = report.before_digest() == report.after_digest();
  AppendEntry(one_file ? "Evidence" : "Records before", report.before_digest(), true, to);
  AppendEntry("Records after", one_file ? "" : report.after_digest(), true, to);
  AppendEntry("Waivers as of", report.today(), false, to);
  AppendEntry("Not reached by it", absl::StrJoin(report.unaffected(), ", "), false, to);
  to.Close().Line();
  if (!report.expired_waivers().empty() || !report.unused_waivers().empty()) {
    to.Open("ul", {{"class", "notes"}});
    AppendWaivers("Expired waiver", report.expired_waivers(), to);
    AppendWaivers("Waiver that waived nothing", report.unused_waivers(), to);
    to.Close().Line();
  }
  AppendVersions(update, to);
  if (!report.self_test().complaints().empty()) {
    to.Element("h3", {}, "What the gate\xe2\x80\x99s test of itself complains of");
    to.Open("ul", {{"class", "notes"}});
    constexpr int kMost = 12;
    for (int i = 0; i < std::min(kMost, report.self_test().complaints_size()); ++i) {
      to.Element("li", {}, report.self_test().complaints(i));
    }
    if (report.self_test().complaints_size() > kMost) {
      to.Element("li", {}, absl::StrCat(report.self_test().complaints_size() - kMost, " more"));
    }
    to.Close().Line();
  }
  to.Close();
}

}  // namespace backfire::page
