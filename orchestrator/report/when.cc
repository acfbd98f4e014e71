#include "orchestrator/report/when.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace backfire::report {
namespace {

// Of absl::ParseDuration, which knows no days.
bool ParseDays(absl::string_view text, absl::Duration* span) {
  double days = 0;
  if (!absl::ConsumeSuffix(&text, "d") || !absl::SimpleAtod(text, &days)) return false;
  *span = days * absl::Hours(24);
  return true;
}

}  // namespace

std::string WhenText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

absl::StatusOr<absl::Duration> ParseSpan(const std::string& text) {
  absl::Duration span;
  if ((ParseDays(text, &span) || absl::ParseDuration(text, &span)) &&
      span >= absl::ZeroDuration() && span < absl::InfiniteDuration()) {
    return span;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("must be a span as 2h, 90m or 3d: got \"", text, "\""));
}

absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now) {
  const absl::CivilDay today = absl::ToCivilDay(now, absl::UTCTimeZone());
  absl::Time since;
  std::string fault;
  if (text == "today") {
    since = absl::FromCivil(today, absl::UTCTimeZone());
  } else if (text == "yesterday") {
    since = absl::FromCivil(today - 1, absl::UTCTimeZone());
  } else if (const auto span = ParseSpan(text); span.ok()) {
    since = now - *span;
  } else if (!absl::ParseTime("%Y-%m-%d", text, &since, &fault) &&
             !absl::ParseTime("%Y-%m-%d %H:%M", text, &since, &fault) &&
             !absl::ParseTime("%Y-%m-%d %H:%M:%SZ", text, &since, &fault) &&
             !absl::ParseTime(absl::RFC3339_full, text, &since, &fault)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "must be a span (2h, 90m, 3d), today, yesterday, or a time in UTC (2026-11-30, "
        "\"2026-11-30 14:02\"): got \"",
        text, "\""));
  }
  if (since <= now) return since;
  return absl::InvalidArgumentError(absl::StrCat("must not be after now: got \"", text, "\""));
}

}  // namespace backfire::report
