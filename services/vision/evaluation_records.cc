#include "services/vision/evaluation_records.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/vision/json_text.h"

namespace backfire::vision {
namespace {

bool Wants(const RecordSettings& settings, const std::string& loss) {
  return std::find(settings.losses.begin(), settings.losses.end(), loss) != settings.losses.end();
}

// A row for each cell of moderate difficulty whose loss is wanted.
void AddRows(const std::vector<KittiCell>& cells, const int64_t* labelled, int64_t frames,
             const RecordSettings& settings, std::string& text) {
  for (size_t i = 0; i < cells.size(); ++i) {
    const KittiCell& cell = cells[i];
    const std::string loss = absl::StrCat("ap_", std::string(MetricName(cell.rules.view)));
    if (cell.rules.difficulty != metrics::Difficulty::kModerate || !Wants(settings, loss)) continue;
    if (labelled[i] == 0) continue;
    JsonText row;
    row.BeginObject().Key("vertex").String(absl::AsciiStrToLower(cell.rules.type));
    row.Key("seed").Integer(settings.replicate).Key("name").String(loss);
    if (!cell.slice.empty()) row.Key("slice").String(cell.slice);
    row.Key("value").Number(metrics::AveragesOf(cell.result).ap40);
    row.Key("resampled").BeginList();
    for (const metrics::KittiAverages& one : cell.resampled) row.Number(one.ap40);
    row.EndList().Key("examples").Integer(frames).Key("bearing").Integer(labelled[i]).EndObject();
    text += std::move(row).Finish();
  }
}

}  // namespace

void RecordSettings::AddTo(CLI::App& command, const std::vector<std::string>& known) {
  losses = {known.front()};
  command
      .add_option("--records", path,
                  "File *.jsonl for evaluation records of this, which `backfire gate` judges: a "
                  "folder of them is a side")
      ->check([](const std::string& name) {
        return absl::EndsWith(name, ".jsonl") ? std::string() : "must end in .jsonl: got " + name;
      });
  command
      .add_option("--replicate", replicate,
                  "Of the records: the seed of the training that made these results")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 53))
      ->capture_default_str();
  command
      .add_option("--record-loss", losses,
                  absl::StrCat("Losses in the records: ", absl::StrJoin(known, ", ")))
      ->delimiter(',')
      ->check(CLI::IsMember(known))
      ->capture_default_str();
}

absl::StatusOr<std::string> KittiRecords(const KittiReport& report,
                                         const std::vector<int64_t>& labelled,
                                         const RecordSettings& settings) {
  std::string text;
  AddRows(report.cells, labelled.data(), report.frames, settings, text);
  if (text.empty()) {
    return absl::InvalidArgumentError(
        "--records: no class has a label that counts at moderate difficulty");
  }
  AddRows(report.slices, labelled.data() + report.cells.size(), report.frames, settings, text);
  return text;
}

std::string DisparityRecords(const std::vector<std::string>& names,
                             const std::vector<metrics::DisparityErrorSums>& images,
                             const RecordSettings& settings) {
  const bool mae = Wants(settings, "disparity_mae"), d1 = Wants(settings, "d1_all");
  const bool depth = Wants(settings, "depth_mae");
  std::string text;
  for (size_t i = 0; i < images.size(); ++i) {
    const metrics::DisparityErrorSums& sums = images[i];
    JsonText row;
    row.BeginObject().Key("vertex").String("disparity").Key("seed").Integer(settings.replicate);
    row.Key("example").String(names[i]);
    if (mae) row.Key("absolute_error_px").Number(sums.absolute_error_px[0]);
    if (d1) row.Key("bad_pixels").Number(sums.bad_pixels[0]);
    if (mae || d1) row.Key("pixels").Number(sums.pixels[0]);
    if (depth) {
      row.Key("depth_error_m").Number(sums.depth_error_m[0]);
      row.Key("predicted_pixels").Number(sums.predicted_pixels[0]);
    }
    row.EndObject();
    text += std::move(row).Finish();
  }
  return text;
}

}  // namespace backfire::vision
