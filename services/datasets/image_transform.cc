#include "services/datasets/image_transform.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::datasets {
namespace {

using runtime::Split;

constexpr int kMaxSide = 8192;

absl::StatusOr<int> ParseInteger(absl::string_view text, int low, absl::string_view name) {
  int number;
  if (!absl::SimpleAtoi(text, &number) || number < low || number > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat(name, " takes whole numbers of ", low, " to ",
                                                   kMaxSide, ": got \"", text, "\""));
  }
  return number;
}

absl::StatusOr<cv::Size> ParseSize(absl::string_view text, absl::string_view name) {
  const std::vector<absl::string_view> sides = absl::StrSplit(text, 'x');
  if (sides.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be WIDTHxHEIGHT",
                                                   name == "crop" ? " or WIDTHxHEIGHT+X+Y" : "",
                                                   ": got \"", text, "\""));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const int width, ParseInteger(sides[0], 1, name));
  BACKFIRE_ASSIGN_OR_RETURN(const int height, ParseInteger(sides[1], 1, name));
  return cv::Size(width, height);
}

class TransformedDataset : public StereoDataset {
 public:
  TransformedDataset(std::shared_ptr<const StereoDataset> dataset, const ImageTransform& transform)
      : dataset_(std::move(dataset)), transform_(transform) {
    Sha256 digest;
    digest.UpdateField("transformed").UpdateField(dataset_->digest());
    digest_ = digest.UpdateField(FormatTransform(transform)).Finish();
  }

  const std::string& uri() const override { return dataset_->uri(); }
  const std::string& digest() const override { return digest_; }
  int64_t size(Split split) const override { return dataset_->size(split); }
  std::string ExampleId(Split split, int64_t example) const override {
    return dataset_->ExampleId(split, example);
  }
  std::string Cluster(Split split, int64_t example) const override {
    return dataset_->Cluster(split, example);
  }
  double height_scale() const override { return dataset_->height_scale(); }

  absl::StatusOr<cv::Mat> LeftImage(Split split, int64_t example) const override {
    return Image(split, example, &StereoDataset::LeftImage, TransformImage);
  }
  absl::StatusOr<cv::Mat> RightImage(Split split, int64_t example) const override {
    return Image(split, example, &StereoDataset::RightImage, TransformImage);
  }
  absl::StatusOr<cv::Mat> Disparity(Split split, int64_t example) const override {
    return Image(split, example, &StereoDataset::Disparity, TransformDisparity);
  }
  absl::StatusOr<cv::Mat> VisibleDisparity(Split split, int64_t example) const override {
    return Image(split, example, &StereoDataset::VisibleDisparity, TransformDisparity);
  }
  absl::StatusOr<cv::Size> ImageSize(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const FrameTransform frame, Frame(split, example));
    return frame.size;
  }
  absl::StatusOr<StereoCalibration> Calibration(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const FrameTransform frame, Frame(split, example));
    BACKFIRE_ASSIGN_OR_RETURN(const StereoCalibration calibration,
                              dataset_->Calibration(split, example));
    return TransformCalibration(frame, calibration);
  }
  absl::StatusOr<std::vector<metrics::Object>> Labels(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const FrameTransform frame, Frame(split, example));
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<metrics::Object> labels,
                              dataset_->Labels(split, example));
    return TransformLabels(frame, labels);
  }
  absl::StatusOr<std::vector<cv::Point3d>> LidarPoints(Split split,
                                                       int64_t example) const override {
    return dataset_->LidarPoints(split, example);
  }

 private:
  using Read = absl::StatusOr<cv::Mat> (StereoDataset::*)(Split, int64_t) const;
  absl::StatusOr<cv::Mat> Image(Split split, int64_t example, Read read,
                                cv::Mat (*change)(const FrameTransform&, const cv::Mat&)) const {
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, ((*dataset_).*read)(split, example));
    const auto frame = TransformFor(transform_, image.size());
    if (!frame.ok()) return Annotated(frame.status(), split, example);
    return change(*frame, image);
  }

  absl::StatusOr<FrameTransform> Frame(Split split, int64_t example) const {
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Size size, dataset_->ImageSize(split, example));
    auto frame = TransformFor(transform_, size);
    if (!frame.ok()) return Annotated(frame.status(), split, example);
    return frame;
  }

  absl::Status Annotated(const absl::Status& status, Split split, int64_t example) const {
    return Annotate(status, absl::StrCat("frame ", dataset_->ExampleId(split, example)));
  }

  const std::shared_ptr<const StereoDataset> dataset_;
  const ImageTransform transform_;
  std::string digest_;
};

}  // namespace

absl::StatusOr<bool> SetTransform(ImageTransform& transform, std::string_view name,
                                  std::string_view value) {
  const std::string text(value);
  if (name == "size") {
    BACKFIRE_ASSIGN_OR_RETURN(transform.size, ParseSize(text, "size"));
    return true;
  }
  if (name != "crop") return false;
  const std::vector<std::string> parts = absl::StrSplit(text, '+');
  if (parts.size() != 1 && parts.size() != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("crop must be WIDTHxHEIGHT or WIDTHxHEIGHT+X+Y: got \"", text, "\""));
  }
  BACKFIRE_ASSIGN_OR_RETURN(transform.crop, ParseSize(parts[0], "crop"));
  if (parts.size() == 3) {
    BACKFIRE_ASSIGN_OR_RETURN(const int x, ParseInteger(parts[1], 0, "crop"));
    BACKFIRE_ASSIGN_OR_RETURN(const int y, ParseInteger(parts[2], 0, "crop"));
    transform.crop_origin = cv::Point(x, y);
  }
  return true;
}

std::string FormatTransform(const ImageTransform& transform) {
  std::string text;
  if (transform.crop) {
    absl::StrAppend(&text, "crop=", transform.crop->width, "x", transform.crop->height);
    if (transform.crop_origin) {
      absl::StrAppend(&text, "+", transform.crop_origin->x, "+", transform.crop_origin->y);
    }
  }
  if (transform.size) {
    absl::StrAppend(&text, text.empty() ? "" : "&", "size=", transform.size->width, "x",
                    transform.size->height);
  }
  return text;
}

absl::StatusOr<FrameTransform> TransformFor(const ImageTransform& transform, cv::Size image) {
  FrameTransform frame;
  frame.window = {0, 0, image.width, image.height};
  if (transform.crop) {
    const cv::Size size = *transform.crop;
    const cv::Point origin = transform.crop_origin.value_or(
        cv::Point((image.width - size.width) / 2, image.height - size.height));
    if (origin.x < 0 || origin.y < 0 || origin.x + size.width > image.width ||
        origin.y + size.height > image.height) {
      return absl::InvalidArgumentError(absl::StrCat(
          FormatTransform({size, transform.crop_origin, std::nullopt}),
          " does not lie within an image of ", image.width, "x", image.height, " pixels"));
    }
    frame.window = {origin.x, origin.y, size.width, size.height};
  }
  frame.size = transform.size.value_or(frame.window.size());
  return frame;
}

cv::Mat TransformImage(const FrameTransform& transform, const cv::Mat& rgb) {
  const cv::Mat window = rgb(transform.window);
  if (transform.size == window.size()) return window.clone();
  cv::Mat resized;
  const bool smaller = transform.size.width < window.cols;
  cv::resize(window, resized, transform.size, 0, 0, smaller ? cv::INTER_AREA : cv::INTER_LINEAR);
  return resized;
}

cv::Mat TransformDisparity(const FrameTransform& transform, const cv::Mat& disparity) {
  const cv::Mat window = disparity(transform.window);
  cv::Mat resized(transform.size, CV_32FC1);
  const auto scale = static_cast<float>(transform.scale_x());
  for (int y = 0; y < resized.rows; ++y) {
    const auto from_y = static_cast<int>((y + 0.5) / transform.scale_y());
    const auto* row = window.ptr<float>(std::min(from_y, window.rows - 1));
    for (int x = 0; x < resized.cols; ++x) {
      const auto from_x = static_cast<int>((x + 0.5) / transform.scale_x());
      resized.at<float>(y, x) = scale * row[std::min(from_x, window.cols - 1)];
    }
  }
  return resized;
}

StereoCalibration TransformCalibration(const FrameTransform& transform,
                                       const StereoCalibration& calibration) {
  const StereoCalibration cut =
      ResizeAndCrop(calibration, 1, 1, transform.window.x, transform.window.y);
  return ResizeAndCrop(cut, transform.scale_x(), transform.scale_y(), 0, 0);
}

std::vector<metrics::Object> TransformLabels(const FrameTransform& transform,
                                             const std::vector<metrics::Object>& labels) {
  const auto move = [](double at, int origin, double scale) {
    return (at - origin + 0.5) * scale - 0.5;  // Pixel centres are at whole numbers.
  };
  std::vector<metrics::Object> moved;
  for (metrics::Object label : labels) {
    const metrics::Box2d box = {move(label.box_2d.left, transform.window.x, transform.scale_x()),
                                move(label.box_2d.top, transform.window.y, transform.scale_y()),
                                move(label.box_2d.right, transform.window.x, transform.scale_x()),
                                move(label.box_2d.bottom, transform.window.y, transform.scale_y())};
    label.box_2d = {std::max(box.left, 0.0), std::max(box.top, 0.0),
                    std::min(box.right, transform.size.width - 1.0),
                    std::min(box.bottom, transform.size.height - 1.0)};
    if (!(label.box_2d.width() > 0) || !(label.box_2d.height() > 0)) continue;
    const double kept = label.box_2d.width() * label.box_2d.height() / (box.width() * box.height());
    if (label.truncation >= 0) label.truncation = 1 - (1 - label.truncation) * kept;
    moved.push_back(std::move(label));
  }
  return moved;
}

std::shared_ptr<const StereoDataset> TransformDataset(std::shared_ptr<const StereoDataset> dataset,
                                                      const ImageTransform& transform) {
  if (transform.IsIdentity()) return dataset;
  return std::make_shared<TransformedDataset>(std::move(dataset), transform);
}

}  // namespace backfire::datasets
