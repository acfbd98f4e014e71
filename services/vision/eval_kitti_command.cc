#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/metrics/kitti_evaluation.h"
#include "services/metrics/object_files.h"
#include "services/vision/commands.h"
#include "services/vision/eval_arguments.h"
#include "services/vision/evaluation_records.h"
#include "services/vision/kitti_report.h"
#include "services/vision/precision_recall_plot.h"

namespace backfire::vision {
namespace {

using metrics::AveragePrecisionOptions;
using metrics::MatchPool;
using metrics::RangeMode;

struct KittiArguments {
  std::string labels, detections, range_mode, plots;
  std::vector<std::string> ious, max_depths, slices;
  EvalSettings settings;
  RecordSettings records;
};

absl::StatusOr<std::vector<AveragePrecisionOptions>> RulesOf(const KittiArguments& arguments) {
  std::vector<metrics::ClassRules> classes = metrics::KittiClasses();
  BACKFIRE_RETURN_IF_ERROR(ApplyIous(arguments.ious, classes));
  const bool capped = !arguments.range_mode.empty() || !arguments.max_depths.empty();
  // The paper's cap, and its authors'.
  if (capped && arguments.max_depths.empty()) {
    BACKFIRE_RETURN_IF_ERROR(ApplyMaxDepths({"20"}, classes));
  }
  BACKFIRE_RETURN_IF_ERROR(ApplyMaxDepths(arguments.max_depths, classes));
  return metrics::KittiRules(
      classes, arguments.range_mode == "authors" ? RangeMode::kDrop : RangeMode::kIgnore);
}

absl::Status DrawPlots(const std::string& folder, const std::vector<KittiCell>& cells) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(folder));
  for (size_t i = 0; i + 3 <= cells.size(); i += 3) {
    const KittiCell& first = cells[i];
    if (!first.result.evaluated) continue;
    std::vector<SampledCurve> precision, orientation;
    for (size_t d = i; d < i + 3; ++d) {
      const metrics::PrecisionRecall& result = cells[d].result;
      const std::string difficulty(DifficultyName(cells[d].rules.difficulty));
      precision.push_back({absl::StrFormat("%s: AP40 %.2f", difficulty, result.Average(40)),
                           result.precision, result.thresholds.size()});
      orientation.push_back(
          {absl::StrFormat("%s: AOS40 %.2f", difficulty, result.AverageSimilarity(40)),
           result.similarity, result.thresholds.size()});
    }
    const std::string stem = absl::StrCat(absl::AsciiStrToLower(first.rules.type), "_",
                                          std::string(MetricName(first.rules.view)));
    const std::string title =
        absl::StrFormat("%s, %s, overlap above %.2f", first.rules.type,
                        std::string(MetricName(first.rules.view)), first.rules.iou_threshold);
    const std::filesystem::path base = folder;
    BACKFIRE_RETURN_IF_ERROR(
        datasets::WriteRgbImage(base / (stem + ".png"), DrawCurves(title, "precision", precision)));
    if (first.rules.view == metrics::View::kImage && first.result.oriented) {
      BACKFIRE_RETURN_IF_ERROR(
          datasets::WriteRgbImage(base / (stem + "_orientation.png"),
                                  DrawCurves(title, "orientation similarity", orientation)));
    }
  }
  return absl::OkStatus();
}

// In how many frames of each set of rules a label counts.
std::vector<int64_t> LabelledFrames(const std::vector<MatchPool>& pools) {
  std::vector<int64_t> frames;
  for (const MatchPool& pool : pools) {
    const std::vector<bool> labelled = pool.labelled_images();
    frames.push_back(std::count(labelled.begin(), labelled.end(), true));
  }
  return frames;
}

absl::Status EvaluateKitti(const KittiArguments& arguments) {
  if (arguments.records.wanted() && arguments.settings.resamples < 2) {
    return absl::InvalidArgumentError(
        "--records: needs --bootstrap as the gate's policy has it, 1000 by default");
  }
  BACKFIRE_ASSIGN_OR_RETURN(std::vector<AveragePrecisionOptions> rules, RulesOf(arguments));
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<DepthSlice> slices,
                            ParseDepthSlices(arguments.slices));
  // Slices are further sets of rules: one pass over the frames serves all.
  const size_t whole = rules.size();
  std::vector<std::string> slice_names(whole);
  for (const DepthSlice& slice : slices) {
    for (size_t r = 0; r < whole; ++r) {
      AveragePrecisionOptions options = rules[r];
      options.min_depth_m = slice.min_m;
      options.max_depth_m = slice.max_m;
      rules.push_back(options);
      slice_names.push_back(slice.name);
    }
  }
  BACKFIRE_ASSIGN_OR_RETURN(const metrics::EvaluationFrames frames,
                            metrics::ReadEvaluationFrames(arguments.labels, arguments.detections,
                                                          arguments.settings.threads));
  const auto note = [](int64_t count, const char* what) {
    if (count == 0) return;
    std::fprintf(stderr, "backfire-vision: note: %lld %s\n", static_cast<long long>(count), what);
  };
  note(frames.other_files, "entries of the folder of detections are no NNNNNN.txt: left out");
  note(frames.unanswered_labels, "label files have no detection file: their frames are left out");
  const std::vector<MatchPool> pools =
      metrics::MatchAll(frames.images, rules, arguments.settings.threads);
  std::vector<std::vector<metrics::KittiAverages>> resampled(rules.size());
  if (arguments.settings.resamples > 0) {
    resampled = metrics::BootstrapAverages(
        pools, arguments.settings.seed, arguments.settings.resamples, arguments.settings.threads);
  }
  KittiReport report;
  report.frames = static_cast<int64_t>(frames.images.size());
  report.bootstrap_seed = arguments.settings.seed;
  for (size_t r = 0; r < rules.size(); ++r) {
    (r < whole ? report.cells : report.slices)
        .push_back({slice_names[r], rules[r], pools[r].Compute(), std::move(resampled[r])});
  }
  if (arguments.records.wanted()) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string records,
                              KittiRecords(report, LabelledFrames(pools), arguments.records));
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(arguments.records.path, records));
  }
  if (!arguments.plots.empty()) {
    BACKFIRE_RETURN_IF_ERROR(DrawPlots(arguments.plots, report.cells));
  }
  const std::string text =
      arguments.settings.json() ? FormatKittiJson(report) : FormatKittiTable(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddEvalKittiCommand(CLI::App& eval, CommandContext& context) {
  auto arguments = std::make_shared<KittiArguments>();
  CLI::App* kitti = eval.add_subcommand("kitti",
                                        "KITTI's object evaluation: image (with orientation), "
                                        "bird's-eye view and 3D; Car, Pedestrian "
                                        "and Cyclist; easy, moderate and hard; 40 and 11 points. "
                                        "The numbers are the official tool's.");
  kitti
      ->add_option("--labels,labels", arguments->labels,
                   "Folder of labels NNNNNN.txt (or one with label_2/ in it)")
      ->required();
  kitti
      ->add_option("--detections,detections", arguments->detections,
                   "Folder of detections NNNNNN.txt, which say what frames there are (or one with "
                   "data/ in it, the official tool's layout)")
      ->required();
  kitti
      ->add_option("--iou", arguments->ious,
                   "What an overlap must exceed: CLASS=IOU, or CLASS:METRIC=IOU with metric "
                   "image, bev or 3d. Default: car=0.7,pedestrian=0.5,cyclist=0.5")
      ->delimiter(',');
  kitti
      ->add_option("--max-depth", arguments->max_depths,
                   "Cap on camera depth, metres: M for all classes, or CLASS=M")
      ->delimiter(',');
  kitti
      ->add_option("--range-mode", arguments->range_mode,
                   "What the cap does (default cap: 20). ignore: KITTI's own rules; farther labels "
                   "are ignored, and farther detections that match nothing. authors: labels and "
                   "detections outside 0 < z <= cap are dropped, and no occlusion, truncation or "
                   "height filters (read their 11 points). Default: ignore")
      ->check(CLI::IsMember({"ignore", "authors"}));
  kitti
      ->add_option("--slices", arguments->slices,
                   "Also AP by slices of depth: 0-20,20-40,40-max (metres; MIN < z <= MAX)")
      ->delimiter(',');
  kitti->add_option("--plots", arguments->plots,
                    "Folder for precision-recall curves: CLASS_METRIC.png, and "
                    "CLASS_image_orientation.png");
  arguments->settings.AddTo(*kitti, "frames");
  arguments->records.AddTo(*kitti, {"ap_3d", "ap_bev", "ap_image"});
  kitti->footer(
      "Example: backfire vision eval kitti --labels training/label_2 --detections results "
      "--plots plots\n"
      "Exit codes: 0 evaluated; 1 failed (disk full, internal error); 2 wrong usage or input (file "
      "and line are named).");
  kitti->callback([arguments, &context] {
    context.run = [arguments] {
      const absl::Status status = EvaluateKitti(*arguments);
      return status.ok() ? kDone : ReportError(status);
    };
  });
}

}  // namespace backfire::vision
