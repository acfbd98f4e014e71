#include "services/datasets/stereo_dataset.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/datasets/dataset_sources.h"

namespace backfire::datasets {

absl::StatusOr<runtime::TensorMap> StereoDataset::RequestInputs(
    runtime::Split split, int64_t example, const std::vector<std::string>& names) const {
  runtime::TensorMap inputs;
  for (const std::string& name : names) {
    if (name == "left") {
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, LeftImage(split, example));
      inputs[name] = ImageToTensor(image);
    } else if (name == "right") {
      BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, RightImage(split, example));
      inputs[name] = ImageToTensor(image);
    } else if (name == "calibration") {
      BACKFIRE_ASSIGN_OR_RETURN(const StereoCalibration calibration, Calibration(split, example));
      inputs[name] = ToTensor(calibration);
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "a stereo dataset has left, right and calibration: it has no \"", name, "\""));
    }
  }
  return inputs;
}

absl::StatusOr<cv::Mat> StereoDataset::VisibleDisparity(runtime::Split split,
                                                        int64_t example) const {
  return absl::NotFoundError(
      absl::StrCat("frame ", ExampleId(split, example), " has no disp_noc_0"));
}

absl::StatusOr<std::vector<cv::Point3d>> StereoDataset::LidarPoints(runtime::Split split,
                                                                    int64_t example) const {
  return absl::NotFoundError(absl::StrCat("frame ", ExampleId(split, example), " has no scan"));
}

absl::StatusOr<cv::Size> StereoDataset::ImageSize(runtime::Split split, int64_t example) const {
  BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, LeftImage(split, example));
  return image.size();
}

absl::Status StereoDataset::CheckExample(runtime::Split split, int64_t example) const {
  if (example >= 0 && example < size(split)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("example must be in [0, ", size(split), ") of split ",
                   std::string(runtime::SplitName(split)), ": got ", example));
}

absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenStereoDataset(
    const std::string& uri, const runtime::DatasetAccess& access) {
  BACKFIRE_ASSIGN_OR_RETURN(const DatasetUri parsed, ParseDatasetUri(uri));
  if (parsed.scheme == "kitti") return OpenKittiDataset(uri, parsed, access);
  if (parsed.scheme == "rendered") return OpenRenderedDataset(uri, parsed);
  return MalformedUri(uri, absl::StrCat("no such scheme as ", parsed.scheme));
}

runtime::Tensor ImageToTensor(const cv::Mat& rgb) {
  runtime::Tensor tensor = runtime::MakeTensor(runtime::Datatype::kUint8, {rgb.rows, rgb.cols, 3});
  const size_t row_bytes = static_cast<size_t>(rgb.cols) * 3;
  for (int y = 0; y < rgb.rows; ++y) {
    std::memcpy(tensor.data.data() + row_bytes * y, rgb.ptr(y), row_bytes);
  }
  return tensor;
}

absl::StatusOr<cv::Mat> ImageFromTensor(const runtime::Tensor& tensor, const std::string& name) {
  constexpr int64_t kMaxSide = 1 << 15;
  const auto fits = [](int64_t side) { return side > 0 && side <= kMaxSide; };
  if (tensor.datatype != runtime::Datatype::kUint8 || tensor.shape.size() != 3 ||
      tensor.shape[2] != 3 || !fits(tensor.shape[0]) || !fits(tensor.shape[1]) ||
      tensor.data.size() != static_cast<size_t>(tensor.ElementCount())) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be UINT8 [H, W, 3] with sides of 1 to ", kMaxSide, ": got ",
                     std::string(runtime::DatatypeName(tensor.datatype)), " [",
                     absl::StrJoin(tensor.shape, ", "), "] of ", tensor.data.size(), " bytes"));
  }
  cv::Mat image(static_cast<int>(tensor.shape[0]), static_cast<int>(tensor.shape[1]), CV_8UC3);
  std::memcpy(image.data, tensor.data.data(), tensor.data.size());
  return image;
}

}  // namespace backfire::datasets
