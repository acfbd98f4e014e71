#include "orchestrator/report/release_report.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"
#include "orchestrator/report/when.h"

namespace backfire::report {
namespace {

using v1::Release;
using v1::ReleaseEvent;

/// A map in the order of its keys: a protobuf map has none.
std::string Joined(const google::protobuf::Map<std::string, std::string>& map) {
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  return absl::StrJoin(sorted, ", ", absl::PairFormatter("="));
}

/// `rolled back to`.
std::string KindText(ReleaseEvent::Kind kind) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(ReleaseEvent::Kind_Name(kind), {{"_", " "}}));
}

std::string EpochText(int64_t epoch) { return epoch == 0 ? "" : absl::StrCat(epoch); }

std::string GatewayText(const v1::Gateway& gateway) {
  std::string text = absl::StrCat("serves epoch ", gateway.epoch());
  if (gateway.oldest_epoch() != 0 && gateway.oldest_epoch() < gateway.epoch()) {
    absl::StrAppend(&text, ", still finishing requests of epoch ", gateway.oldest_epoch());
  }
  if (!gateway.connected()) {
    absl::StrAppend(&text, ", not connected, lease runs for ",
                    FormatSeconds(gateway.lease_seconds_left()));
  }
  return text;
}

}  // namespace

std::string ReleaseListText(const v1::ListReleasesResponse& releases) {
  TextTable table(
      {{"release"}, {"state"}, {"since"}, {"by"}, {"why"}, {"epoch"}, {"made by"}, {"versions"}});
  for (const Release& release : releases.releases()) {
    // What made it what it is; a release that is loaded and was never live has no history yet.
    const ReleaseEvent last =
        release.history().empty() ? ReleaseEvent() : *release.history().rbegin();
    table.AddRow({release.name(), Release::State_Name(release.state()), WhenText(last.time()),
                  last.actor(), last.reason(), EpochText(release.epoch()), release.update(),
                  Joined(release.versions())});
  }
  const std::string text = table.ToString();
  return text.empty() ? "no releases\n" : text;
}

std::string RollbackText(const Release& live, const Release& target) {
  if (live.name() == target.name()) {
    return absl::StrCat(target.name(), " is live already: nothing would change\n");
  }
  TextTable table({{"vertex"}, {"now"}, {"then"}});
  const std::map<std::string, std::string> sorted(target.versions().begin(),
                                                  target.versions().end());
  size_t same = 0;
  for (const auto& [vertex, version] : sorted) {
    const auto now = live.versions().find(vertex);
    if (now != live.versions().end() && now->second == version) {
      ++same;
    } else {
      table.AddRow({vertex, now == live.versions().end() ? "-" : now->second, version});
    }
  }
  for (const auto& [vertex, version] :
       std::map<std::string, std::string>(live.versions().begin(), live.versions().end())) {
    if (target.versions().count(vertex) == 0) table.AddRow({vertex, version, "-"});
  }
  return absl::StrCat("A rollback from ", live.name(), " (", live.update(), ") to ", target.name(),
                      " (", target.update(), ") would change:\n", table.ToString(2), "and leave ",
                      same, " of ", sorted.size(), " vertices as they are\n");
}

std::string ReleaseText(const Release& release) {
  std::string text = absl::StrCat(release.name(), ": ", Release::State_Name(release.state()),
                                  ", made by ", release.update());
  if (release.epoch() != 0) absl::StrAppend(&text, ", epoch ", release.epoch());
  absl::StrAppend(&text, "\n\n");
  TextTable versions({{"vertex"}, {"version"}});
  const std::map<std::string, std::string> sorted(release.versions().begin(),
                                                  release.versions().end());
  for (const auto& [vertex, version] : sorted) versions.AddRow({vertex, version});
  absl::StrAppend(&text, versions.ToString(2));
  if (release.history().empty()) return text;
  TextTable history({{"when"}, {"what"}, {"epoch"}, {"who"}, {"verdict"}, {"why"}});
  for (const ReleaseEvent& event : release.history()) {
    std::string verdict;
    if (event.verdict() != v1::Verdict::OUTCOME_UNSPECIFIED) {
      verdict = absl::StrCat(v1::Verdict::Outcome_Name(event.verdict()),
                             event.override() ? ", overridden" : "");
    }
    history.AddRow({WhenText(event.time()), KindText(event.kind()), EpochText(event.epoch()),
                    event.actor(), verdict, event.reason()});
  }
  return absl::StrCat(text, "\n", history.ToString(2));
}

std::vector<std::string> ReleaseLog::Next(const v1::ReleaseSnapshot& snapshot) {
  std::map<std::string, std::string> now;
  for (const auto* releases : {&snapshot.releases(), &snapshot.others()}) {
    for (const Release& release : *releases) {
      now[release.name()] =
          release.epoch() == 0
              ? Release::State_Name(release.state())
              : absl::StrCat(Release::State_Name(release.state()), ", epoch ", release.epoch());
    }
  }
  for (const v1::Gateway& gateway : snapshot.gateways()) {
    now["gateway " + gateway.name()] = GatewayText(gateway);
  }
  std::vector<std::string> lines;
  for (const auto& [name, text] : now) {
    const auto before = told_.find(name);
    if (before == told_.end() || before->second != text) lines.push_back(name + ": " + text);
  }
  for (const auto& [name, text] : told_) {
    if (now.count(name) == 0) lines.push_back(name + ": gone");
  }
  told_ = std::move(now);
  return lines;
}

}  // namespace backfire::report
