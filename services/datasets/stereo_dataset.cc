#include "services/datasets/stereo_dataset.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::datasets {

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
