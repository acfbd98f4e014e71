#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "backfire/v1/flips.pb.h"
#include "backfire/v1/gate.pb.h"
#include "services/markup/markup.h"

namespace backfire::page {

/// How a result stands, from the worst.
enum class Standing { kBlocks, kOpen, kWaived, kWithin, kPasses, kBetter, kAdvisory, kNotJudged };

Standing StandingOf(const v1::GateResult& result, const v1::LossComparison& one);

/// In one or two words: `worse`, `can't decide`.
std::string WordOf(Standing standing);
/// Its class in the style sheet, which is its symbol's name as well: `blocks`.
std::string ClassOf(Standing standing);
/// Its symbol, whose shape says it without colour; beside it there must be the word.
void AppendSymbol(Standing standing, markup::Markup& to);
/// Symbol and word.
void AppendBadge(Standing standing, markup::Markup& to);

/// A vertex with all that is known of it.
struct VertexView {
  std::string name;
  std::string id;  ///< Where its evidence is on the page: of its own, or all of it.
  bool candidate = false;
  Standing standing = Standing::kNotJudged;  ///< Its worst.
  std::vector<int> results;                  ///< Positions in the report, worst first.
};

/// A report in the order in which it is told. Borrows it.
struct View {
  /// Vertices that have a place of their own on a page.
  static constexpr size_t kMostVertices = 500;

  View(const v1::GateReport& report, std::string prefix);

  const v1::GateReport& report;
  std::string prefix;                       ///< Of ids, as a page may have several reports.
  std::string command;                      ///< That made it.
  const v1::ExampleFlips* flips = nullptr;  ///< Null: nobody asked releases about frames.
  std::vector<VertexView>
      vertices;  ///< With results, worst first; the candidate goes before equals.

  const v1::GateResult& result(int i) const { return report.results(i); }
  const v1::LossComparison& comparison(int i) const { return report.verdict().comparisons(i); }
  /// Null: the report has no results of it.
  const VertexView* Find(const std::string& vertex) const;
};

/// `error`, `error on hard`, with its unit: `ap_3d (percent) on hard`.
std::string LossTitle(const v1::LossComparison& one);

/// A number for people that says to programs what it is in full. `-` for NaN.
void AppendNumber(double value, markup::Markup& to);
/// The same of a difference, with its sign.
void AppendSigned(double value, markup::Markup& to);
/// The one-sided bounds of a difference.
void AppendBounds(const v1::LossComparison& one, markup::Markup& to);

/// Whether a column with this title has numbers, which are aligned to the right.
bool IsOfNumbers(absl::string_view title);

/// A section with a heading; whoever began it closes it.
void OpenSection(const View& view, const std::string& name, const std::string& title,
                 markup::Markup& to);

}  // namespace backfire::page
