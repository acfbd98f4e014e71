#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/command_line.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/stereo_dataset.h"
#include "services/rpc/credentials.h"
#include "services/rpc/gateway_channel.h"
#include "services/vision/commands.h"
#include "services/vision/flips.h"
#include "services/vision/perceive.h"
#include "services/vision/progress_line.h"
#include "services/vision/score_choice.h"

namespace backfire::vision {
namespace {

// Pictures as a page has room for: of this width at most, and of this quality.
constexpr int kPictureWidth = 1100, kPictureQuality = 80;

struct FlipsArguments {
  std::string dataset, out, format = "text";
  std::string gateway = "localhost:7000", model = "stereo";
  int64_t before = 0, after = 0;
  std::vector<std::string> types = {"Car", "Pedestrian"};
  int examples = 3, width = 0, height = 0;
  std::optional<double> min_score;
  double timeout_seconds = 60;
  double most_seconds = 0;  // 0: as long as it takes.
  bool where_possible = false;
  runtime::SecurityOptions security;
};

// Classes are chosen, counted and drawn each by itself: detectors' scores are not of one scale.
void KeepType(const std::string& type, std::vector<metrics::Object>& objects) {
  objects.erase(std::remove_if(objects.begin(), objects.end(),
                               [&](const metrics::Object& object) {
                                 return !absl::EqualsIgnoreCase(object.type, type);
                               }),
                objects.end());
}

class Comparer {
 public:
  Comparer(const FlipsArguments& arguments, const datasets::StereoDataset& dataset,
           inference::GRPCInferenceService::StubInterface& gateway)
      : arguments_(arguments), dataset_(dataset), gateway_(gateway) {
    call_.model = arguments.model;
    call_.timeout = absl::Seconds(arguments.timeout_seconds);
  }

  // What releases see of a frame: one answer each.
  absl::StatusOr<std::vector<ReleaseView>> Ask(runtime::Split split, int64_t example,
                                               const std::vector<int64_t>& releases) const {
    BACKFIRE_ASSIGN_OR_RETURN(const StereoInput input, ReadFrame(dataset_, split, example));
    return See(input, releases);
  }

  // What a release sees of the validation split, or of its first frames.
  absl::StatusOr<std::vector<JudgedFrame>> Validation(int64_t release) const {
    ProgressLine progress("choosing scores");
    return JudgeValidation(
        dataset_, [&](const StereoInput& input) { return See(input, {release}); },
        [&](int64_t done, int64_t total) {
          progress.Show(done, total);
          return !IsSpent(kShareOfValidation);
        });
  }

  // Whether so much of --most-seconds has gone.
  bool IsSpent(double share) const {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    return arguments_.most_seconds > 0 && spent.count() > share * arguments_.most_seconds;
  }

  // JPEG: the frame and what both releases see of it, of one class.
  absl::StatusOr<std::string> Draw(int64_t example, const FlipRules& rules) const {
    constexpr auto kSplit = runtime::Split::kTest;
    BACKFIRE_ASSIGN_OR_RETURN(const StereoInput input, ReadFrame(dataset_, kSplit, example));
    BACKFIRE_ASSIGN_OR_RETURN(auto views, See(input, {arguments_.before, arguments_.after}));
    for (ReleaseView& view : views) KeepType(rules.type, view.detections);
    BACKFIRE_ASSIGN_OR_RETURN(const auto labels, dataset_.Labels(kSplit, example));
    const std::string title =
        absl::StrFormat("%s    %s detections of score %.2f and more",
                        dataset_.ExampleId(kSplit, example), rules.type, rules.min_score);
    cv::Mat page = DrawPerception(title, input, views, labels, rules.min_score);
    if (page.cols > kPictureWidth) {
      const double scale = static_cast<double>(kPictureWidth) / page.cols;
      cv::resize(page, page, {}, scale, scale, cv::INTER_AREA);
    }
    cv::Mat bgr;
    cv::cvtColor(page, bgr, cv::COLOR_RGB2BGR);
    std::vector<uchar> bytes;
    if (!cv::imencode(".jpg", bgr, bytes, {cv::IMWRITE_JPEG_QUALITY, kPictureQuality})) {
      return absl::InternalError("cannot encode a JPEG");
    }
    return std::string(bytes.begin(), bytes.end());
  }

 private:
  absl::StatusOr<std::vector<ReleaseView>> See(const StereoInput& input,
                                               const std::vector<int64_t>& releases) const {
    return PerceiveWithReleases(gateway_, input, SizeOf(input), releases, call_);
  }

  // Frames go as they were evaluated, in the dataset's own size, if that is one that networks take.
  cv::Size SizeOf(const StereoInput& input) const {
    const auto side = [](int given, int own) { return given > 0 ? given : own / 16 * 16; };
    return {side(arguments_.width, input.left.cols), side(arguments_.height, input.left.rows)};
  }

  static constexpr double kShareOfValidation = 0.25;

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const FlipsArguments& arguments_;
  const datasets::StereoDataset& dataset_;
  inference::GRPCInferenceService::StubInterface& gateway_;
  StereoCall call_;
};

absl::StatusOr<v1::ExampleFlips> Compare(const FlipsArguments& arguments,
                                         const datasets::StereoDataset& dataset,
                                         const Comparer& comparer) {
  constexpr auto kSplit = runtime::Split::kTest;
  constexpr double kShareBeforePictures = 0.9;
  v1::ExampleFlips flips;
  flips.set_schema_version(1);
  flips.set_dataset(dataset.uri());
  flips.set_split(std::string(runtime::SplitName(kSplit)));
  flips.set_before_release(absl::StrCat(arguments.before));
  flips.set_after_release(absl::StrCat(arguments.after));
  std::vector<JudgedFrame> validation;
  if (!arguments.min_score.has_value()) {
    BACKFIRE_ASSIGN_OR_RETURN(validation, comparer.Validation(arguments.before));
    flips.set_validation_frames(static_cast<int64_t>(validation.size()));
  }

  std::vector<FlippedFrame> frames;
  ProgressLine progress("asking both releases");
  for (int64_t i = 0; i < dataset.size(kSplit); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(auto views,
                              comparer.Ask(kSplit, i, {arguments.before, arguments.after}));
    FlippedFrame& frame = frames.emplace_back();
    frame.example = dataset.ExampleId(kSplit, i);
    BACKFIRE_ASSIGN_OR_RETURN(frame.before.labels, dataset.Labels(kSplit, i));
    frame.after.labels = frame.before.labels;
    frame.before.detections = std::move(views[0].detections);
    frame.after.detections = std::move(views[1].detections);
    progress.Show(i + 1, dataset.size(kSplit));
    if (comparer.IsSpent(kShareBeforePictures)) break;
  }
  flips.set_frames(static_cast<int64_t>(frames.size()));
  flips.set_split_frames(dataset.size(kSplit));

  FlipRules rules;
  rules.height_scale = dataset.height_scale();
  flips.set_least_overlap(rules.least_overlap);
  for (const std::string& type : arguments.types) {
    std::vector<JudgedFrame> of_type = validation;
    for (JudgedFrame& frame : of_type) KeepType(type, frame.detections);
    const ScoreChoice choice = ChooseScore(of_type);
    rules.type = type;
    rules.min_score = arguments.min_score.value_or(choice.score);
    std::vector<size_t> worst;
    v1::ClassFlips& one = *flips.add_classes();
    one = CompareFrames(frames, rules, static_cast<size_t>(arguments.examples), worst);
    one.set_min_score(rules.min_score);
    one.set_f1(choice.f1);
    for (size_t w = 0; w < worst.size(); ++w) {
      BACKFIRE_ASSIGN_OR_RETURN(*one.mutable_worst(static_cast<int>(w))->mutable_picture(),
                                comparer.Draw(static_cast<int64_t>(worst[w]), rules));
    }
  }
  return flips;
}

absl::StatusOr<std::string> JsonOf(const v1::ExampleFlips& flips) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(flips, &json, options);
  if (!status.ok()) return absl::InternalError(std::string(status.message()));
  return json;
}

std::string TextOf(const v1::ExampleFlips& flips) {
  std::string text = absl::StrFormat(
      "Releases %s and %s on %d %sframes; errors are labelled objects that are missed, and "
      "detections of nothing.\n\n",
      flips.before_release(), flips.after_release(), flips.frames(),
      flips.frames() < flips.split_frames() ? absl::StrFormat("of %d ", flips.split_frames())
                                            : std::string());
  for (const v1::ClassFlips& one : flips.classes()) {
    absl::StrAppendFormat(
        &text, "%s, score %.2f and more: %d errors before, %d after; %d frames worse, %d better\n",
        one.type(), one.min_score(), one.errors_before(), one.errors_after(), one.frames_worse(),
        one.frames_better());
    for (const v1::FrameFlip& flip : one.worst()) {
      absl::StrAppendFormat(&text, "  %s: missed %d, false %d before; missed %d, false %d after\n",
                            flip.example(), flip.missed_before(), flip.false_before(),
                            flip.missed_after(), flip.false_after());
    }
  }
  return text;
}

// Before any call: what a dataset lacks is the user's to mend, not the gateway's.
absl::Status CheckDataset(const FlipsArguments& arguments, const datasets::StereoDataset& dataset) {
  if (dataset.size(runtime::Split::kTest) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--dataset: ", dataset.uri(), " has no test frame"));
  }
  if (!arguments.min_score.has_value() && dataset.size(runtime::Split::kValidation) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--dataset: ", dataset.uri(), " has no validation frame that would choose --min-score"));
  }
  return dataset.Labels(runtime::Split::kTest, 0).status();
}

int RunFlips(const FlipsArguments& arguments) {
  if (!absl::EndsWith(arguments.out, ".json")) {
    return ReportError(absl::InvalidArgumentError(
        absl::StrCat("--out must end in .json: got \"", arguments.out, "\"")));
  }
  if (arguments.before == arguments.after) {
    return ReportError(absl::InvalidArgumentError("--before and --after must be two releases"));
  }
  const absl::Status shown = runtime::ShowIdentity(arguments.security);
  if (!shown.ok()) return ReportError(shown);
  const auto stub =
      inference::GRPCInferenceService::NewStub(runtime::MakeGatewayChannel(arguments.gateway));
  if (arguments.where_possible) {
    StereoCall call;
    call.model = arguments.model;
    call.release = arguments.before;
    call.timeout = absl::Seconds(arguments.timeout_seconds);
    const auto is_stereo = IsStereoSystem(*stub, call);
    if (!is_stereo.ok()) return ReportPeerError(is_stereo.status(), arguments.gateway);
    if (!*is_stereo) return kDone;
  }
  const auto dataset = datasets::OpenStereoDataset(DatasetUri(arguments.dataset),
                                                   runtime::DatasetAccess::Unlimited());
  if (!dataset.ok()) return ReportError(dataset.status());
  const absl::Status checked = CheckDataset(arguments, **dataset);
  if (!checked.ok()) return ReportError(checked);
  const Comparer comparer(arguments, **dataset, *stub);
  const auto flips = Compare(arguments, **dataset, comparer);
  if (!flips.ok()) return ReportPeerError(flips.status(), arguments.gateway);
  const auto json = JsonOf(*flips);
  if (!json.ok()) return ReportError(json.status());
  const absl::Status written = WriteFileAtomically(arguments.out, *json);
  if (!written.ok()) return ReportError(written);
  if (arguments.format == "json") {
    v1::ExampleFlips plain = *flips;
    for (v1::ClassFlips& one : *plain.mutable_classes()) {
      for (v1::FrameFlip& flip : *one.mutable_worst()) flip.clear_picture();
    }
    const auto shown_json = JsonOf(plain);
    if (!shown_json.ok()) return ReportError(shown_json.status());
    std::printf("%s", shown_json->c_str());
  } else {
    std::printf("%s%s\n", TextOf(*flips).c_str(), arguments.out.c_str());
  }
  return kDone;
}

}  // namespace

void AddFlipsCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<FlipsArguments>();
  CLI::App* flips = app.add_subcommand(
      "flips", "Ask two releases about a test split: which frames got worse, with pictures.");
  flips->add_option("--dataset", arguments->dataset, "The system's dataset: URI or directory")
      ->required();
  flips->add_option("--before", arguments->before, "Release that is in use")
      ->required()
      ->check(CLI::PositiveNumber);
  flips->add_option("--after", arguments->after, "Release that the update made")
      ->required()
      ->check(CLI::PositiveNumber);
  flips
      ->add_option("--out", arguments->out,
                   "JSON to write, pictures in it: for `backfire report --flips`")
      ->required();
  flips->add_option("--type", arguments->types, "Class of objects; may be repeated")
      ->capture_default_str()
      ->allow_extra_args(false);
  flips->add_option("--examples", arguments->examples, "Frames of each class that are drawn")
      ->check(CLI::Range(0, 20))
      ->capture_default_str();
  flips->add_option("--gateway", arguments->gateway, "HOST:PORT or unix:PATH")
      ->capture_default_str();
  flips->add_option("--model", arguments->model, "The system's name at the gateway")
      ->capture_default_str();
  flips->add_option("--width", arguments->width, "Columns sent; default: the frames' own");
  flips->add_option("--height", arguments->height, "Rows sent; default: the frames' own");
  flips->add_option(
      "--min-score", arguments->min_score,
      "Least score that counts; default: for each class that of the best F1 of --before "
      "on the validation split");
  flips->add_option("--timeout", arguments->timeout_seconds, "Seconds per release and frame")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  flips
      ->add_option("--most-seconds", arguments->most_seconds,
                   "Ask about as many frames as there is time for; 0: about all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  flips->add_flag("--where-possible", arguments->where_possible,
                  "Do nothing, and write nothing, of a system that takes no stereo pairs or finds "
                  "no objects");
  AddFormatOption(*flips, arguments->format);
  arguments->security.AddClientTo(*flips);
  flips->footer(
      "Example: backfire-vision flips --dataset data --before 1 --after 2 --out flips.json\n"
      "An average precision is no mean over frames. At one score it comes down to errors: "
      "labelled\n"
      "objects that are missed, and detections of nothing, by KITTI's matching from above.\n"
      "Exit codes: 0 done; 2 wrong usage or input; 3 the gateway is away or refused; 5 failed.");
  flips->callback(
      [arguments, &context] { context.run = [arguments] { return RunFlips(*arguments); }; });
}

}  // namespace backfire::vision
