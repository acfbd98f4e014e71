#include "services/disparity/stereo_batch.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/disparity/photometric.h"
#include "services/learning/torch_tensor.h"
#include "services/runtime/for_each_example.h"

namespace backfire::disparity {

using runtime::Split;

namespace {

// Which part of an image a crop shows, and how large.
struct View {
  double zoom = 1;
  double top = 0, left = 0;  // Pixels of the image.
  double misalignment = 0;   // Of the right image, downwards, pixels of the image.
};

View DrawView(const CropOptions& crop, int64_t rows, int64_t columns, Random& random) {
  View view;
  if (crop.geometric == 0) {
    view.top = static_cast<double>(random.Below(rows - crop.height + 1));
    view.left = static_cast<double>(random.Below(columns - crop.width + 1));
    return view;
  }
  const auto height = static_cast<double>(crop.height), width = static_cast<double>(crop.width);
  const double least =
      std::max(height / static_cast<double>(rows), width / static_cast<double>(columns));
  view.zoom = std::max(least, std::exp(crop.geometric * random.Uniform(-0.5, 0.5)));
  view.top = random.Uniform(0, static_cast<double>(rows) - height / view.zoom);
  view.left = random.Uniform(0, static_cast<double>(columns) - width / view.zoom);
  view.misalignment = crop.geometric * random.Uniform(-1, 1);
  return view;
}

// The part of an image that a view shows: without a copy where it is not zoomed.
cv::Mat See(const cv::Mat& image, const View& view, const CropOptions& crop, double offset) {
  const cv::Size size(static_cast<int>(crop.width), static_cast<int>(crop.height));
  if (crop.geometric == 0) {
    return image(cv::Rect({static_cast<int>(view.left), static_cast<int>(view.top)}, size));
  }
  // From a crop's pixel to the image's; disparities are not interpolated, as they jump at edges.
  const double back = 1 / view.zoom;
  const cv::Matx23d map(back, 0, view.left, 0, back, view.top + offset);
  cv::Mat seen;
  cv::warpAffine(
      image, seen, map, size,
      (image.type() == CV_32FC1 ? cv::INTER_NEAREST : cv::INTER_LINEAR) | cv::WARP_INVERSE_MAP,
      cv::BORDER_REPLICATE);
  return seen;
}

// Fills a patch of an image, FP32 [3, H, W], with its mean colour, as often as `probability`.
void HidePatch(double probability, Random& random, torch::Tensor image) {
  const double chance = random.Uniform();
  const auto side = [&](int64_t size) {
    return static_cast<int64_t>(random.Uniform(0.1, 0.35) * static_cast<double>(size));
  };
  const int64_t height = side(image.size(1)), width = side(image.size(2));
  const int64_t top = random.Below(image.size(1) - height + 1);
  const int64_t left = random.Below(image.size(2) - width + 1);
  if (chance >= probability) return;
  image.narrow(1, top, height).narrow(2, left, width) = image.mean({1, 2}, /*keepdim=*/true);
}

}  // namespace

absl::StatusOr<StereoTraining> ReadStereoTraining(const datasets::StereoDataset& dataset,
                                                  const CropOptions& crop,
                                                  runtime::JobContext& job) {
  StereoTraining data;
  const int64_t count = dataset.size(Split::kTrain);
  if (count == 0) return absl::FailedPreconditionError("the training split is empty");
  const auto read = [&](int64_t i) -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat left, dataset.LeftImage(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat right, dataset.RightImage(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat truth, dataset.Disparity(Split::kTrain, i));
    BACKFIRE_ASSIGN_OR_RETURN(const auto calibration, dataset.Calibration(Split::kTrain, i));
    if (left.rows < crop.height || left.cols < crop.width) {
      return absl::InvalidArgumentError(absl::StrCat(
          "recipe.parameters.crop_height and crop_width must not exceed the images: example ",
          dataset.ExampleId(Split::kTrain, i), " has ", left.rows, " x ", left.cols));
    }
    data.left.push_back(learning::ViewOf(datasets::ImageToTensor(left)).clone());
    data.right.push_back(learning::ViewOf(datasets::ImageToTensor(right)).clone());
    data.truth.push_back(torch::from_blob(truth.data, {truth.rows, truth.cols},
                                          {static_cast<int64_t>(truth.step1()), 1}, torch::kFloat32)
                             .clone());
    data.focal_times_baseline.push_back(
        static_cast<float>(calibration.focal_length_px() * calibration.baseline_m()));
    return absl::OkStatus();
  };
  BACKFIRE_RETURN_IF_ERROR(runtime::ForEachExample(count, "reading the dataset", job, read));
  return data;
}

StereoBatch MakeStereoBatch(const StereoTraining& data, const CropOptions& crop, int64_t seed,
                            int64_t step) {
  Random random(static_cast<uint64_t>(seed), static_cast<uint64_t>(step) + 1);
  StereoBatch batch;
  batch.left = torch::empty({crop.batch, 3, crop.height, crop.width});
  batch.right = torch::empty_like(batch.left);
  batch.truth = torch::empty({crop.batch, crop.height, crop.width});
  batch.focal_times_baseline = torch::empty({crop.batch});
  for (int64_t b = 0; b < crop.batch; ++b) {
    const auto i = static_cast<size_t>(random.Below(static_cast<int64_t>(data.left.size())));
    const int64_t rows = data.left[i].size(0), columns = data.left[i].size(1);
    const View view = DrawView(crop, rows, columns, random);
    const Photometric photometric(crop.photometric, random);
    const auto write = [&](const torch::Tensor& image, int side, const torch::Tensor& to) {
      const cv::Mat whole(static_cast<int>(rows), static_cast<int>(columns), CV_8UC3,
                          image.data_ptr());
      const cv::Mat seen = See(whole, view, crop, side == 0 ? 0 : view.misalignment);
      photometric.Write(seen.ptr(), static_cast<int64_t>(seen.step), crop.height, crop.width, side,
                        to[b].data_ptr<float>());
    };
    write(data.left[i], 0, batch.left);
    write(data.right[i], 1, batch.right);
    if (crop.occlusion > 0) HidePatch(crop.occlusion, random, batch.right[b]);
    const cv::Mat truth(static_cast<int>(rows), static_cast<int>(columns), CV_32FC1,
                        data.truth[i].data_ptr());
    cv::Mat to(static_cast<int>(crop.height), static_cast<int>(crop.width), CV_32FC1,
               batch.truth[b].data_ptr());
    See(truth, view, crop, 0).convertTo(to, CV_32FC1, view.zoom);
    batch.focal_times_baseline[b] = data.focal_times_baseline[i] * static_cast<float>(view.zoom);
  }
  return batch;
}

}  // namespace backfire::disparity
