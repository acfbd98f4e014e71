#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"
#include "services/datasets/stereo_dataset.h"
#include "services/pointcloud/lidar.h"
#include "services/rpc/channel.h"
#include "services/rpc/credentials.h"
#include "services/rpc/gateway_channel.h"
#include "services/rpc/run_directory.h"
#include "services/vision/commands.h"
#include "services/vision/lidar_report.h"
#include "services/vision/perceive.h"
#include "services/vision/progress_line.h"
#include "services/vision/score_choice.h"

namespace backfire::vision {
namespace {

namespace fs = std::filesystem;

struct PerceiveArguments {
  std::string left, right, calibration, labels, lidar_truth, out, detections;
  std::string gateway = "localhost:7000", model = "stereo", format = "text";
  std::string velodyne, car, pedestrian, data_directory;
  std::vector<int64_t> releases;
  int width = 384, height = 128;
  double min_score = 0.3, timeout_seconds = 60;
  runtime::SecurityOptions security;
  std::string score_from;  // A dataset whose validation split chooses min_score; empty: none.
};

struct Inputs {
  StereoInput stereo;
  std::optional<std::vector<metrics::Object>> labels;
  std::vector<float> lidar;  // [count, 4]; where asked for.
  std::optional<cv::Mat> lidar_disparity;
};

absl::StatusOr<Inputs> ReadInputs(const PerceiveArguments& arguments) {
  BACKFIRE_RETURN_IF_ERROR(CheckPngPath(arguments.out));
  const std::set<int64_t> distinct(arguments.releases.begin(), arguments.releases.end());
  if (distinct.size() != arguments.releases.size() || distinct.size() > 4) {
    return absl::InvalidArgumentError("--release: at most 4, each once");
  }
  Inputs inputs;
  BACKFIRE_ASSIGN_OR_RETURN(
      inputs.stereo, ReadStereoInput(arguments.left, arguments.right, arguments.calibration));
  // Before any call: what is wrong with the sizes is the user's, not the gateway's.
  BACKFIRE_RETURN_IF_ERROR(
      FitStereoInput(inputs.stereo, {arguments.width, arguments.height}).status());
  if (!arguments.labels.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(inputs.labels, datasets::ReadObjects(arguments.labels));
  }
  if (!arguments.velodyne.empty()) {
    if (arguments.releases.size() > 1) {
      return absl::InvalidArgumentError("--velodyne goes with one release");
    }
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<float> sweep,
                              pointcloud::ReadLidar(arguments.velodyne, arguments.calibration));
    // What the recipe pseudo-lidar leaves out by default.
    inputs.lidar = pointcloud::ApplyLimits(sweep, inputs.stereo.calibration, {});
  }
  if (!arguments.lidar_truth.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(const auto scan, datasets::ReadLidar(arguments.lidar_truth));
    BACKFIRE_ASSIGN_OR_RETURN(const auto calibration,
                              datasets::ReadKittiCalibration(arguments.calibration));
    auto disparity = datasets::DisparityFromLidar(scan, calibration, inputs.stereo.left.size());
    if (!disparity.ok()) {
      return absl::Status(disparity.status().code(),
                          absl::StrCat(arguments.calibration, ": ", disparity.status().message()));
    }
    inputs.lidar_disparity = *std::move(disparity);
  }
  return inputs;
}

// What is doubtful about the user's pair, and what it loses by its shape; empty: nothing.
std::string NotesText(const PerceiveArguments& arguments, const StereoInput& pair) {
  std::string text = datasets::Doubt(pair.calibration.left, pair.left.cols, pair.left.rows);
  if (!text.empty()) text = absl::StrCat("warning: ", arguments.calibration, ": ", text, "\n");
  const auto fitted = FitStereoInput(pair, {arguments.width, arguments.height});
  const int left_out = fitted.ok() ? fitted->placement.RowsLeftOut() : 0;
  if (left_out == 0) return text;
  const int rows =
      static_cast<int>(std::ceil(fitted->placement.scale_y * pair.left.rows / 16)) * 16;
  absl::StrAppendFormat(
      &text,
      "%d of %d rows are not sent, as the picture is higher than %d:%d; --height %d sends all\n",
      left_out, pair.left.rows, arguments.width, arguments.height, rows);
  return text;
}

// The detectors on the LiDAR's points, in the boxes of the view before.
absl::Status AddLidar(const PerceiveArguments& arguments, const Inputs& inputs,
                      std::vector<ReleaseView>& views) {
  const auto car = inference::GRPCInferenceService::NewStub(runtime::MakeChannel(arguments.car));
  const auto pedestrian =
      inference::GRPCInferenceService::NewStub(runtime::MakeChannel(arguments.pedestrian));
  BACKFIRE_ASSIGN_OR_RETURN(
      ReleaseView lidar,
      PerceiveLidar({{"car", "Car", car.get()}, {"pedestrian", "Pedestrian", pedestrian.get()}},
                    inputs.stereo, {arguments.width, arguments.height}, views.front(), inputs.lidar,
                    absl::Seconds(arguments.timeout_seconds)));
  views.push_back(std::move(lidar));
  return absl::OkStatus();
}

// DIR/FRAME.txt, or DIR/release-N/FRAME.txt where there are several.
absl::Status WriteDetections(const PerceiveArguments& arguments,
                             const std::vector<ReleaseView>& views) {
  const std::string name = absl::StrCat(fs::path(arguments.left).stem().string(), ".txt");
  for (const ReleaseView& view : views) {
    fs::path folder = arguments.detections;
    if (views.size() > 1) {
      folder /= view.release == "LiDAR" ? "lidar" : absl::StrCat("release-", view.release);
    }
    BACKFIRE_RETURN_IF_ERROR(
        WriteFileAtomically(folder / name, datasets::FormatObjects(view.detections)));
  }
  return absl::OkStatus();
}

// The least score that is best on a dataset's validation split, for the first of the releases.
absl::StatusOr<ScoreChoice> ChooseScoreOn(const std::string& uri,
                                          const PerceiveArguments& arguments,
                                          inference::GRPCInferenceService::StubInterface& gateway,
                                          const StereoCall& call) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset,
                            datasets::OpenStereoDataset(uri, runtime::DatasetAccess::Unlimited()));
  std::vector<int64_t> release = arguments.releases;
  if (!release.empty()) release.resize(1);
  ProgressLine progress("choosing the score");
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<JudgedFrame> frames,
                            JudgeValidation(
                                *dataset,
                                [&](const StereoInput& input) {
                                  return PerceiveWithReleases(gateway, input,
                                                              {arguments.width, arguments.height},
                                                              release, call);
                                },
                                [&](int64_t done, int64_t total) {
                                  progress.Show(done, total);
                                  return true;
                                }));
  if (frames.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--min-score-from: dataset ", uri, " has no validation frame"));
  }
  return ChooseScore(frames);
}

int RunPerceive(PerceiveArguments arguments) {
  if (!arguments.velodyne.empty()) {
    for (const auto& [target, vertex] : {std::make_pair(&arguments.car, "car"),
                                         std::make_pair(&arguments.pedestrian, "pedestrian")}) {
      absl::StatusOr<std::string> found =
          DetectorTarget("--velodyne", *target, arguments.data_directory, vertex);
      if (!found.ok()) return ReportError(found.status());
      *target = *std::move(found);
    }
  }
  const auto inputs = ReadInputs(arguments);
  if (!inputs.ok()) return ReportError(inputs.status());
  // Where JSON is read from standard output, people read what goes to standard error.
  std::fputs(NotesText(arguments, inputs->stereo).c_str(),
             arguments.format == "json" ? stderr : stdout);
  // Of the mesh: the gateway lets anybody infer, and the detectors' own services don't.
  const absl::Status shown = runtime::ShowIdentity(arguments.security);
  if (!shown.ok()) return ReportError(shown);
  const auto stub =
      inference::GRPCInferenceService::NewStub(runtime::MakeGatewayChannel(arguments.gateway));
  StereoCall call;
  call.model = arguments.model;
  call.timeout = absl::Seconds(arguments.timeout_seconds);
  call.boxes = !arguments.velodyne.empty();
  auto views = PerceiveWithReleases(*stub, inputs->stereo, {arguments.width, arguments.height},
                                    arguments.releases, call);
  if (!views.ok()) return ReportPeerError(views.status(), arguments.gateway);
  std::string title = fs::path(arguments.left).filename().string();
  if (!arguments.score_from.empty()) {
    const auto choice = ChooseScoreOn(arguments.score_from, arguments, *stub, call);
    if (!choice.ok()) return ReportPeerError(choice.status(), arguments.gateway);
    arguments.min_score = choice->score;
    absl::StrAppendFormat(
        &title, "    detections of score %.2f and more: best F1 (%.2f) on %d validation frames",
        choice->score, choice->f1, choice->frames);
    if (arguments.format != "json") {
      std::printf("Least score %.2f: best F1 (%.2f) of %d validation frames.\n", choice->score,
                  choice->f1, static_cast<int>(choice->frames));
    }
  }
  std::vector<LidarError> lidar_errors;
  if (inputs->lidar_disparity) lidar_errors = CompareWithLidar(*views, *inputs->lidar_disparity);
  if (!arguments.velodyne.empty()) {
    const absl::Status status = AddLidar(arguments, *inputs, *views);
    if (!status.ok()) {
      return ReportPeerError(status, absl::StrCat(arguments.car, ", ", arguments.pedestrian));
    }
  }

  const cv::Mat page =
      DrawPerception(title, inputs->stereo, *views, inputs->labels, arguments.min_score);
  absl::Status written = datasets::WriteRgbImage(arguments.out, page);
  if (written.ok() && !arguments.detections.empty()) written = WriteDetections(arguments, *views);
  if (!written.ok()) return ReportError(written);
  if (arguments.format == "json") {
    std::printf("%s", FormatDetectionJson(DetectionsOf(*views)).c_str());
    if (inputs->lidar_disparity) std::printf("%s", FormatLidarJson(lidar_errors).c_str());
  } else {
    std::printf("%s", FormatDetectionTable(DetectionsOf(*views), arguments.min_score).c_str());
    if (inputs->lidar_disparity) std::printf("%s", FormatLidarTable(lidar_errors).c_str());
    std::printf("%s\n", arguments.out.c_str());
  }
  return kDone;
}

}  // namespace

absl::StatusOr<std::string> DetectorTarget(const std::string& flag, const std::string& given,
                                           const std::string& data_directory,
                                           const std::string& vertex) {
  if (!given.empty()) return given;
  if (!data_directory.empty()) return runtime::RunSocket(data_directory, vertex);
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": give --", vertex, ", or the mesh's --data-dir (BACKFIRE_DATA_DIR)"));
}

void AddPerceiveCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<PerceiveArguments>();
  CLI::App* perceive = app.add_subcommand(
      "perceive", "Send a rectified stereo pair through a system; draw what it sees.");
  perceive->add_option("--left", arguments->left, "Left image, PNG or JPEG")->required();
  perceive->add_option("--right", arguments->right, "Right image")->required();
  perceive->add_option("--calib", arguments->calibration, "KITTI calibration with P2 and P3")
      ->required();
  perceive->add_option("--out", arguments->out, "PNG to write")->required();
  perceive->add_option("--labels", arguments->labels, "KITTI labels to draw as ground truth");
  perceive->add_option("--velodyne", arguments->velodyne,
                       "KITTI LiDAR sweep: also show what the detectors find in it");
  perceive->add_option("--car", arguments->car,
                       "With --velodyne: the car service, HOST:PORT or unix:PATH; default: that of "
                       "the mesh in --data-dir");
  perceive->add_option("--pedestrian", arguments->pedestrian,
                       "With --velodyne: the pedestrian service, likewise");
  perceive
      ->add_option("--data-dir", arguments->data_directory,
                   "The data directory of the mesh that `backfire up` started")
      ->envname("BACKFIRE_DATA_DIR");
  perceive->add_option("--lidar-truth", arguments->lidar_truth,
                       "KITTI LiDAR sweep: report how far every release's disparity is from it");
  perceive->add_option("--detections", arguments->detections,
                       "Directory for KITTI result files, in original image coordinates");
  perceive->add_option("--gateway", arguments->gateway, "HOST:PORT or unix:PATH")
      ->capture_default_str();
  perceive->add_option("--model", arguments->model, "The system's name at the gateway")
      ->capture_default_str();
  perceive
      ->add_option("--release", arguments->releases,
                   "Release to ask; repeat to compare up to 4. Default: the live one")
      ->check(CLI::PositiveNumber)
      ->allow_extra_args(false);
  perceive->add_option("--width", arguments->width, "Columns sent; the aspect is kept")
      ->capture_default_str();
  perceive->add_option("--height", arguments->height, "Rows sent: cropped or padded to this")
      ->capture_default_str();
  perceive->add_option("--min-score", arguments->min_score, "Least score that is shown")
      ->capture_default_str();
  perceive->add_option("--min-score-from", arguments->score_from,
                       "Dataset whose validation split chooses --min-score: the best F1 there, by "
                       "the first release");
  perceive->add_option("--timeout", arguments->timeout_seconds, "Seconds per release")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddFormatOption(*perceive, arguments->format);
  arguments->security.AddClientTo(*perceive);
  perceive->footer(
      "Example: backfire-vision perceive --left l.png --right r.png --calib c.txt --out view.png\n"
      "LiDAR instead of pseudo-LiDAR: ... --velodyne sweep.bin (elsewhere: --car HOST:PORT ...)\n"
      "Compare releases: ... --release 1 --release 2 --labels label.txt\n"
      "Exit codes: 0 done; 2 wrong usage or input; 3 the gateway is away or refused; 1 else.");
  perceive->callback(
      [arguments, &context] { context.run = [arguments] { return RunPerceive(*arguments); }; });
}

}  // namespace backfire::vision
