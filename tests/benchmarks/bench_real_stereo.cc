// bench-real-stereo: how disparity recipes that learnt from one dataset do on a real stereo pair,
// by its LiDAR.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <opencv2/imgproc.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/memory.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/stereo_dataset.h"
#include "services/disparity/disparity_model.h"
#include "services/metrics/disparity_error.h"
#include "services/runtime/recipe.h"
#include "services/vision/disparity_colours.h"

namespace backfire::benchmarks {
namespace {

using runtime::Split;

struct Options {
  std::string pairs, dataset = "rendered:transfer?frames=600&validation=0&test=0", out, keep;
  std::vector<std::string> recipes = {"psmnet-transfer-disparity-mae@896", "sgbm",
                                      "sgbm?max_disparity=192&block_size=3"},
                           parameters;
  int seed = 1, threads = 1;
};

class PrintingJob final : public runtime::JobContext {
 public:
  void Report(const v1::Progress& progress) override {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::seconds(20)) return;
    last_ = now;
    std::fprintf(stderr, "  %s: %lld of %lld, loss %.3f, %.0f s to go\n", progress.stage().c_str(),
                 static_cast<long long>(progress.step()),
                 static_cast<long long>(progress.total_steps()), progress.loss(),
                 progress.eta_seconds());
  }
  bool cancelled() const override { return false; }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

struct Frame {
  std::string id;
  cv::Mat left, right, lidar;
  double focal_times_baseline = 0;
};

absl::StatusOr<std::vector<Frame>> ReadFrames(const std::string& uri) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto pairs,
                            datasets::OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited()));
  std::vector<Frame> frames;
  for (int64_t i = 0; i < pairs->size(Split::kTest); ++i) {
    Frame frame;
    frame.id = pairs->ExampleId(Split::kTest, i);
    BACKFIRE_ASSIGN_OR_RETURN(frame.left, pairs->LeftImage(Split::kTest, i));
    BACKFIRE_ASSIGN_OR_RETURN(frame.right, pairs->RightImage(Split::kTest, i));
    BACKFIRE_ASSIGN_OR_RETURN(frame.lidar, pairs->Disparity(Split::kTest, i));
    BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, pairs->Calibration(Split::kTest, i));
    frame.focal_times_baseline = calibration.focal_length_px() * calibration.baseline_m();
    frames.push_back(std::move(frame));
  }
  if (frames.empty()) return absl::InvalidArgumentError("--pairs: the test split is empty");
  return frames;
}

// `NAME`, `NAME@WIDTH`, each also with `?PARAMETER=VALUE&...`.
struct Contender {
  std::string name;
  int width = 0;
  std::string label;  // Without the width, which changes no training.
  std::vector<std::string> parameters;
};

absl::StatusOr<Contender> ParseContender(const std::string& text) {
  const std::vector<std::string> halves = absl::StrSplit(text, absl::MaxSplits('?', 1));
  const std::vector<std::string> parts = absl::StrSplit(halves[0], '@');
  Contender contender;
  contender.name = contender.label = parts[0];
  if (halves.size() > 1) {
    absl::StrAppend(&contender.label, "?", halves[1]);
    contender.parameters = absl::StrSplit(halves[1], '&');
  }
  if (parts.size() == 1) return contender;
  if (parts.size() > 2 || !absl::SimpleAtoi(parts[1], &contender.width) || contender.width < 64 ||
      contender.width > 4096) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--recipe must be NAME, NAME@WIDTH or NAME?PARAMETER=VALUE, WIDTH in [64, 4096]: got ",
        text));
  }
  return contender;
}

absl::StatusOr<v1::Recipe> RecipeOf(const runtime::Model& model, const std::string& name,
                                    const std::vector<std::string>& parameters) {
  v1::Recipe recipe;
  recipe.set_name(name);
  const auto has = [&](const std::string& parameter) {
    for (const v1::Recipe& known : model.description().recipes()) {
      if (known.name() == name) return known.parameters().fields().contains(parameter);
    }
    return true;  // An unknown recipe: refused below.
  };
  for (const std::string& parameter : parameters) {
    const std::vector<std::string> parts = absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    double number = 0;
    if (parts.size() != 2) {
      return absl::InvalidArgumentError(absl::StrCat("--set must be NAME=VALUE: got ", parameter));
    }
    if (!has(parts[0])) continue;  // It is for another of the recipes.
    if (absl::SimpleAtod(parts[1], &number)) {
      runtime::SetParameter(recipe, parts[0], number);
    } else {
      runtime::SetParameter(recipe, parts[0], parts[1]);
    }
  }
  return model.ResolveRecipe(recipe);
}

// Predicts at `width` columns (0: the frame's own), and scales the map back to the frame's own size
// and pixels.
absl::StatusOr<cv::Mat> Predict(const runtime::Predictor& predictor, const Frame& frame,
                                int width) {
  const double scale = width == 0 ? 1 : static_cast<double>(width) / frame.left.cols;
  const cv::Size size(static_cast<int>(std::lround(frame.left.cols * scale)),
                      static_cast<int>(std::lround(frame.left.rows * scale)));
  runtime::TensorMap inputs;
  for (const auto& [name, image] : {std::pair("left", frame.left), {"right", frame.right}}) {
    cv::Mat scaled = image;
    if (size != image.size()) {
      cv::resize(image, scaled, size, 0, 0, scale < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
    }
    inputs[name] = datasets::ImageToTensor(scaled);
  }
  BACKFIRE_ASSIGN_OR_RETURN(auto outputs, predictor.Predict(inputs, [] { return false; }));
  cv::Mat disparity(size, CV_32FC1, outputs.at("disparity").MutableAs<float>()), full;
  cv::resize(disparity, full, frame.left.size(), 0, 0, cv::INTER_LINEAR);
  return full / scale;
}

// By how much a map is off where there is LiDAR, in units of what counts as bad; 0 elsewhere.
cv::Mat Badness(const cv::Mat& disparity, const cv::Mat& lidar) {
  cv::Mat badness = cv::Mat::zeros(lidar.size(), CV_32FC1);
  for (int y = 0; y < lidar.rows; ++y) {
    for (int x = 0; x < lidar.cols; ++x) {
      const float truth = lidar.at<float>(y, x);
      if (truth <= 0) continue;
      const float error = std::abs(disparity.at<float>(y, x) - truth);
      badness.at<float>(y, x) = std::max(1e-3f, error / std::max(3.0f, 0.05f * truth));
    }
  }
  return badness;
}

absl::Status Run(const Options& options) {
  const auto model = disparity::MakeDisparityModel({"cpu", options.threads});
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<Frame> frames, ReadFrames(options.pairs));
  BACKFIRE_ASSIGN_OR_RETURN(
      const auto dataset,
      datasets::OpenStereoDataset(options.dataset, runtime::DatasetAccess::Unlimited()));
  const std::filesystem::path scratch =
      std::filesystem::temp_directory_path() /
      absl::StrCat("backfire-real-stereo-",
                   std::chrono::steady_clock::now().time_since_epoch().count());
  std::filesystem::create_directories(scratch);
  const absl::Cleanup remove = [&] {
    std::error_code ignored;
    std::filesystem::remove_all(scratch, ignored);
  };
  std::printf("%-36s %-8s %10s %8s %8s   (all %s)\n", "recipe", "frame", "MAE px", "D1 %", "points",
              "pixels with LiDAR");
  for (const std::string& text : options.recipes) {
    BACKFIRE_ASSIGN_OR_RETURN(const Contender contender, ParseContender(text));
    const auto& [name, width, label, own_parameters] = contender;
    std::vector<std::string> parameters = options.parameters;
    parameters.insert(parameters.end(), own_parameters.begin(), own_parameters.end());
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Recipe recipe, RecipeOf(*model, name, parameters));
    const std::string kept = options.keep.empty() ? "" : absl::StrCat(options.keep, "-", label);
    absl::StatusOr<std::string> weights = ReadFile(kept);
    if (kept.empty() || !weights.ok()) {
      runtime::TrainingTask task;
      task.recipe = recipe;
      task.seed = options.seed;
      task.dataset = dataset.get();
      task.files.checkpoint = scratch / name;
      PrintingJob job;
      weights = model->Train(task, job);
      BACKFIRE_RETURN_IF_ERROR(weights.status());
      if (!kept.empty()) BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(kept, *weights));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const auto predictor, model->Load(recipe, *weights));
    for (const Frame& frame : frames) {
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat disparity, Predict(*predictor, frame, width));
      const auto sums = metrics::SumDisparityErrors(
          disparity.ptr<float>(), frame.lidar.ptr<float>(),
          static_cast<int64_t>(frame.lidar.total()), frame.focal_times_baseline);
      std::printf("%-36s %-8s %10.3f %8.2f %8.0f\n", label.c_str(), frame.id.c_str(),
                  sums.absolute_error_px[0] / sums.pixels[0],
                  100 * sums.bad_pixels[0] / sums.pixels[0], sums.pixels[0]);
      if (options.out.empty()) continue;
      const double range = vision::DisplayRange(disparity);
      cv::Mat page, below;
      cv::vconcat(frame.left, vision::ColourDisparity(disparity, range), below);
      cv::Mat lidar;
      cv::dilate(frame.lidar, lidar, cv::Mat());  // Single pixels are hardly seen.
      cv::vconcat(below, vision::ColourDisparity(lidar, range), page);
      cv::Mat badness;
      cv::dilate(Badness(disparity, frame.lidar), badness, cv::Mat());
      cv::vconcat(page, vision::ColourDisparity(badness, 2), page);
      BACKFIRE_RETURN_IF_ERROR(datasets::WriteRgbImage(
          absl::StrCat(options.out, "-", label, "-", frame.id, ".png"), page));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace backfire::benchmarks

int main(int argc, char** argv) {
  backfire::KeepFreedMemory();
  CLI::App app(
      "Trains disparity recipes on a dataset, and measures them on real stereo pairs with LiDAR.",
      "bench-real-stereo");
  backfire::benchmarks::Options options;
  const char* mini = std::getenv("BACKFIRE_KITTI_MINI");
  if (mini != nullptr) {
    options.pairs = absl::StrCat("kitti:", mini, "?validation=&disparity=lidar");
  }
  app.add_option("--pairs", options.pairs,
                 "URI of real pairs: the test split of a dataset with right images and LiDAR "
                 "(default: kitti:$BACKFIRE_KITTI_MINI?validation=&disparity=lidar)");
  app.add_option("--dataset", options.dataset, "URI of what is trained on")->capture_default_str();
  app.add_option("--recipe", options.recipes,
                 "NAME, or NAME@WIDTH: sees the pairs scaled to so many columns; either with "
                 "?PARAMETER=VALUE&...; repeat")
      ->capture_default_str();
  app.add_option("--set", options.parameters, "A recipe's parameter, NAME=VALUE; repeat");
  app.add_option("--seed", options.seed, "Of the trainings")->capture_default_str();
  app.add_option("--threads", options.threads, "Of a prediction")->capture_default_str();
  app.add_option("--keep", options.keep, "Prefix of files that keep the weights for another run");
  app.add_option(
      "--out", options.out,
      "Prefix of pictures: image, disparity, LiDAR, and where it is bad: beyond the middle of "
      "the colours by 3 px and 5 %");
  app.footer(
      "Example: bench-real-stereo --recipe psmnet-transfer-disparity-mae@896 --recipe sgbm --out "
      "view\n"
      "The default training takes about half an hour of one core.");
  if (const auto code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  const absl::Status status = options.pairs.empty()
                                  ? absl::InvalidArgumentError(
                                        "--pairs must name a dataset, or BACKFIRE_KITTI_MINI in "
                                        "the environment the directory of one in KITTI's layout")
                                  : backfire::benchmarks::Run(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench-real-stereo: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
