#include "services/vision/eval_arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/base/command_line.h"
#include "services/base/status.h"

namespace backfire::vision {
namespace {

using metrics::ClassRules;

absl::StatusOr<ClassRules*> FindClass(absl::string_view name, std::vector<ClassRules>& classes) {
  for (ClassRules& one : classes) {
    if (absl::EqualsIgnoreCase(one.type, name)) return &one;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "no class \"", name,
      "\"; there are: ", absl::StrJoin(classes, ", ", [](std::string* text, const ClassRules& one) {
        absl::StrAppend(text, absl::AsciiStrToLower(one.type));
      })));
}

absl::StatusOr<double> ParsePositive(absl::string_view text) {
  double value = 0;
  if (absl::SimpleAtod(text, &value) && value > 0 && std::isfinite(value)) return value;
  return absl::InvalidArgumentError(absl::StrCat("must be a number > 0: got \"", text, "\""));
}

absl::Status ApplyIou(absl::string_view entry, std::vector<ClassRules>& classes) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(entry, absl::MaxSplits('=', 1));
  const std::pair<absl::string_view, absl::string_view> target =
      absl::StrSplit(parts.first, absl::MaxSplits(':', 1));
  BACKFIRE_ASSIGN_OR_RETURN(ClassRules * rules, FindClass(target.first, classes));
  BACKFIRE_ASSIGN_OR_RETURN(const double iou, ParsePositive(parts.second));
  if (iou >= 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be below 1, which no overlap exceeds: got ", parts.second));
  }
  const absl::string_view metric = target.second;
  if (!metric.empty() && metric != "image" && metric != "bev" && metric != "3d") {
    return absl::InvalidArgumentError(
        absl::StrCat("no metric \"", metric, "\"; there are: image, bev, 3d"));
  }
  if (metric.empty() || metric == "image") rules->iou_image = iou;
  if (metric.empty() || metric == "bev") rules->iou_birds_eye = iou;
  if (metric.empty() || metric == "3d") rules->iou_3d = iou;
  return absl::OkStatus();
}

absl::Status ApplyMaxDepth(absl::string_view entry, std::vector<ClassRules>& classes) {
  if (!absl::StrContains(entry, '=')) {
    BACKFIRE_ASSIGN_OR_RETURN(const double depth_m, ParsePositive(entry));
    for (ClassRules& one : classes) one.max_depth_m = depth_m;
    return absl::OkStatus();
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(entry, absl::MaxSplits('=', 1));
  BACKFIRE_ASSIGN_OR_RETURN(ClassRules * rules, FindClass(parts.first, classes));
  BACKFIRE_ASSIGN_OR_RETURN(rules->max_depth_m, ParsePositive(parts.second));
  return absl::OkStatus();
}

absl::StatusOr<DepthSlice> ParseDepthSlice(absl::string_view entry) {
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(entry, absl::MaxSplits('-', 1));
  DepthSlice slice;
  if (!absl::SimpleAtod(ends.first, &slice.min_m) || !(slice.min_m >= 0) ||
      !std::isfinite(slice.min_m)) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be MIN-MAX, with MIN a number >= 0: got \"", ends.first, "\""));
  }
  if (ends.second != "max") {
    BACKFIRE_ASSIGN_OR_RETURN(slice.max_m, ParsePositive(ends.second));
    if (*slice.max_m <= slice.min_m) {
      return absl::InvalidArgumentError("must be MIN-MAX, with MIN below MAX");
    }
  }
  slice.name = absl::StrCat("depth_", ends.first, "_", ends.second, "_m");
  return slice;
}

}  // namespace

void EvalSettings::AddTo(CLI::App& command, const std::string& examples) {
  threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  AddFormatOption(command, format);
  command
      .add_option("--bootstrap", resamples,
                  "Resamples of the " + examples + ", for standard errors and 95 % intervals")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  command.add_option("--seed", seed, "Of the resamples")->capture_default_str();
  command.add_option("--threads", threads, "Changes no result")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

absl::Status ApplyIous(const std::vector<std::string>& entries, std::vector<ClassRules>& classes) {
  for (const std::string& entry : entries) {
    BACKFIRE_RETURN_IF_ERROR(Annotate(ApplyIou(entry, classes), absl::StrCat("--iou ", entry)));
  }
  return absl::OkStatus();
}

absl::Status ApplyMaxDepths(const std::vector<std::string>& entries,
                            std::vector<ClassRules>& classes) {
  for (const std::string& entry : entries) {
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(ApplyMaxDepth(entry, classes), absl::StrCat("--max-depth ", entry)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DepthSlice>> ParseDepthSlices(const std::vector<std::string>& entries) {
  std::vector<DepthSlice> slices;
  for (const std::string& entry : entries) {
    auto slice = ParseDepthSlice(entry);
    if (!slice.ok()) return Annotate(slice.status(), absl::StrCat("--slices ", entry));
    slices.push_back(*std::move(slice));
  }
  return slices;
}

}  // namespace backfire::vision
