#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <opencv2/core.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/parallel.h"
#include "services/base/status.h"
#include "services/datasets/calibration.h"
#include "services/datasets/image_file.h"
#include "services/vision/commands.h"
#include "services/vision/disparity_report.h"
#include "services/vision/eval_arguments.h"
#include "services/vision/evaluation_records.h"

namespace backfire::vision {
namespace {

namespace fs = std::filesystem;

struct DisparityArguments {
  std::string truth, predicted, calib;
  EvalSettings settings;
  RecordSettings records;
};

// Focal length times baseline of an image: KITTI's stereo set calls the calibration of
// 000007_10.png 000007.txt.
absl::StatusOr<double> FocalTimesBaseline(const fs::path& folder, const fs::path& image) {
  const std::string stem = image.stem().string();
  fs::path path = folder / (stem + ".txt");
  std::error_code error;
  if (!fs::exists(path, error)) path = folder / (stem.substr(0, stem.find('_')) + ".txt");
  BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, datasets::ReadCalibration(path));
  return calibration.focal_length_px() * calibration.baseline_m();
}

absl::StatusOr<metrics::DisparityErrorSums> Compare(const DisparityArguments& arguments,
                                                    const std::string& name) {
  const fs::path truth_path = fs::path(arguments.truth) / name;
  const fs::path predicted_path = fs::path(arguments.predicted) / name;
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, datasets::ReadDisparityImage(truth_path));
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat predicted, datasets::ReadDisparityImage(predicted_path));
  if (truth.size() != predicted.size()) {
    return absl::DataLossError(absl::StrCat(predicted_path.string(), ": ", predicted.cols, "x",
                                            predicted.rows, ", where the truth is ", truth.cols,
                                            "x", truth.rows));
  }
  double focal_times_baseline = 1;
  if (!arguments.calib.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(focal_times_baseline, FocalTimesBaseline(arguments.calib, name));
  }
  const cv::Mat truth_row = truth.isContinuous() ? truth : truth.clone();
  const cv::Mat predicted_row = predicted.isContinuous() ? predicted : predicted.clone();
  return metrics::SumDisparityErrors(predicted_row.ptr<float>(), truth_row.ptr<float>(),
                                     static_cast<int64_t>(truth.total()), focal_times_baseline);
}

absl::Status EvaluateDisparity(const DisparityArguments& arguments) {
  const auto& losses = arguments.records.losses;
  if (arguments.records.wanted() && arguments.calib.empty() &&
      std::find(losses.begin(), losses.end(), "depth_mae") != losses.end()) {
    return absl::InvalidArgumentError("--record-loss depth_mae: needs --calib, as depths do");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            datasets::ListPngs(arguments.truth));
  if (names.empty()) {
    return absl::NotFoundError(absl::StrCat(arguments.truth, ": no disparity map *.png"));
  }
  std::vector<metrics::DisparityErrorSums> sums(names.size());
  std::vector<absl::Status> faults(names.size());
  ParallelFor(static_cast<int64_t>(names.size()), arguments.settings.threads, [&](int64_t i) {
    auto compared = Compare(arguments, names[i]);
    faults[i] = compared.status();
    if (compared.ok()) sums[i] = *compared;
  });
  for (const absl::Status& fault : faults) BACKFIRE_RETURN_IF_ERROR(fault);
  if (arguments.records.wanted()) {
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(arguments.records.path,
                                                 DisparityRecords(names, sums, arguments.records)));
  }
  v1::Bootstrap bootstrap;
  bootstrap.set_seed(arguments.settings.seed);
  bootstrap.set_resample_count(arguments.settings.resamples);
  const DisparityReport report =
      MakeDisparityReport(sums, /*with_depth=*/!arguments.calib.empty(), bootstrap);
  const std::string text =
      arguments.settings.json() ? FormatDisparityJson(report) : FormatDisparityTable(report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddEvalDisparityCommand(CLI::App& eval, CommandContext& context) {
  auto arguments = std::make_shared<DisparityArguments>();
  CLI::App* disparity = eval.add_subcommand(
      "disparity",
      "Errors of disparity maps, over the pixels that have ground truth: disparity MAE (every "
      "pixel "
      "weighs the same), end-point error (mean over images of each one's MAE), D1-all (off by more "
      "than 3 px and 5 %) and depth MAE (where a disparity was predicted), also by depth.");
  disparity
      ->add_option("--truth", arguments->truth,
                   "Folder of 16-bit PNGs, pixels times 256, 0 where unknown (KITTI's "
                   "disp_occ_0)")
      ->required();
  disparity
      ->add_option("--predicted", arguments->predicted,
                   "Folder with a map of the same name and size for each of them; 0 there is "
                   "an error of the whole disparity")
      ->required();
  disparity->add_option("--calib", arguments->calib,
                        "Folder of calibrations NAME.txt with P2 and P3 (000007.txt also for "
                        "000007_10.png): adds depths, and columns by depth: 0-20, 20-40, 40-max m");
  arguments->settings.AddTo(*disparity, "images");
  arguments->records.AddTo(*disparity, {"disparity_mae", "d1_all", "depth_mae"});
  disparity->footer(
      "Example: backfire vision eval disparity --truth training/disp_occ_0 --predicted results "
      "--calib training/calib\n"
      "Exit codes: 0 evaluated; 1 failed (internal error); 2 wrong usage or input (the file is "
      "named).");
  disparity->callback([arguments, &context] {
    context.run = [arguments] {
      const absl::Status status = EvaluateDisparity(*arguments);
      return status.ok() ? kDone : ReportError(status);
    };
  });
}

}  // namespace backfire::vision
