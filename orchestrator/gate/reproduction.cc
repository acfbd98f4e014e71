#include "orchestrator/gate/reproduction.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace backfire::gate {
namespace {

std::string Quoted(const std::string& argument) {
  const bool plain =
      !argument.empty() && std::all_of(argument.begin(), argument.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || absl::StrContains("-_./:=@+,", c);
      });
  if (plain) return argument;
  return absl::StrCat("'", absl::StrReplaceAll(argument, {{"'", "'\\''"}}), "'");
}

}  // namespace

std::string CommandOf(const GateRequest& request, const v1::GateReport& report) {
  std::string lines, command = "backfire gate";
  const auto add = [&command](const char* option, const std::string& value) {
    if (!value.empty()) absl::StrAppend(&command, " ", option, " ", Quoted(value));
  };
  add("--policy", request.policy);
  if (!request.evidence.empty()) {
    const std::string number(absl::StripPrefix(report.update().name(), "updates/"));
    // What `backfire gate --update` hands over has no name that lasts.
    const bool handed_over = absl::StartsWith(request.evidence, "/proc/self/fd/");
    const std::string file = handed_over ? "evidence.jsonl" : request.evidence;
    if (handed_over && !number.empty()) {
      lines = absl::StrCat("backfire update export ", Quoted(number), " --out ", file, "\n");
    }
    add("--evidence", file);
  }
  add("--before", request.before);
  add("--baseline", request.baseline);
  add("--after", request.after);
  add("--swapped", request.swapped);
  add("--candidate", request.candidate);
  add("--changed-since", request.changed_since);
  for (const std::string& one : request.fail_on) add("--fail-on", one);
  if (request.candidates_judged != 1) {
    add("--candidates-judged", absl::StrCat(request.candidates_judged));
  }
  add("--today", request.today);
  return absl::StrCat(lines, command);
}

}  // namespace backfire::gate
