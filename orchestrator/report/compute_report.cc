#include "orchestrator/report/compute_report.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"

namespace backfire::report {
namespace {

using v1::Step;

struct Sums {
  int steps = 0;
  double spent = 0, saved = 0;
  int reused = 0, produced = 0;

  void Add(const Step& step) {
    ++steps;
    spent += step.compute_seconds();
    saved += step.saved_seconds();
    reused += step.outputs_reused();
    produced += step.outputs_produced();
  }
};

std::string Hits(int reused, int produced) {
  return reused + produced == 0 ? "" : absl::StrCat(reused, " of ", reused + produced);
}

}  // namespace

std::string ComputeSummary(const v1::Update& update) {
  Sums sums;
  for (const Step& step : update.steps()) sums.Add(step);
  const double saved = sums.saved + update.reuse().seconds();
  if (sums.spent <= 0 && saved <= 0) return "";
  return absl::StrCat("Computed for ", FormatSeconds(sums.spent), " in all; saved ",
                      FormatSeconds(saved), " by what had been done before.\n");
}

std::string ComputeTable(const v1::Update& update) {
  using Align = TextTable::Align;
  std::vector<std::pair<std::pair<Step::Kind, std::string>, Sums>> rows;
  for (const Step& step : update.steps()) {
    if (step.kind() == Step::LOAD) continue;
    const auto key = std::make_pair(step.kind(), step.vertex());
    Sums* sums = nullptr;
    for (auto& row : rows) {
      if (row.first == key) sums = &row.second;
    }
    if (sums == nullptr) sums = &rows.emplace_back(key, Sums()).second;
    sums->Add(step);
  }
  TextTable table({{"step"},
                   {"vertex"},
                   {"runs", Align::kRight},
                   {"spent", Align::kRight},
                   {"saved", Align::kRight},
                   {"outputs reused", Align::kRight}});
  for (const auto& [key, sums] : rows) {
    const std::string kind =
        absl::AsciiStrToLower(absl::StrReplaceAll(Step::Kind_Name(key.first), {{"_", " "}}));
    table.AddRow({kind, key.second, absl::StrCat(sums.steps), FormatSeconds(sums.spent),
                  FormatSeconds(sums.saved), Hits(sums.reused, sums.produced)});
  }
  const v1::Reuse& reuse = update.reuse();
  if (reuse.versions() + reuse.evaluations() > 0) {
    table.AddRow({"baseline", "", absl::StrCat(reuse.versions() + reuse.evaluations()),
                  FormatSeconds(0), FormatSeconds(reuse.seconds()), ""});
  }
  const std::string text = table.ToString(2);
  return text.empty() ? "" : absl::StrCat("Compute, and what was not done again:\n", text);
}

}  // namespace backfire::report
