#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <opencv2/core.hpp>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/stereo_dataset.h"
#include "services/pointcloud/lidar.h"
#include "services/vision/commands.h"
#include "services/vision/disparity_of_points.h"
#include "services/vision/view_page.h"

namespace backfire::vision {
namespace {

struct DrawArguments {
  std::string dataset, split = "test", out, velodyne;
  int64_t example = 0;
};

absl::Status Draw(const DrawArguments& arguments) {
  BACKFIRE_RETURN_IF_ERROR(CheckPngPath(arguments.out));
  BACKFIRE_ASSIGN_OR_RETURN(const runtime::Split split, runtime::ParseSplit(arguments.split));
  BACKFIRE_ASSIGN_OR_RETURN(const auto dataset,
                            datasets::OpenStereoDataset(DatasetUri(arguments.dataset),
                                                        runtime::DatasetAccess::Unlimited()));
  PageContent content;
  BACKFIRE_ASSIGN_OR_RETURN(content.left, dataset->LeftImage(split, arguments.example));
  BACKFIRE_ASSIGN_OR_RETURN(content.calibration, dataset->Calibration(split, arguments.example));
  auto labels = dataset->Labels(split, arguments.example);
  if (labels.ok()) {
    content.labels = *std::move(labels);
  } else if (!absl::IsNotFound(labels.status())) {
    return labels.status();
  }
  PageLayer layer;
  auto disparity = dataset->Disparity(split, arguments.example);
  if (disparity.ok()) {
    layer.disparity = *disparity;
  } else if (absl::IsNotFound(disparity.status())) {  // Real KITTI's object set has none.
    layer.disparity = cv::Mat(content.left.size(), CV_32FC1, cv::Scalar(0));
  } else {
    return disparity.status();
  }
  layer.points = PointsOfDisparity(layer.disparity, content.calibration);
  if (!arguments.velodyne.empty()) {
    const std::string id = dataset->ExampleId(split, arguments.example);
    const std::filesystem::path folder = arguments.velodyne;
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<float> sweep,
                              pointcloud::ReadLidar(folder / "velodyne" / (id + ".bin"),
                                                    folder / "calib" / (id + ".txt")));
    const std::vector<float> lidar = pointcloud::ApplyLimits(sweep, content.calibration, {});
    layer.points.clear();
    for (size_t i = 0; i < lidar.size(); i += 4) {
      layer.points.emplace_back(lidar[i], lidar[i + 1], lidar[i + 2]);
    }
    layer.disparity = DisparityOfPoints(layer.points, content.left.size(), content.calibration);
  }
  content.layers.push_back(std::move(layer));
  content.title = absl::StrCat("frame ", dataset->ExampleId(split, arguments.example), " (",
                               arguments.split, " ", arguments.example, ")");
  return datasets::WriteRgbImage(arguments.out, DrawPage(content));
}

}  // namespace

absl::Status DrawExample(const std::string& dataset, const std::string& split, int64_t example,
                         const std::string& out) {
  DrawArguments arguments;
  arguments.dataset = dataset;
  arguments.split = split;
  arguments.example = example;
  arguments.out = out;
  return Draw(arguments);
}

void AddDrawCommand(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<DrawArguments>();
  CLI::App* draw = app.add_subcommand("draw", "Draw a frame of a dataset with its ground truth.");
  draw->add_option("--dataset", arguments->dataset,
                   "DIR, kitti:DIR[?...] or rendered:PROFILE[?...]")
      ->required();
  draw->add_option("--split", arguments->split, "train, validation or test")->capture_default_str();
  draw->add_option("--example", arguments->example, "Which of the split, from 0")
      ->capture_default_str();
  draw->add_option(
      "--velodyne", arguments->velodyne,
      "Show LiDAR points in place of the disparity's: a folder with KITTI's velodyne and "
      "calib, such as DIR/training");
  draw->add_option("--out", arguments->out, "PNG to write")->required();
  draw->footer(
      "Example: backfire-vision draw --dataset data --split test --example 3 --out x.png\n"
      "LiDAR: backfire-vision draw --dataset kitti --velodyne kitti/training --out x.png");
  draw->callback([arguments, &context] {
    context.run = [arguments] {
      if (const absl::Status status = Draw(*arguments); !status.ok()) return ReportError(status);
      std::printf("%s\n", arguments->out.c_str());
      return static_cast<int>(kDone);
    };
  });
}

}  // namespace backfire::vision
