#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/datasets/rendered_dataset.h"
#include "services/datasets/stereo_dataset.h"
#include "services/vision/commands.h"

namespace backfire::vision {
namespace {

using datasets::StereoDataset;
using runtime::Split;

// Shows progress on standard error: one changing line on a terminal, else a line now and then.
class ProgressLine {
 public:
  void Show(int64_t done, int64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now - last_ < (terminal_ ? std::chrono::milliseconds(100)
                                                 : std::chrono::milliseconds(2000))) {
      return;
    }
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    std::fprintf(stderr, "%srendering %lld/%lld frames, %.0f frames/s, %.0f s left%s",
                 terminal_ ? "\r\033[K" : "", static_cast<long long>(done),
                 static_cast<long long>(total), done / std::max(seconds, 1e-3),
                 seconds / static_cast<double>(done) * static_cast<double>(total - done),
                 terminal_ && done < total ? "" : "\n");
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = start_;
};

struct RenderArguments {
  datasets::RenderedDatasetOptions options;
  std::string out;
  int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
};

int RunRender(const RenderArguments& arguments, const std::atomic<bool>& interrupted) {
  ProgressLine progress;
  const auto outcome = datasets::RenderDataset(
      arguments.options, arguments.out, arguments.threads,
      [&progress](int64_t done, int64_t total) { progress.Show(done, total); },
      [&interrupted] { return interrupted.load(); });
  if (!outcome.ok()) return ReportError(outcome.status());
  std::printf(
      "%s: %s: %lld train, %lld validation, %lld test frames\n", arguments.out.c_str(),
      *outcome == datasets::RenderOutcome::kRendered ? "rendered" : "already there, nothing to do",
      static_cast<long long>(arguments.options.train),
      static_cast<long long>(arguments.options.validation),
      static_cast<long long>(arguments.options.test));
  return kDone;
}

struct SplitSummary {
  int64_t right_images = 0, disparities = 0, labelled = 0;
  std::map<std::string, int64_t> objects;
  std::set<std::string> sizes;
};

// A file that real KITTI may lack: absent is fine, damaged is not.
template <typename T>
absl::StatusOr<bool> Present(const absl::StatusOr<T>& value) {
  if (value.ok()) return true;
  if (absl::IsNotFound(value.status())) return false;
  return value.status();
}

absl::StatusOr<SplitSummary> ReadSplit(const StereoDataset& dataset, Split split,
                                       const std::atomic<bool>& interrupted) {
  SplitSummary summary;
  for (int64_t i = 0; i < dataset.size(split); ++i) {
    if (interrupted) return absl::CancelledError("interrupted");
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left, dataset.LeftImage(split, i));
    BACKFIRE_RETURN_IF_ERROR(dataset.Calibration(split, i).status());
    const std::string id = dataset.ExampleId(split, i);
    const auto check_size = [&](const cv::Mat& other, const char* what) -> absl::Status {
      if (other.size() == left.size()) return absl::OkStatus();
      return absl::DataLossError(absl::StrCat("frame ", id, ": ", what, " is ", other.cols, "x",
                                              other.rows, ", the left image ", left.cols, "x",
                                              left.rows));
    };
    const auto right = dataset.RightImage(split, i);
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_right, Present(right));
    if (has_right) BACKFIRE_RETURN_IF_ERROR(check_size(*right, "the right image"));
    const auto disparity = dataset.Disparity(split, i);
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_disparity, Present(disparity));
    if (has_disparity) BACKFIRE_RETURN_IF_ERROR(check_size(*disparity, "the disparity map"));
    const auto labels = dataset.Labels(split, i);
    BACKFIRE_ASSIGN_OR_RETURN(const bool has_labels, Present(labels));
    if (has_labels) {
      for (const metrics::Object& label : *labels) ++summary.objects[label.type];
    }
    summary.sizes.insert(absl::StrCat(left.cols, "x", left.rows));
    summary.right_images += has_right;
    summary.disparities += has_disparity;
    summary.labelled += has_labels;
  }
  return summary;
}

int RunCheck(const std::string& where, const std::atomic<bool>& interrupted) {
  const std::string uri = DatasetUri(where);
  const auto dataset = datasets::OpenStereoDataset(uri);
  if (!dataset.ok()) return ReportError(dataset.status());
  std::printf("%s\n", uri.c_str());
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    const auto summary = ReadSplit(**dataset, split, interrupted);
    if (!summary.ok()) return ReportError(summary.status());
    std::printf(
        "%-10s %lld frames (%s), right images %lld, disparities %lld, labelled %lld: %s\n",
        std::string(runtime::SplitName(split)).c_str(),
        static_cast<long long>((*dataset)->size(split)), absl::StrJoin(summary->sizes, " ").c_str(),
        static_cast<long long>(summary->right_images), static_cast<long long>(summary->disparities),
        static_cast<long long>(summary->labelled),
        absl::StrJoin(summary->objects, ", ", absl::PairFormatter(" ")).c_str());
  }
  std::printf("digest     %s\n", (*dataset)->digest().c_str());
  return kDone;
}

}  // namespace

void AddDatasetCommand(CLI::App& app, CommandContext& context) {
  CLI::App* dataset = app.add_subcommand("dataset", "Make and check stereo datasets.");
  dataset->require_subcommand(1);

  auto arguments = std::make_shared<RenderArguments>();
  CLI::App* render = dataset->add_subcommand(
      "render", "Render a stereo dataset with exact ground truth, in KITTI's layout.");
  render->add_option("--profile", arguments->options.profile, "Size and camera: tiny (384x128)")
      ->capture_default_str();
  render->add_option("--train", arguments->options.train, "Frames to train on")
      ->capture_default_str();
  render->add_option("--validation", arguments->options.validation, "Frames to validate on")
      ->capture_default_str();
  render->add_option("--test", arguments->options.test, "Frames to test on")->capture_default_str();
  render->add_option("--seed", arguments->options.seed, "The same seed gives the same world")
      ->capture_default_str();
  render->add_option("--threads", arguments->threads, "Frames at a time; changes no result")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  render->add_option("--out", arguments->out, "Directory, which appears when it is complete")
      ->required();
  render->footer(
      "Example: backfire-vision dataset render --train 240 --validation 24 --test 120 --out data\n"
      "Run again with the same options, it does nothing; a directory with anything else in it is "
      "an error.");
  render->callback([arguments, &context] {
    context.run = [arguments, &context] { return RunRender(*arguments, *context.interrupted); };
  });

  auto where = std::make_shared<std::string>();
  CLI::App* check =
      dataset->add_subcommand("check", "Read every file of a dataset; print counts and digest.");
  check->add_option("dataset", *where, "DIR or kitti:DIR[?train=NAME&validation=NAME&test=NAME]")
      ->required();
  check->footer("Example: backfire-vision dataset check data");
  check->callback([where, &context] {
    context.run = [where, &context] { return RunCheck(*where, *context.interrupted); };
  });

  AddContactSheetCommand(*dataset, context);
}

}  // namespace backfire::vision
