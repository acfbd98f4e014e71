#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/sections.h"

namespace backfire::page {
namespace {

using markup::Markup;

constexpr size_t kMostOpen = 20;

std::vector<int> With(const View& view, v1::GateResult::Status status) {
  std::vector<int> found;
  for (const VertexView& vertex : view.vertices) {
    for (const int i : vertex.results) {
      if (view.result(i).status() == status) found.push_back(i);
    }
  }
  return found;
}

// `3` of `updates/3`; empty: it is of no mesh.
std::string UpdateNumber(const v1::GateReport& report) {
  return std::string(absl::StripPrefix(report.update().name(), "updates/"));
}

void AppendStep(const std::string& what, const std::string& command, Markup& to) {
  to.Open("li").Text(what);
  if (!command.empty()) to.Open("pre", {{"tabindex", "0"}}).Element("code", {}, command).Close();
  to.Close().Line();
}

void AfterRefusal(const View& view, const std::vector<int>& blocking, Markup& to) {
  const std::string number = UpdateNumber(view.report);
  AppendStep("Leave what is in use as it is: nothing has been changed by this.",
             number.empty() ? "" : absl::StrCat("backfire update cancel ", number), to);
  const v1::LossComparison& worst = view.comparison(blocking.front());
  for (const v1::VertexDiagnosis& one : view.report.update().diagnoses()) {
    if (one.cause().empty()) continue;
    const std::string advice =
        one.cause() == "approximation"
            ? "a larger kind of model there may use what the changed one tells it"
        : one.cause() == "estimation"
            ? "more training data or another training there may help"
            : "what the changed model leaves out is needed there: train it "
              "on a loss that keeps it";
    AppendStep(absl::StrCat("Of ", one.vertex(), " ", one.cause(), " grew most: ", advice, "."), "",
               to);
  }
  const bool has_examples = !view.result(blocking.front()).worst_examples().empty();
  AppendStep(
      absl::StrCat("Look at ", worst.vertex(), " ", LossTitle(worst), " first",
                   has_examples ? ": the examples above whose loss grew most say where." : "."),
      "", to);
  AppendStep(
      "If the harm is known and accepted for a while, say so, with an owner and a last day, in the "
      "policy. It shows in every report.",
      absl::StrCat(
          "waivers:\n- vertex: ", worst.vertex(), "\n  loss: ", worst.loss(),
          worst.slice().empty() ? "" : absl::StrCat("\n  slice: ", worst.slice()),
          "\n  owner: you\n  reason: why it is worth it\n  expires: a day such as 2027-01-31"),
      to);
}

void AfterDoubt(const View& view, Markup& to) {
  const std::vector<int> open = With(view, v1::GateResult::OPEN);
  if (view.report.verdict().first_look()) {
    AppendStep("Train both sides with five seeds or more, and judge again.", "", to);
    return;
  }
  for (const v1::Waiver& waiver : view.report.expired_waivers()) {
    AppendStep(absl::StrCat("Renew or remove the waiver of ", waiver.vertex(), ", whose owner is ",
                            waiver.owner(), "."),
               "", to);
  }
  size_t shown = 0;
  for (const int i : open) {
    if (view.result(i).would_decide().empty()) continue;
    if (++shown > kMostOpen) break;
    AppendStep(absl::StrCat(gate::ResultTitle(view.result(i)),
                            " would be decided by: ", view.result(i).would_decide()),
               "", to);
  }
  if (!open.empty()) {
    AppendStep(
        "Plan the looks before the first (`looks` in the policy): looking again at the same "
        "records whenever more come costs false alarms.",
        "", to);
  }
}

}  // namespace

void AppendNext(const View& view, Markup& to) {
  OpenSection(view, "next", "What next", to);
  to.Open("ol", {{"class", "steps"}}).Line();
  const std::vector<int> blocking = With(view, v1::GateResult::BLOCKS);
  if (!view.report.has_verdict()) {
    AppendStep(view.report.reason(), "", to);
  } else if (!blocking.empty()) {
    AfterRefusal(view, blocking, to);
  } else if (view.report.outcome() == v1::GateReport::UNDECIDED) {
    AfterDoubt(view, to);
  } else {
    const std::string number = UpdateNumber(view.report);
    AppendStep("Put it to use.",
               number.empty() ? "" : absl::StrCat("backfire update promote ", number), to);
    if (!With(view, v1::GateResult::WAIVED).empty()) {
      AppendStep("Mend what is waived before its last day: an expired waiver blocks.", "", to);
    }
    AppendStep("Keep these records as the baseline of the next change.", "", to);
  }
  to.Close().Close();
}

}  // namespace backfire::page
