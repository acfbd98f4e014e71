// `dataset check`: everything that is wrong with a dataset.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "services/base/command_line.h"
#include "services/datasets/dataset_check.h"
#include "services/vision/commands.h"
#include "services/vision/json_text.h"
#include "services/vision/progress_line.h"

namespace backfire::vision {
namespace {

using datasets::DatasetFault;
using datasets::DatasetReport;
using datasets::SplitSummary;

struct CheckArguments {
  std::string dataset, format = "text", sheet;
};

std::string FormatText(const std::string& uri, const DatasetReport& report) {
  std::string text = absl::StrCat(uri, "\n");
  for (const SplitSummary& split : report.splits) {
    absl::StrAppendFormat(
        &text, "%-10s %d frames (%s), right images %d, disparities %d, scans %d, labelled %d\n",
        split.name, split.frames, absl::StrJoin(split.sizes, " "), split.right_images,
        split.disparities, split.scans, split.labelled);
    if (split.objects.empty()) continue;
    absl::StrAppendFormat(&text, "%-10s objects: %s\n", "",
                          absl::StrJoin(split.objects, ", ", absl::PairFormatter(" ")));
    absl::StrAppendFormat(&text, "%-10s counted at moderate: %s\n", "",
                          absl::StrJoin(split.counted, ", ", absl::PairFormatter(" ")));
  }
  for (const std::string& warning : report.warnings) {
    absl::StrAppend(&text, "warning    ", warning, "\n");
  }
  for (const DatasetFault& fault : report.faults) {
    absl::StrAppend(&text, "fault      ", fault.file);
    if (fault.line > 0) absl::StrAppend(&text, ":", fault.line);
    absl::StrAppend(&text, fault.file.empty() ? "" : ": ", fault.message, "\n");
  }
  if (report.faults.empty()) {
    absl::StrAppend(&text, "digest     ", report.digest, "\n");
  } else {
    absl::StrAppend(&text, report.faults.size(),
                    report.faults.size() == 1 ? " fault\n" : " faults\n");
  }
  return text;
}

std::string FormatJson(const std::string& uri, const DatasetReport& report) {
  JsonText json;
  json.BeginObject().Key("uri").String(uri).Key("digest").String(report.digest);
  json.Key("splits").BeginObject();
  for (const SplitSummary& split : report.splits) {
    json.Key(split.name).BeginObject();
    json.Key("frames").Integer(split.frames).Key("right_images").Integer(split.right_images);
    json.Key("disparities").Integer(split.disparities).Key("scans").Integer(split.scans);
    json.Key("labelled").Integer(split.labelled).Key("sizes").BeginList();
    for (const std::string& size : split.sizes) json.String(size);
    json.EndList();
    for (const auto& [name, counts] :
         {std::pair("objects", &split.objects), std::pair("counted_moderate", &split.counted)}) {
      json.Key(name).BeginObject();
      for (const auto& [type, count] : *counts) json.Key(type).Integer(count);
      json.EndObject();
    }
    json.EndObject();
  }
  json.EndObject().Key("warnings").BeginList();
  for (const std::string& warning : report.warnings) json.String(warning);
  json.EndList().Key("faults").BeginList();
  for (const DatasetFault& fault : report.faults) {
    json.BeginObject().Key("file").String(fault.file).Key("line").Integer(fault.line);
    json.Key("message").String(fault.message).EndObject();
  }
  json.EndList().EndObject();
  return std::move(json).Finish();
}

int RunCheck(const CheckArguments& arguments, const std::atomic<bool>& interrupted) {
  const std::string uri = DatasetUri(arguments.dataset);
  if (!arguments.sheet.empty()) {
    if (const absl::Status status = CheckPngPath(arguments.sheet); !status.ok()) {
      return ReportError(status);
    }
  }
  ProgressLine progress("checking");
  const auto report = datasets::CheckDataset(
      uri, [&progress](int64_t done, int64_t total) { progress.Show(done, total); },
      [&interrupted] { return interrupted.load(); });
  if (!report.ok()) return ReportError(report.status());
  std::fputs((arguments.format == "json" ? FormatJson : FormatText)(uri, *report).c_str(), stdout);
  if (!arguments.sheet.empty()) {
    SheetArguments sheet;
    sheet.dataset = uri;
    sheet.out = arguments.sheet;
    for (const SplitSummary& split : report->splits) {  // The first split that has frames.
      if (split.frames == 0) continue;
      sheet.split = split.name;
      break;
    }
    // Frames with faults stay empty; a dataset that cannot be opened at all has no sheet.
    if (const absl::Status status = DrawSheet(sheet); !status.ok()) return ReportError(status);
  }
  return report->faults.empty() ? kDone : kBadInput;
}

}  // namespace

void AddCheckCommand(CLI::App& dataset, CommandContext& context) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* check = dataset.add_subcommand(
      "check", "Read every file of a dataset; list all faults, or print counts and digest.");
  check->add_option("dataset", arguments->dataset, "DIR, kitti:DIR[?...] or rendered:PROFILE[?...]")
      ->required();
  AddFormatOption(*check, arguments->format);
  check->add_option("--contact-sheet", arguments->sheet,
                    "PNG to draw of the first frames: image, disparity, boxes, bird's-eye view");
  check->footer(
      "Examples:\n"
      "  backfire vision dataset check data\n"
      "  backfire vision dataset check 'kitti:/data/kitti?train=train&validation=&test=val' "
      "--contact-sheet sheet.png\n"
      "  backfire vision dataset check rendered:tiny --format json\n"
      "Exit codes: 0 sound; 2 there are faults (each is listed with file and line), or it is no "
      "dataset; 130 interrupted.");
  check->callback([arguments, &context] {
    context.run = [arguments, &context] { return RunCheck(*arguments, *context.interrupted); };
  });
}

}  // namespace backfire::vision
