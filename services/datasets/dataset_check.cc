#include "services/datasets/dataset_check.h"

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/dataset_sources.h"
#include "services/datasets/kitti_check.h"
#include "services/datasets/kitti_layout.h"

namespace backfire::datasets {
namespace {

using runtime::Split;

constexpr std::array<Split, 3> kSplits = {Split::kTrain, Split::kValidation, Split::kTest};

// A rendered dataset has no files that could be wrong: draws it, and counts.
absl::Status CheckRendered(const StereoDataset& dataset, DatasetReport& report,
                           const std::function<void(int64_t, int64_t)>& progress,
                           const std::function<bool()>& cancelled) {
  int64_t total = 0, done = 0;
  for (const Split split : kSplits) total += dataset.size(split);
  for (const Split split : kSplits) {
    SplitSummary& summary = report.splits[static_cast<size_t>(split)];
    summary.frames = dataset.size(split);
    for (int64_t i = 0; i < dataset.size(split); ++i) {
      if (cancelled()) return absl::CancelledError("interrupted");
      BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset.Labels(split, i));
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left, dataset.LeftImage(split, i));
      CountLabels(labels, dataset.height_scale(), summary);
      summary.sizes.insert(absl::StrCat(left.cols, "x", left.rows));
      ++summary.right_images, ++summary.disparities, ++summary.labelled;
      progress(++done, total);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DatasetReport> CheckDataset(const std::string& uri,
                                           const std::function<void(int64_t, int64_t)>& progress,
                                           const std::function<bool()>& cancelled) {
  BACKFIRE_ASSIGN_OR_RETURN(const DatasetUri parsed, ParseDatasetUri(uri));
  DatasetReport report;
  for (const Split split : kSplits) {
    report.splits[static_cast<size_t>(split)].name = std::string(runtime::SplitName(split));
  }
  if (parsed.scheme == "kitti") {
    BACKFIRE_ASSIGN_OR_RETURN(const KittiOptions options, ParseKittiUri(uri, parsed));
    BACKFIRE_ASSIGN_OR_RETURN(
        const KittiLayout layout,
        KittiLayout::Find(options.directory, runtime::DatasetAccess::Unlimited()));
    BACKFIRE_RETURN_IF_ERROR(CheckKitti(options, layout, progress, cancelled, report));
    if (!report.faults.empty()) return report;
  }
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset,
                            OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited()));
  report.digest = dataset->digest();
  if (parsed.scheme != "kitti") {
    BACKFIRE_RETURN_IF_ERROR(CheckRendered(*dataset, report, progress, cancelled));
  }
  return report;
}

}  // namespace backfire::datasets
