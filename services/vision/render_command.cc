// `dataset render`: a rendered dataset as files, or one of its scenes as a picture.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/status.h"
#include "services/datasets/rendered_dataset.h"
#include "services/vision/commands.h"
#include "services/vision/progress_line.h"

namespace backfire::vision {
namespace {

struct RenderArguments {
  std::string uri;
  std::string profile;
  std::vector<std::string> parameters;
  int64_t train = 0, validation = 0, test = 0;
  uint64_t seed = 0;
  CLI::Option *has_profile, *has_train, *has_validation, *has_test, *has_seed, *has_example;
  std::string out, split = "test";
  int64_t example = 0;
  int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
};

// The URI with what the flags say in place of what it says.
absl::StatusOr<std::string> UriOf(const RenderArguments& arguments) {
  BACKFIRE_ASSIGN_OR_RETURN(
      datasets::DatasetUri parsed,
      datasets::ParseDatasetUri(arguments.uri.empty() ? "rendered:tiny" : arguments.uri));
  if (parsed.scheme != "rendered") {
    return absl::InvalidArgumentError(
        absl::StrCat("only rendered:PROFILE[?parameter=value&...] can be rendered: got \"",
                     arguments.uri, "\""));
  }
  if (*arguments.has_profile) parsed.path = arguments.profile;
  const auto set = [&parsed](const std::string& name, const std::string& value) {
    auto& parameters = parsed.parameters;
    parameters.erase(std::remove_if(parameters.begin(), parameters.end(),
                                    [&](const auto& item) { return item.first == name; }),
                     parameters.end());
    parameters.emplace_back(name, value);
  };
  if (*arguments.has_train) set("frames", absl::StrCat(arguments.train));
  if (*arguments.has_validation) set("validation", absl::StrCat(arguments.validation));
  if (*arguments.has_test) set("test", absl::StrCat(arguments.test));
  if (*arguments.has_seed) set("seed", absl::StrCat(arguments.seed));
  for (const std::string& parameter : arguments.parameters) {
    const size_t equals = parameter.find('=');
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set takes NAME=VALUE: got \"", parameter, "\""));
    }
    set(parameter.substr(0, equals), parameter.substr(equals + 1));
  }
  std::string uri = absl::StrCat("rendered:", parsed.path);
  for (size_t i = 0; i < parsed.parameters.size(); ++i) {
    absl::StrAppend(&uri, i == 0 ? "?" : "&", parsed.parameters[i].first, "=",
                    parsed.parameters[i].second);
  }
  return uri;
}

int RunRender(const RenderArguments& arguments, const std::atomic<bool>& interrupted) {
  const auto uri = UriOf(arguments);
  if (!uri.ok()) return ReportError(uri.status());
  const auto parsed = datasets::ParseDatasetUri(*uri);
  if (!parsed.ok()) return ReportError(parsed.status());
  const auto options = datasets::ParseRenderedUri(*uri, *parsed);
  if (!options.ok()) return ReportError(options.status());
  if (*arguments.has_example) {
    const absl::Status status =
        DrawExample(*uri, arguments.split, arguments.example, arguments.out);
    if (!status.ok()) return ReportError(status);
    std::printf("%s: %s %lld of %s\n", arguments.out.c_str(), arguments.split.c_str(),
                static_cast<long long>(arguments.example), uri->c_str());
    return kDone;
  }
  if (absl::EndsWith(arguments.out, ".png")) {
    return ReportError(absl::InvalidArgumentError(
        "--out names a directory, but for a picture of one scene: --example N"));
  }
  ProgressLine progress("rendering");
  const auto outcome = datasets::RenderDataset(
      *options, arguments.out, arguments.threads,
      [&progress](int64_t done, int64_t total) { progress.Show(done, total); },
      [&interrupted] { return interrupted.load(); });
  if (!outcome.ok()) return ReportError(outcome.status());
  std::printf(
      "%s: %s: %lld train, %lld validation, %lld test frames\n", arguments.out.c_str(),
      *outcome == datasets::RenderOutcome::kRendered ? "rendered" : "already there, nothing to do",
      static_cast<long long>(options->train), static_cast<long long>(options->validation),
      static_cast<long long>(options->test));
  return kDone;
}

std::string Footer() {
  std::string text =
      "Examples:\n"
      "  backfire vision dataset render --train 600 --test 320 --seed 1 --out data\n"
      "  backfire vision dataset render 'rendered:kitti?frames=50&cars=12' --out data\n"
      "  backfire vision dataset render rendered:kitti --split test --example 7 --out scene.png\n"
      "Run again with the same options, it does nothing; a directory with anything else in it is "
      "an "
      "error. Every service opens `rendered:` URIs itself: files are for other programs.\n"
      "Parameters, for --set and for the URI:\n";
  for (const datasets::RenderParameter& parameter : datasets::RenderParameters()) {
    absl::StrAppendFormat(&text, "  %-16s %s, %g to %g\n", parameter.name, parameter.meaning,
                          parameter.low, parameter.high);
  }
  return text;
}

}  // namespace

void AddRenderCommand(CLI::App& dataset, CommandContext& context) {
  auto arguments = std::make_shared<RenderArguments>();
  CLI::App* render = dataset.add_subcommand(
      "render",
      "Render a stereo dataset with exact ground truth, in KITTI's layout; or draw one scene.");
  render->add_option("dataset", arguments->uri,
                     "rendered:PROFILE[?parameter=value&...]; default: rendered:tiny");
  arguments->has_profile = render->add_option(
      "--profile", arguments->profile, "Size and camera: tiny, half, kitti, lidar or transfer");
  arguments->has_train =
      render->add_option("--train", arguments->train, "Frames to train on; default 600");
  arguments->has_validation = render->add_option("--validation", arguments->validation,
                                                 "Frames to validate on; default 60");
  arguments->has_test =
      render->add_option("--test", arguments->test, "Frames to test on; default 320");
  arguments->has_seed = render->add_option("--seed", arguments->seed,
                                           "The same seed gives the same world; default 1");
  render->add_option("--set", arguments->parameters, "A parameter: NAME=VALUE; may be repeated");
  render->add_option("--split", arguments->split, "Of the scene that is drawn")
      ->capture_default_str();
  arguments->has_example = render->add_option(
      "--example", arguments->example, "Draw this scene, from 0, with its ground truth, as a PNG");
  render->add_option("--threads", arguments->threads, "Frames at a time; changes no result")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  render
      ->add_option("--out", arguments->out, "Directory, which appears when it is complete; or PNG")
      ->required();
  render->footer(Footer());
  render->callback([arguments, &context] {
    context.run = [arguments, &context] { return RunRender(*arguments, *context.interrupted); };
  });
}

}  // namespace backfire::vision
