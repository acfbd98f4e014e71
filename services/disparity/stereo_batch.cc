#include "services/disparity/stereo_batch.h"

#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/disparity/photometric.h"
#include "services/learning/torch_tensor.h"

namespace backfire::disparity {

using runtime::Split;

absl::StatusOr<StereoTraining> ReadStereoTraining(const datasets::StereoDataset& dataset,
                                                  const CropOptions& crop,
                                                  runtime::JobContext& job) {
  StereoTraining data;
  const int64_t count = dataset.size(Split::kTrain);
  if (count == 0) return absl::FailedPreconditionError("the training split is empty");
  for (int64_t i = 0; i < count; ++i) {
    if (job.cancelled()) return absl::CancelledError("cancelled while reading the dataset");
    v1::Progress progress;
    progress.set_stage("reading the dataset");
    progress.set_step(i);
    progress.set_total_steps(count);
    job.Report(progress);
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
  }
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
    const int64_t top = random.Below(data.left[i].size(0) - crop.height + 1);
    const int64_t side = random.Below(data.left[i].size(1) - crop.width + 1);
    const Photometric photometric(crop.photometric, random);
    const auto write = [&](const torch::Tensor& image, int which, const torch::Tensor& to) {
      const int64_t row_bytes = image.stride(0);
      photometric.Write(image.data_ptr<uint8_t>() + top * row_bytes + 3 * side, row_bytes,
                        crop.height, crop.width, which, to[b].data_ptr<float>());
    };
    write(data.left[i], 0, batch.left);
    write(data.right[i], 1, batch.right);
    batch.truth[b].copy_(data.truth[i].narrow(0, top, crop.height).narrow(1, side, crop.width));
    batch.focal_times_baseline[b] = data.focal_times_baseline[i];
  }
  return batch;
}

}  // namespace backfire::disparity
