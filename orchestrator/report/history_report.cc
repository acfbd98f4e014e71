#include "orchestrator/report/history_report.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"
#include "orchestrator/report/update_report.h"
#include "orchestrator/report/when.h"

namespace backfire::report {
namespace {

using v1::Update;

// `rolled back to`.
std::string KindText(const std::string& kind) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(kind, {{"_", " "}}));
}

double SecondsOf(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + 1e-9 * time.nanos();
}

// `Decided 2026-11-30 14:02:11Z by ada@laptop: why.`
std::string TimeLine(const std::string& what, const google::protobuf::Timestamp& time,
                     const std::string& actor, const std::string& reason) {
  return absl::StrCat(what, " ", WhenText(time), actor.empty() ? "" : absl::StrCat(" by ", actor),
                      reason.empty() ? "" : absl::StrCat(": ", reason), "\n");
}

}  // namespace

std::string HistoryText(const std::vector<v1::Event>& events) {
  TextTable table({{"when"}, {"of"}, {"what"}, {"who"}, {"in words"}});
  for (const v1::Event& event : events) {
    table.AddRow({WhenText(event.time()), event.subject().empty() ? "system" : event.subject(),
                  KindText(event.kind()), event.actor(), event.message()});
  }
  const std::string text = table.ToString();
  return text.empty() ? "nothing happened\n" : text;
}

std::string UpdateStory(const Update& update, const std::vector<v1::Event>& events) {
  TextTable table({{"when"}, {"after", TextTable::Align::kRight}, {"what"}, {"who"}, {"in words"}});
  for (const v1::Event& event : events) {
    const bool is_own = event.subject() == update.name();
    table.AddRow(
        {WhenText(event.time()),
         FormatSeconds(SecondsOf(event.time()) - SecondsOf(events.front().time())),
         absl::StrCat(is_own ? "" : absl::StrCat(event.subject(), " "), KindText(event.kind())),
         event.actor(), event.message()});
  }
  return absl::StrCat(update.name(), ": ", UpdateTitle(update), ", ",
                      Update::State_Name(update.state()), "\n\n", table.ToString(2));
}

std::string UpdateTimes(const Update& update) {
  std::string text;
  if (update.has_create_time()) {
    absl::StrAppend(&text,
                    TimeLine("Proposed", update.create_time(), update.actor(), update.reason()));
  }
  if (update.has_decide_time()) {
    absl::StrAppend(&text, TimeLine("Decided", update.decide_time(), "", ""));
  }
  if (!update.has_end_time() || update.state() == Update::DECIDED) return text;
  std::string end = absl::AsciiStrToLower(Update::State_Name(update.state()));
  end[0] = absl::ascii_toupper(static_cast<unsigned char>(end[0]));
  absl::StrAppend(&text, TimeLine(end, update.end_time(), update.end_actor(), update.end_reason()));
  return text;
}

std::string WhyText(const Update& update) {
  return update.state() == Update::FAILED ? update.error_message() : update.end_reason();
}

}  // namespace backfire::report
