#include "orchestrator/report/update_report.h"

#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/report/compute_report.h"
#include "orchestrator/report/diagnosis_report.h"
#include "orchestrator/report/history_report.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/progress_report.h"
#include "orchestrator/report/recipe_report.h"
#include "orchestrator/report/sensitivity_report.h"
#include "orchestrator/report/text_table.h"
#include "orchestrator/report/verdict_report.h"
#include "orchestrator/report/when.h"
#include "services/graph/system_graph.h"

namespace backfire::report {
namespace {

using Align = TextTable::Align;
using v1::Step;
using v1::Update;

/// A map in the order of its keys: a protobuf map has none.
std::string Joined(const google::protobuf::Map<std::string, std::string>& map,
                   const std::string& separator) {
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  return absl::StrJoin(sorted, ", ", absl::PairFormatter(separator));
}

// How to go on with an update that failed.
std::string RetryHint(const Update& update) {
  return absl::StrCat("`backfire update retry ", update.name(),
                      "` goes on with it from the step that failed");
}

std::string MeanAndSpread(const std::vector<double>& values) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  if (values.size() < 2) return FormatNumber(mean);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return absl::StrCat(FormatNumber(mean), " +- ",
                      FormatNumber(std::sqrt(squares / static_cast<double>(values.size() - 1))));
}

}  // namespace

std::string UpdateTitle(const Update& update) {
  const bool by_recipe = !update.baseline() && !update.vertex().empty() && update.version().empty();
  return by_recipe ? absl::StrCat(update.vertex(), " -> ", RecipeText(update.recipe()))
                   : BriefUpdateTitle(update);
}

std::string BriefUpdateTitle(const Update& update) {
  if (update.baseline()) return "baseline";
  if (update.vertex().empty()) {
    return absl::StrCat("all replicates of ", update.baseline_release());
  }
  if (!update.version().empty()) {
    return absl::StrCat(update.vertex(), " -> ", update.version(), " (", update.recipe().name(),
                        ")");
  }
  return absl::StrCat(update.vertex(), " -> ", update.recipe().name());
}

std::string EvaluationTable(const Update& update) {
  struct Row {
    std::string vertex, version, loss;
    bool judged = false;
    int64_t example_count = 0;
    std::vector<double> values;  // By replicate.
  };
  std::vector<Row> rows;
  for (const Step& step : update.steps()) {
    if (step.kind() != Step::EVALUATE || step.state() != Step::SUCCEEDED) continue;
    for (const v1::LossEstimate& loss : step.evaluation().losses()) {
      if (!loss.slice().empty()) continue;
      Row* row = nullptr;
      for (Row& candidate : rows) {
        if (candidate.vertex == step.vertex() && candidate.loss == loss.loss()) row = &candidate;
      }
      if (row == nullptr) {
        rows.push_back({step.vertex(),
                        step.version().name(),
                        loss.loss(),
                        loss.judged(),
                        step.evaluation().example_count(),
                        {}});
        row = &rows.back();
      }
      row->values.push_back(loss.value());
    }
  }
  TextTable table({{"vertex"},
                   {"version"},
                   {"loss"},
                   {"value", Align::kRight},
                   {"examples", Align::kRight},
                   {"note"}});
  for (const Row& row : rows) {
    table.AddRow({row.vertex, row.version, row.loss, MeanAndSpread(row.values),
                  absl::StrCat(row.example_count), row.judged ? "" : "not judged"});
  }
  return table.ToString(2);
}

std::string UpdateText(const Update& update) {
  std::string text = absl::StrCat(update.name(), ": ", UpdateTitle(update), ", ",
                                  Update::State_Name(update.state()), "\n", UpdateTimes(update));
  if (!update.baseline_release().empty()) {
    absl::StrAppend(&text, "Compared with ", update.baseline_release(), ".\n");
  }
  if (!update.release().empty()) absl::StrAppend(&text, "Made ", update.release(), ".\n");
  if (update.state() == Update::DECIDED && update.release().empty()) {
    absl::StrAppend(&text, "Made no release: what was proposed can be evaluated, not served.\n");
  }
  if (!update.waits_for().empty()) {
    absl::StrAppend(&text, "Waits for ", update.waits_for(),
                    ", which goes first: it touches the same vertices, or trains replicates that "
                    "this one needs.\n");
  }
  absl::StrAppend(&text, ComputeSummary(update));
  if (!update.error_message().empty())
    absl::StrAppend(&text, "Failed: ", update.error_message(), "\n");
  if (update.state() == Update::FAILED) absl::StrAppend(&text, RetryHint(update), "\n");
  if (update.has_verdict()) {
    const std::string diagnosis = DiagnosisText(update);
    return absl::StrCat(text, "\n", VerdictText(update.verdict()), diagnosis.empty() ? "" : "\n",
                        diagnosis, "\n", ComputeTable(update));
  }
  if (update.baseline()) {
    const std::string table = EvaluationTable(update);
    if (!table.empty()) {
      absl::StrAppend(&text,
                      "\nOn the test split (lower is better; an average precision is negated):\n",
                      table);
    }
  }
  if (!HasEnded(update)) {
    const std::string sensitivity = SensitivityText(update);
    if (!sensitivity.empty()) absl::StrAppend(&text, "\n", sensitivity);
    absl::StrAppend(&text, "\n", absl::StrJoin(ProgressLines(update), "\n"), "\n");
  }
  return text;
}

std::string UpdateListText(const v1::ListUpdatesResponse& updates) {
  TextTable table({{"update"},
                   {"what"},
                   {"state"},
                   {"verdict"},
                   {"release"},
                   {"proposed"},
                   {"by"},
                   {"decided"},
                   {"ended"},
                   {"ended by"},
                   {"why"},
                   {"waits for"}});
  std::string hints;
  for (const Update& update : updates.updates()) {
    table.AddRow({update.name(), UpdateTitle(update), Update::State_Name(update.state()),
                  update.has_verdict() ? v1::Verdict::Outcome_Name(update.verdict().outcome()) : "",
                  update.release(), WhenText(update.create_time()), update.actor(),
                  WhenText(update.decide_time()),
                  update.state() == Update::DECIDED ? "" : WhenText(update.end_time()),
                  update.end_actor(), WhyText(update), update.waits_for()});
    if (update.state() == Update::FAILED) absl::StrAppend(&hints, RetryHint(update), "\n");
  }
  const std::string text = table.ToString();
  return text.empty() ? "no updates\n" : absl::StrCat(text, hints.empty() ? "" : "\n", hints);
}

std::string SystemText(const v1::System& system) {
  // A dataset may be a page of YAML: its lines stay below each other.
  const std::string dataset = absl::StrReplaceAll(
      absl::StripTrailingAsciiWhitespace(system.dataset()), {{"\n", "\n              "}});
  std::string text =
      absl::StrCat("system ", system.name(), "\n  dataset     ", dataset, "\n  replicates  ",
                   system.replicates(), "\n  outputs     ", Joined(system.outputs(), ": "), "\n\n");
  TextTable table({{"vertex"}, {"served at"}, {"recipe"}, {"inputs"}});
  for (const v1::Vertex& vertex : system.vertices()) {
    table.AddRow({vertex.name(), absl::StrJoin(graph::ServingEndpoints(vertex), ", "),
                  RecipeText(vertex.recipe()), Joined(vertex.inputs(), ": ")});
  }
  return absl::StrCat(text, table.ToString(2));
}

}  // namespace backfire::report
