#include "orchestrator/study/stereo_tables.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace backfire::study {
namespace {

// A row of a table of average precisions, with what the paper has for u, u' and y.
struct DetectorRow {
  const char* detector;
  const char* vertex;
  const char* loss;
  const char* paper;
};

constexpr DetectorRow kTable1[] = {
    {"PointRCNN, car", "car-rcnn", "ap_3d", "39.91, 38.75, 68.06"},
    {"PointRCNN, car", "car-rcnn", "ap_bev", "50.34, 49.30, 78.43"},
    {"Frustum PointNet, car", "car", "ap_3d", "33.64, 32.78, 55.46"},
    {"Frustum PointNet, car", "car", "ap_bev", "43.79, 42.77, 67.35"},
    {"PointRCNN, pedestrian", "pedestrian-rcnn", "ap_3d", "34.42, 27.64, 55.19"},
    {"PointRCNN, pedestrian", "pedestrian-rcnn", "ap_bev", "38.51, 31.47, 63.00"},
    {"Frustum PointNet, pedestrian", "pedestrian", "ap_3d", "43.02, 43.10, 62.16"},
    {"Frustum PointNet, pedestrian", "pedestrian", "ap_bev", "50.49, 48.29, 65.92"},
};

constexpr DetectorRow kTable3[] = {
    {"PointRCNN", "pedestrian-near-rcnn", "ap_3d", "30.53, 34.20, 55.19"},
    {"PointRCNN", "pedestrian-near-rcnn", "ap_bev", "34.09, 38.83, 64.25"},
    {"Frustum PointNet", "pedestrian-near", "ap_3d", "44.10, 46.14, 62.16"},
    {"Frustum PointNet", "pedestrian-near", "ap_bev", "51.84, 53.99, 65.23"},
};

struct DepthRow {
  const char* range;
  const char* slice;
  const char* paper;
};

constexpr DepthRow kTable2[] = {{"all", "", "1.28, 1.21"},
                                {"0 to 20 m", "depth_0_20_m", ""},
                                {"20 to 40 m", "depth_20_40_m", ""},
                                {"beyond 40 m", "depth_40_max_m", ""}};

const StereoEntry* Find(const StereoStudy& study, const std::string& vertex,
                        const std::string& loss, const std::string& slice) {
  for (const StereoEntry& entry : study.entries()) {
    if (entry.vertex() == vertex && entry.loss() == loss && entry.slice() == slice) return &entry;
  }
  return nullptr;
}

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

// u' - u with its one-sided bounds: those of an average precision are its loss's, mirrored.
std::string DifferenceText(const StereoEntry& entry, double sign, int digits) {
  const double low = sign > 0 ? entry.interval_low() : -entry.interval_high();
  const double high = sign > 0 ? entry.interval_high() : -entry.interval_low();
  return absl::StrFormat("%+.*f [%+.*f, %+.*f]", digits, sign * entry.difference(), digits, low,
                         digits, high);
}

std::string PiecesText(const StereoEntry& entry, double sign, int digits) {
  std::vector<std::string> texts;
  for (int i = 0; i < entry.u_size(); ++i) {
    texts.push_back(absl::StrFormat("%+.*f", digits, sign * (entry.improved(i) - entry.u(i))));
  }
  return absl::StrJoin(texts, " ");
}

template <size_t kRows>
std::string DetectorTable(const StereoStudy& study, const DetectorRow (&rows)[kRows]) {
  std::string text =
      "| detector | | u | u' | y | u' − u | evidence | as numbers | u', not retrained | each "
      "piece's "
      "u' − u | paper: u, u', y |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const DetectorRow& row : rows) {
    const StereoEntry* entry = Find(study, row.vertex, row.loss, "");
    absl::StrAppend(&text, "| ", row.detector, " | ",
                    std::string(row.loss) == "ap_3d" ? "AP_3D" : "AP_BEV", " | ");
    if (entry == nullptr) {
      absl::StrAppend(&text, "not run | | | | | | | | ", row.paper, " |\n");
      continue;
    }
    absl::StrAppend(&text, MeanText(entry->u(), -1, 2), " | ", MeanText(entry->improved(), -1, 2),
                    " | ", MeanText(entry->oracle(), -1, 2), " | ", DifferenceText(*entry, -1, 2),
                    " | ", entry->primary() ? "" : "secondary: ", entry->outcome(), " | ",
                    entry->worse_by_point() ? "worse" : "no worse", " | ",
                    MeanText(entry->swapped(), -1, 2), " | ", PiecesText(*entry, -1, 2), " | ",
                    row.paper, " |\n");
  }
  return text;
}

std::string DepthTable(const StereoStudy& study) {
  std::string text =
      "| depth | u | u' | u' − u | evidence | each piece's u' − u | paper: u, u' "
      "|\n|---|---|---|---|---|---|---|\n";
  for (const DepthRow& row : kTable2) {
    const StereoEntry* entry = Find(study, "disparity", "disparity_mae", row.slice);
    if (entry == nullptr) continue;
    absl::StrAppend(&text, "| ", row.range, " | ", MeanText(entry->u(), 1, 3), " | ",
                    MeanText(entry->improved(), 1, 3), " | ", DifferenceText(*entry, 1, 3), " | ",
                    entry->primary() ? "" : "secondary: ", entry->outcome(), " | ",
                    PiecesText(*entry, 1, 3), " | ", row.paper, " |\n");
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
      DetectorTable(study, kTable1),
      "\n**Table 2.** Disparity MAE by true depth, px, lower is better.\n\n", DepthTable(study),
      "\n**Table 3.** As Table 1, of pedestrian detectors that are trained only on pedestrians "
      "within 20 m.\n\n",
      DetectorTable(study, kTable3));
  return text;
}

}  // namespace backfire::study
