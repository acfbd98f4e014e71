#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/stereo_dataset.h"
#include "services/pointcloud/back_projection.h"
#include "services/rpc/channel.h"
#include "services/rpc/credentials.h"
#include "services/rpc/gateway_channel.h"
#include "services/rpc/unary_call.h"
#include "services/vision/commands.h"
#include "services/vision/perceive.h"
#include "services/vision/progress_line.h"
#include "services/vision/score_choice.h"

namespace backfire::vision {
namespace {

constexpr const char* kComparedTypes[] = {"Car", "Pedestrian"};
constexpr int kSheetQuality = 75;

struct CompareArguments {
  std::string dataset, split = "test", out;
  std::string gateway = "localhost:7000", model = "stereo";
  std::vector<int64_t> examples, releases;
  std::vector<std::string> names;
  bool true_disparity = false;
  std::string car, pedestrian, data_directory;
  int64_t car_version = 0, pedestrian_version = 0;
  std::optional<double> min_score;
  double timeout_seconds = 60, depth_m = 40;
  runtime::SecurityOptions security;

  size_t columns() const { return releases.size() + (true_disparity ? 1 : 0); }
};

// A version that can be asked as long as this lives. Versions that no release uses aren't loaded.
class LoadedForNow {
 public:
  static absl::StatusOr<std::unique_ptr<LoadedForNow>> Load(const std::string& target,
                                                            const std::string& model,
                                                            int64_t version,
                                                            absl::Duration timeout) {
    auto loaded = std::make_unique<LoadedForNow>();
    if (version == 0) return loaded;
    auto stub = v1::ModelService::NewStub(runtime::MakeChannel(target));
    v1::GetVersionRequest request;
    request.set_name(absl::StrCat("models/", model, "/versions/", version));
    BACKFIRE_ASSIGN_OR_RETURN(
        const v1::Version found,
        runtime::UnaryCall(*stub, &v1::ModelService::Stub::GetVersion, request, timeout));
    if (found.loaded()) return loaded;
    v1::LoadVersionRequest load;
    load.set_name(request.name());
    BACKFIRE_RETURN_IF_ERROR(
        runtime::UnaryCall(*stub, &v1::ModelService::Stub::LoadVersion, load, timeout).status());
    loaded->stub_ = std::move(stub);
    loaded->name_ = request.name();
    return loaded;
  }

  ~LoadedForNow() {
    if (stub_ == nullptr) return;
    v1::UnloadVersionRequest unload;
    unload.set_name(name_);
    runtime::UnaryCall(*stub_, &v1::ModelService::Stub::UnloadVersion, unload, absl::Seconds(10))
        .status()
        .IgnoreError();
  }

 private:
  std::unique_ptr<v1::ModelService::Stub> stub_;
  std::string name_;
};

// Asks every column about frames.
class Columns {
 public:
  Columns(const CompareArguments& arguments, const datasets::StereoDataset& dataset)
      : arguments_(arguments),
        dataset_(dataset),
        timeout_(absl::Seconds(arguments.timeout_seconds)),
        gateway_(inference::GRPCInferenceService::NewStub(
            runtime::MakeGatewayChannel(arguments.gateway))) {
    call_.model = arguments.model;
    call_.timeout = timeout_;
    call_.boxes = arguments.true_disparity;
  }

  absl::Status ReachDetectors() {
    if (!arguments_.true_disparity) return absl::OkStatus();
    struct Wanted {
      const char *model, *type;
      const std::string& given;
      int64_t version;
    };
    for (const Wanted& one : {Wanted{"car", "Car", arguments_.car, arguments_.car_version},
                              Wanted{"pedestrian", "Pedestrian", arguments_.pedestrian,
                                     arguments_.pedestrian_version}}) {
      BACKFIRE_ASSIGN_OR_RETURN(
          const std::string target,
          DetectorTarget("--true-disparity", one.given, arguments_.data_directory, one.model));
      auto loaded = LoadedForNow::Load(target, one.model, one.version, timeout_);
      if (!loaded.ok()) return Annotate(loaded.status(), target);
      loaded_.push_back(*std::move(loaded));
      stubs_.push_back(inference::GRPCInferenceService::NewStub(runtime::MakeChannel(target)));
      detectors_.push_back({one.model, one.type, stubs_.back().get(), one.version});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ComparedFrame> See(runtime::Split split, int64_t example) const {
    ComparedFrame frame;
    frame.name = dataset_.ExampleId(split, example);
    BACKFIRE_ASSIGN_OR_RETURN(frame.input, ReadFrame(dataset_, split, example));
    BACKFIRE_ASSIGN_OR_RETURN(frame.labels, dataset_.Labels(split, example));
    // As it was evaluated: in the dataset's own size, if that is one that networks take.
    const cv::Size size(frame.input.left.cols / 16 * 16, frame.input.left.rows / 16 * 16);
    BACKFIRE_ASSIGN_OR_RETURN(frame.views, PerceiveWithReleases(*gateway_, frame.input, size,
                                                                arguments_.releases, call_));
    if (!arguments_.true_disparity) return frame;
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset_.Disparity(split, example));
    const cv::Mat disparity = truth.clone();  // One after the other.
    pointcloud::BackProjectionOptions options;
    options.intensity = true;
    BACKFIRE_ASSIGN_OR_RETURN(
        ReleaseView view,
        PerceiveLidar(detectors_, frame.input, size, frame.views.front(),
                      pointcloud::BackProject(disparity.ptr<float>(), disparity.rows,
                                              disparity.cols, frame.input.calibration, options),
                      timeout_));
    view.disparity = disparity;
    frame.views.push_back(std::move(view));
    return frame;
  }

 private:
  const CompareArguments& arguments_;
  const datasets::StereoDataset& dataset_;
  const absl::Duration timeout_;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> gateway_;
  std::vector<std::unique_ptr<LoadedForNow>> loaded_;
  std::vector<std::unique_ptr<inference::GRPCInferenceService::Stub>> stubs_;
  std::vector<DetectorPeer> detectors_;
  StereoCall call_;
};

// By column, then by type: the least score that is shown. Detectors' scores are not of one scale.
using LeastScores = std::vector<std::vector<double>>;

void KeepSure(const std::vector<double>& least, std::vector<metrics::Object>& detections) {
  detections.erase(std::remove_if(detections.begin(), detections.end(),
                                  [&](const metrics::Object& detection) {
                                    for (size_t t = 0; t < least.size(); ++t) {
                                      if (detection.type != kComparedTypes[t]) continue;
                                      return detection.score.value_or(0) < least[t];
                                    }
                                    return true;
                                  }),
                   detections.end());
}

absl::StatusOr<LeastScores> ChooseScores(const CompareArguments& arguments,
                                         const datasets::StereoDataset& dataset,
                                         const Columns& columns) {
  constexpr auto kSplit = runtime::Split::kValidation;
  constexpr size_t kTypes = std::size(kComparedTypes);
  if (arguments.min_score.has_value()) {
    return LeastScores(arguments.columns(), std::vector<double>(kTypes, *arguments.min_score));
  }
  std::vector<std::vector<std::vector<JudgedFrame>>> judged(
      arguments.columns(), std::vector<std::vector<JudgedFrame>>(kTypes));
  ProgressLine progress("choosing scores");
  for (int64_t i = 0; i < dataset.size(kSplit); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(const ComparedFrame frame, columns.See(kSplit, i));
    for (size_t c = 0; c < judged.size(); ++c) {
      for (size_t t = 0; t < kTypes; ++t) {
        JudgedFrame& one = judged[c][t].emplace_back();
        one.labels = frame.labels;
        for (const metrics::Object& detection : frame.views[c].detections) {
          if (detection.type == kComparedTypes[t]) one.detections.push_back(detection);
        }
      }
    }
    progress.Show(i + 1, dataset.size(kSplit));
  }
  LeastScores scores;
  for (const auto& column : judged) {
    scores.emplace_back();
    for (const auto& frames : column) scores.back().push_back(ChooseScore(frames).score);
  }
  return scores;
}

absl::Status CheckArguments(const CompareArguments& arguments) {
  if (!absl::EndsWith(arguments.out, ".png") && !absl::EndsWith(arguments.out, ".jpg")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out must end in .png or .jpg: got \"", arguments.out, "\""));
  }
  const std::set<int64_t> distinct(arguments.releases.begin(), arguments.releases.end());
  if (distinct.size() != arguments.releases.size() || arguments.columns() > 4) {
    return absl::InvalidArgumentError(
        "--release: each once, and at most 4 columns with --true-disparity");
  }
  if (!arguments.names.empty() && arguments.names.size() != arguments.columns()) {
    return absl::InvalidArgumentError(absl::StrCat("--name: must be given for each of the ",
                                                   arguments.columns(), " columns, or not at all"));
  }
  return absl::OkStatus();
}

absl::Status WriteSheet(const std::string& path, const cv::Mat& sheet) {
  if (absl::EndsWith(path, ".png")) return datasets::WriteRgbImage(path, sheet);
  cv::Mat bgr;
  cv::cvtColor(sheet, bgr, cv::COLOR_RGB2BGR);
  std::vector<uchar> bytes;
  if (!cv::imencode(".jpg", bgr, bytes,
                    {cv::IMWRITE_JPEG_QUALITY, kSheetQuality, cv::IMWRITE_JPEG_OPTIMIZE, 1,
                     cv::IMWRITE_JPEG_PROGRESSIVE, 1})) {
    return absl::InternalError("cannot encode a JPEG");
  }
  return WriteFileAtomically(path, std::string(bytes.begin(), bytes.end()));
}

// The column's name, and from which score on it shows what.
std::string ColumnTitle(const std::string& name, const std::vector<double>& least) {
  std::vector<std::string> parts;
  for (size_t t = 0; t < least.size(); ++t) {
    parts.push_back(
        absl::StrFormat("%s from %.2g", absl::AsciiStrToLower(kComparedTypes[t]), least[t]));
  }
  return absl::StrCat(name, "    ", absl::StrJoin(parts, ", "));
}

int RunCompare(const CompareArguments& arguments) {
  absl::Status status = CheckArguments(arguments);
  if (!status.ok()) return ReportError(status);
  const auto split = runtime::ParseSplit(arguments.split);
  if (!split.ok()) return ReportError(split.status());
  const auto dataset = datasets::OpenStereoDataset(DatasetUri(arguments.dataset),
                                                   runtime::DatasetAccess::Unlimited());
  if (!dataset.ok()) return ReportError(dataset.status());
  for (const int64_t example : arguments.examples) {
    if (example < (*dataset)->size(*split)) continue;
    return ReportError(absl::InvalidArgumentError(
        absl::StrCat("--example: must be less than ", (*dataset)->size(*split),
                     ", the frames of the split: got ", example)));
  }
  if (!arguments.min_score.has_value() && (*dataset)->size(runtime::Split::kValidation) == 0) {
    return ReportError(absl::InvalidArgumentError(
        "--dataset: has no validation frame that would choose --min-score"));
  }
  status = runtime::ShowIdentity(arguments.security);
  if (!status.ok()) return ReportError(status);
  Columns columns(arguments, **dataset);
  status = columns.ReachDetectors();
  if (absl::IsInvalidArgument(status)) return ReportError(status);
  if (!status.ok()) return ReportPeerError(status, arguments.gateway);
  // First of what is shown: what a release can't serve, it refuses at once.
  std::vector<ComparedFrame> frames;
  for (const int64_t example : arguments.examples) {
    auto frame = columns.See(*split, example);
    if (!frame.ok()) return ReportPeerError(frame.status(), arguments.gateway);
    frames.push_back(*std::move(frame));
    frames.back().name =
        absl::StrCat("frame ", frames.back().name, " (", arguments.split, " ", example, ")");
  }
  const auto least = ChooseScores(arguments, **dataset, columns);
  if (!least.ok()) return ReportPeerError(least.status(), arguments.gateway);
  std::vector<std::string> titles;
  for (size_t c = 0; c < arguments.columns(); ++c) {
    const std::string name = !arguments.names.empty() ? arguments.names[c]
                             : c < arguments.releases.size()
                                 ? absl::StrCat("release ", arguments.releases[c])
                                 : "true disparity";
    titles.push_back(ColumnTitle(name, (*least)[c]));
    for (ComparedFrame& frame : frames) KeepSure((*least)[c], frame.views[c].detections);
  }
  const std::string title =
      arguments.min_score.has_value()
          ? "boxes: detections of the scores below and more"
          : absl::StrCat("boxes: detections from the score of the best F1 on ",
                         (*dataset)->size(runtime::Split::kValidation),
                         " validation frames, by column and class");
  status = WriteSheet(arguments.out, DrawComparedFrames(title, titles, frames, arguments.depth_m));
  if (!status.ok()) return ReportError(status);
  std::printf("%s\n", arguments.out.c_str());
  return kDone;
}

}  // namespace

void AddCompareCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App* compare = app.add_subcommand(
      "compare", "Draw frames of a dataset as several releases see them, side by side.");
  compare->add_option("--dataset", arguments->dataset, "The system's dataset: URI or directory")
      ->required();
  compare->add_option("--split", arguments->split, "train, validation or test")
      ->capture_default_str();
  compare
      ->add_option("--example", arguments->examples, "Which of the split, from 0; may be repeated")
      ->required()
      ->check(CLI::NonNegativeNumber)
      ->allow_extra_args(false);
  compare->add_option("--release", arguments->releases, "Release to ask: a column; may be repeated")
      ->required()
      ->check(CLI::PositiveNumber)
      ->allow_extra_args(false);
  CLI::Option* truth = compare->add_flag(
      "--true-disparity", arguments->true_disparity,
      "A further column: what detectors find in the points of the true disparity, in "
      "the first release's 2D boxes");
  compare
      ->add_option("--car-version", arguments->car_version,
                   "With --true-disparity: the car detector's version, such as one retrained on "
                   "the recipe `oracle`; 0: the highest that is loaded")
      ->needs(truth);
  compare
      ->add_option("--pedestrian-version", arguments->pedestrian_version,
                   "With --true-disparity: the pedestrian detector's, likewise")
      ->needs(truth);
  compare
      ->add_option("--car", arguments->car,
                   "With --true-disparity: the car service, HOST:PORT or unix:PATH; default: "
                   "that of the mesh in --data-dir")
      ->needs(truth);
  compare
      ->add_option("--pedestrian", arguments->pedestrian,
                   "With --true-disparity: the pedestrian service, likewise")
      ->needs(truth);
  compare
      ->add_option("--data-dir", arguments->data_directory,
                   "The data directory of the mesh that `backfire up` started")
      ->envname("BACKFIRE_DATA_DIR");
  compare->add_option("--name", arguments->names, "Name of a column; repeat for each")
      ->allow_extra_args(false);
  compare->add_option(
      "--min-score", arguments->min_score,
      "Least score that is shown; default: by column and class that of the best F1 on the "
      "validation split");
  compare->add_option("--depth", arguments->depth_m, "Metres that bird's-eye views reach")
      ->check(CLI::Range(10, 80))
      ->capture_default_str();
  compare->add_option("--gateway", arguments->gateway, "HOST:PORT or unix:PATH")
      ->capture_default_str();
  compare->add_option("--model", arguments->model, "The system's name at the gateway")
      ->capture_default_str();
  compare->add_option("--timeout", arguments->timeout_seconds, "Seconds per release and frame")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  compare->add_option("--out", arguments->out, "PNG or JPEG (.jpg) to write")->required();
  arguments->security.AddClientTo(*compare);
  compare->footer(
      "Example: backfire-vision compare --dataset data --example 0 --example 1 --release 1 "
      "--release 2 --out x.png\n"
      "Exit codes: 0 done; 2 wrong usage or input; 3 the gateway is away or refused; 5 failed.");
  compare->callback(
      [arguments, &context] { context.run = [arguments] { return RunCompare(*arguments); }; });
}

}  // namespace backfire::vision
