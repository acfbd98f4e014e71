#include "orchestrator/study/stereo_tables.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/study/stereo_rows.h"

namespace backfire::study {
namespace {

using Numbers = google::protobuf::RepeatedField<double>;

// "mean ± spread" of what is `sign` times the numbers; the spread is of the pieces' numbers.
std::string MeanText(const Numbers& numbers, double sign, int digits) {
  if (numbers.empty()) return "";
  double mean = 0, squares = 0;
  for (const double number : numbers) mean += sign * number / numbers.size();
  for (const double number : numbers) squares += std::pow(sign * number - mean, 2);
  std::string text = absl::StrFormat("%.*f", digits, mean);
  if (numbers.size() > 1) {
    absl::StrAppendFormat(&text, " ± %.*f", digits, std::sqrt(squares / (numbers.size() - 1)));
  }
  return text;
}

// A zero has no sign.
double PlainZero(double value) { return value == 0 ? 0 : value; }

// u' - u with its one-sided bounds: those of an average precision are its loss's, mirrored.
std::string DifferenceText(const StereoEntry& entry, double sign, int digits) {
  const double low = sign > 0 ? entry.interval_low() : -entry.interval_high();
  const double high = sign > 0 ? entry.interval_high() : -entry.interval_low();
  return absl::StrFormat("%+.*f [%+.*f, %+.*f]", digits, PlainZero(sign * entry.difference()),
                         digits, PlainZero(low), digits, PlainZero(high));
}

// u' - u of the i-th piece that has it.
std::string PieceText(const StereoEntry& entry, int i, double sign, int digits) {
  return absl::StrFormat("%+.*f", digits, PlainZero(sign * (entry.improved(i) - entry.u(i))));
}

std::string PiecesText(const StereoEntry& entry, double sign, int digits) {
  std::vector<std::string> texts;
  for (int i = 0; i < entry.u_size(); ++i) texts.push_back(PieceText(entry, i, sign, digits));
  return absl::StrJoin(texts, " ");
}

// Average precisions of 11 recall points, of the pieces that have them; a dash for one that
// doesn't.
std::string ElevenPointsText(const StereoStudy& study, const DetectorRow& row) {
  const StereoEntry* entry = FindEntry(study, row.vertex, row.loss, kElevenPoints);
  if (entry == nullptr) return "not measured";
  std::vector<std::string> differences;
  for (const int piece : study.pieces()) {
    const auto at = std::find(entry->pieces().begin(), entry->pieces().end(), piece);
    const auto i = static_cast<int>(at - entry->pieces().begin());
    differences.push_back(i < entry->pieces_size() ? PieceText(*entry, i, -1, 2) : "–");
  }
  return absl::StrCat(
      MeanText(entry->u(), -1, 2), ", ", MeanText(entry->improved(), -1, 2), ", ",
      MeanText(entry->oracle(), -1, 2),
      entry->pieces_size() < study.pieces_size()
          ? absl::StrCat(" (", entry->pieces_size(), " of ", study.pieces_size(), " pieces)")
          : "",
      "; ", absl::StrJoin(differences, " "));
}

// Which pieces have no average precisions of 11 recall points; empty: none lacks them.
std::string ElevenPointsNote(const StereoStudy& study) {
  std::set<int> lacking(study.pieces().begin(), study.pieces().end());
  for (const StereoEntry& entry : study.entries()) {
    if (entry.slice() != kElevenPoints) continue;
    for (const int piece : entry.pieces()) lacking.erase(piece);
  }
  if (lacking.empty()) return "";
  return absl::StrCat("\nOf 11 recall points, as the paper's are, nothing was measured by ",
                      lacking.size() == 1 ? "piece " : "pieces ", absl::StrJoin(lacking, ", "),
                      ": detectors did not report it when they were made.\n");
}

template <size_t kRows>
std::string DetectorTable(const StereoStudy& study, const std::array<DetectorRow, kRows>& rows) {
  std::string text =
      "| detector | | u | u' | y | u' − u | evidence | as numbers | u', not retrained | each "
      "piece's "
      "u' − u | of 11 points: u, u', y; each piece's u' − u | paper, of 11 points: u, u', y "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const DetectorRow& row : rows) {
    const StereoEntry* entry = FindEntry(study, row.vertex, row.loss);
    const std::string paper =
        absl::StrFormat("%.2f, %.2f, %.2f", row.paper_u, row.paper_improved, row.paper_oracle);
    absl::StrAppend(&text, "| ", row.detector, " | ", PrecisionName(row), " | ");
    if (entry == nullptr) {
      absl::StrAppend(&text, "not run | | | | | | | | | ", paper, " |\n");
      continue;
    }
    absl::StrAppend(&text, MeanText(entry->u(), -1, 2), " | ", MeanText(entry->improved(), -1, 2),
                    " | ", MeanText(entry->oracle(), -1, 2), " | ", DifferenceText(*entry, -1, 2),
                    " | ", entry->primary() ? "" : "secondary: ", entry->outcome(), " | ",
                    entry->worse_by_point() ? "worse" : "no worse", " | ",
                    MeanText(entry->swapped(), -1, 2), " | ", PiecesText(*entry, -1, 2), " | ",
                    ElevenPointsText(study, row), " | ", paper, " |\n");
  }
  return text;
}

// What the pieces' own noise says of how many it takes.
std::string PowerText(const StereoStudy& study) {
  std::vector<std::string> texts;
  for (const DetectorRow& row : kTable1) {
    const StereoEntry* entry = FindEntry(study, row.vertex, row.loss);
    if (entry == nullptr || entry->pieces_to_find_two_points() == 0) continue;
    const int pieces = entry->pieces_to_find_two_points();
    texts.push_back(absl::StrCat(row.detector, ", ", PrecisionName(row), ": ",
                                 pieces > 0
                                     ? absl::StrCat(pieces, pieces == 1 ? " piece" : " pieces")
                                     : "no number of pieces, with these test frames"));
  }
  if (texts.empty()) return "";
  return absl::StrCat(
      "\nBy the noise that these pieces show, a true harm of 2 points is found beyond its margin "
      "with a "
      "chance of 80 % by: ",
      absl::StrJoin(texts, "; "), ".\n");
}

std::string DepthTable(const StereoStudy& study) {
  std::string text =
      "| depth | u | u' | u' − u | evidence | each piece's u' − u | paper: u, u' "
      "|\n|---|---|---|---|---|---|---|\n";
  for (const DepthRow& row : kTable2) {
    const StereoEntry* entry = FindEntry(study, "disparity", "disparity_mae", row.slice);
    if (entry == nullptr) continue;
    const std::string paper =
        std::string(row.slice).empty()
            ? absl::StrFormat("%.2f, %.2f", kPaperErrorOfU, kPaperErrorOfImproved)
            : "";
    absl::StrAppend(&text, "| ", row.range, " | ", MeanText(entry->u(), 1, 3), " | ",
                    MeanText(entry->improved(), 1, 3), " | ", DifferenceText(*entry, 1, 3), " | ",
                    entry->primary() ? "" : "secondary: ", entry->outcome(), " | ",
                    PiecesText(*entry, 1, 3), " | ", paper, " |\n");
  }
  return text;
}

}  // namespace

std::string StereoTables(const StereoStudy& study) {
  std::string text =
      absl::StrCat("Pieces: ", study.pieces_size(), " (", absl::StrJoin(study.pieces(), ", "), ")");
  if (!study.left_out().empty()) {
    absl::StrAppend(&text, "; not complete and left out: ", absl::StrJoin(study.left_out(), ", "));
  }
  absl::StrAppend(
      &text, ".\n\nVerdict over the primary losses, alpha ", study.alpha(), ": **", study.verdict(),
      "**. ", study.summary(), " By Definition 2.1 on their numbers alone: ",
      study.definition_2_1() ? "self-defeating" : "not self-defeating",
      ".\n\n**Table 1.** Average precision in percent, higher is better; mean ± spread over the "
      "pieces; one-sided bounds.\n\n",
      DetectorTable(study, kTable1), ElevenPointsNote(study), PowerText(study),
      "\n**Table 2.** Disparity MAE by true depth, px, lower is better.\n\n", DepthTable(study),
      "\n**Table 3.** As Table 1, of pedestrian detectors that are trained only on pedestrians "
      "within 20 m.\n\n",
      DetectorTable(study, kTable3));
  return text;
}

}  // namespace backfire::study
