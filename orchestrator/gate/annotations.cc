#include "orchestrator/gate/annotations.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/gate/result_words.h"

namespace backfire::gate {
namespace {

constexpr size_t kMostShown = 10;

// As GitHub's toolkit escapes a message, and a property on top.
std::string Message(const std::string& text) {
  return absl::StrReplaceAll(text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
}
std::string Property(const std::string& text) {
  return absl::StrReplaceAll(Message(text), {{":", "%3A"}, {",", "%2C"}});
}

struct Annotation {
  std::string title, message;
};

void Append(const char* command, std::vector<Annotation> annotations, std::string& text) {
  if (annotations.size() > kMostShown) {
    const size_t hidden = annotations.size() - kMostShown;
    annotations.resize(kMostShown);
    absl::StrAppend(&annotations.back().message, "\nand ", hidden, " more: see the report");
  }
  for (const Annotation& one : annotations) {
    absl::StrAppend(&text, "::", command, " title=", Property(one.title),
                    "::", Message(one.message), "\n");
  }
}

}  // namespace

std::string Annotations(const v1::GateReport& report) {
  std::vector<Annotation> errors, warnings;
  for (const int i : WorstFirst(report)) {
    const v1::GateResult& result = report.results(i);
    const v1::LossComparison& one = report.verdict().comparisons(i);
    const std::string title = absl::StrCat(ResultTitle(result), ": ", StatusWord(result, one));
    std::string message = NumbersOf(result, one);
    if (result.status() == v1::GateResult::BLOCKS) {
      errors.push_back({title, message});
    } else if (result.status() == v1::GateResult::OPEN) {
      if (!result.would_decide().empty()) absl::StrAppend(&message, "; ", result.would_decide());
      warnings.push_back({title, message});
    } else if (result.status() == v1::GateResult::WAIVED) {
      warnings.push_back({title, absl::StrCat(message, "; waived: ", result.waived_because())});
    }
  }
  for (const v1::Waiver& waiver : report.expired_waivers()) {
    errors.push_back(
        {absl::StrCat("expired waiver of ", waiver.vertex(), " ", waiver.loss()),
         absl::StrCat("by ", waiver.owner(), ", until ", waiver.expires(), ": ", waiver.reason())});
  }
  std::string text;
  Append("error", std::move(errors), text);
  Append("warning", std::move(warnings), text);
  return text;
}

}  // namespace backfire::gate
