#include "tests/chaos/outcome.h"

#include <google/protobuf/text_format.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace backfire::chaos {
namespace {

void AddUpdate(const v1::Update& update, std::vector<std::string>& facts) {
  facts.push_back(absl::StrCat(update.name(), ": ", v1::Update::State_Name(update.state()), " ",
                               update.release()));
  for (const v1::Step& step : update.steps()) {
    std::string fact =
        absl::StrCat(update.name(), "/", step.id(), ": ", v1::Step::State_Name(step.state()), " ",
                     step.version().name(), " ", step.version().digest());
    for (const v1::LossEstimate& loss : step.evaluation().losses()) {
      // Hexadecimal: to the last bit.
      absl::StrAppendFormat(&fact, " %s[%s]=%a", loss.loss(), loss.slice(), loss.value());
    }
    facts.push_back(std::move(fact));
  }
  std::string verdict;
  google::protobuf::TextFormat::PrintToString(update.verdict(), &verdict);
  for (const auto& line : absl::StrSplit(verdict, '\n', absl::SkipEmpty())) {
    facts.push_back(absl::StrCat(update.name(), "/verdict: ", line));
  }
}

}  // namespace

std::vector<std::string> Facts(const ScenarioResult& result) {
  std::vector<std::string> facts;
  AddUpdate(result.baseline, facts);
  AddUpdate(result.update, facts);
  std::vector<std::string> versions;
  for (const auto& [vertex, version] : result.promoted.versions()) {
    versions.push_back(absl::StrCat(vertex, "=", version));
  }
  std::sort(versions.begin(), versions.end());
  facts.push_back(absl::StrCat(result.promoted.name(), ": ", absl::StrJoin(versions, " ")));
  for (const auto& [model, digests] : result.versions) {
    facts.push_back(absl::StrCat(model, ": ", absl::StrJoin(digests, " ")));
  }
  return facts;
}

std::vector<std::string> Differences(const ScenarioResult& calm, const ScenarioResult& wild) {
  const std::vector<std::string> expected = Facts(calm), got = Facts(wild);
  std::vector<std::string> differences;
  for (size_t i = 0; i < std::max(expected.size(), got.size()); ++i) {
    const std::string left = i < expected.size() ? expected[i] : "(nothing)";
    const std::string right = i < got.size() ? got[i] : "(nothing)";
    if (left == right) continue;
    differences.push_back(absl::StrCat("undisturbed  ", left, "\n  killed       ", right));
  }
  return differences;
}

}  // namespace backfire::chaos
