#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/stereo_dataset.h"
#include "services/vision/commands.h"
#include "services/vision/contact_sheet.h"

namespace backfire::vision {
namespace {

// A file that real KITTI may lack: absent is fine.
template <typename T>
absl::Status Take(absl::StatusOr<T> value, T& destination) {
  if (value.ok()) destination = *std::move(value);
  return absl::IsNotFound(value.status()) ? absl::OkStatus() : value.status();
}

absl::Status ReadFrame(const datasets::StereoDataset& dataset, runtime::Split split,
                       int64_t example, SheetFrame& frame) {
  BACKFIRE_ASSIGN_OR_RETURN(frame.left, dataset.LeftImage(split, example));
  BACKFIRE_RETURN_IF_ERROR(Take(dataset.Calibration(split, example), frame.calibration));
  BACKFIRE_RETURN_IF_ERROR(Take(dataset.Labels(split, example), frame.labels));
  return Take(dataset.Disparity(split, example), frame.disparity);
}

}  // namespace

absl::Status DrawSheet(const SheetArguments& arguments) {
  BACKFIRE_RETURN_IF_ERROR(CheckPngPath(arguments.out));
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::Split split, runtime::ParseSplit(arguments.split));
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset,
                            datasets::OpenStereoDataset(DatasetUri(arguments.dataset),
                                                        runtime::DatasetAccess::Unlimited()));
  const int64_t end = std::min(arguments.first + arguments.count, dataset->size(split));
  if (arguments.first >= end) {
    return absl::InvalidArgumentError(absl::StrCat("--first must be below ", dataset->size(split),
                                                   ", the size of split ", arguments.split,
                                                   ": got ", arguments.first));
  }
  std::vector<SheetFrame> frames;
  for (int64_t i = arguments.first; i < end; ++i) {
    SheetFrame frame;
    frame.name = dataset->ExampleId(split, i);
    if (const absl::Status status = ReadFrame(*dataset, split, i, frame); !status.ok()) {
      frame.fault = std::string(status.message());
    }
    frames.push_back(std::move(frame));
  }
  const std::string title = absl::StrCat(arguments.split, " ", arguments.first, " to ", end - 1,
                                         " of ", dataset->size(split), ", with ground truth");
  return datasets::WriteRgbImage(
      arguments.out, DrawContactSheet(title, frames, arguments.columns, arguments.plain));
}

void AddContactSheetCommand(CLI::App& dataset, CommandContext& context) {
  auto arguments = std::make_shared<SheetArguments>();
  CLI::App* sheet =
      dataset.add_subcommand("contact-sheet", "Draw many frames of a dataset, small, in one PNG.");
  sheet->add_option("dataset", arguments->dataset, "DIR, kitti:DIR[?...] or rendered:PROFILE[?...]")
      ->required();
  sheet->add_option("--split", arguments->split, "train, validation or test")
      ->capture_default_str();
  sheet->add_option("--first", arguments->first, "First example, from 0")
      ->check(CLI::Range(0, 10000000))
      ->capture_default_str();
  sheet->add_option("--count", arguments->count, "How many at most")
      ->check(CLI::Range(1, 300))
      ->capture_default_str();
  sheet->add_option("--columns", arguments->columns, "Frames side by side")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  sheet->add_flag("--plain", arguments->plain,
                  "Only images and boxes, without disparity and bird's-eye view");
  sheet->add_option("--out", arguments->out, "PNG to write")->required();
  sheet->footer(
      "Examples:\n"
      "  backfire vision dataset contact-sheet data --split test --out sheet.png\n"
      "  backfire vision dataset contact-sheet rendered:tiny --plain --columns 3 --count 18 --out "
      "sheet.png");
  sheet->callback([arguments, &context] {
    context.run = [arguments] {
      const absl::Status status = DrawSheet(*arguments);
      if (!status.ok()) return ReportError(status);
      std::printf("%s\n", arguments->out.c_str());
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace backfire::vision
