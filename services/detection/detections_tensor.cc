#include "services/detection/detections_tensor.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::detection {

using metrics::Object;

runtime::Tensor DetectionsToTensor(const std::vector<Object>& detections) {
  std::vector<const Object*> ranked;
  for (const Object& detection : detections) ranked.push_back(&detection);
  std::stable_sort(ranked.begin(), ranked.end(), [](const Object* a, const Object* b) {
    return a->score.value_or(0) > b->score.value_or(0);
  });
  runtime::Tensor tensor = runtime::MakeTensor(
      runtime::Datatype::kFp32, {static_cast<int64_t>(ranked.size()), kDetectionColumns});
  float* row = tensor.MutableAs<float>();
  for (const Object* detection : ranked) {
    const metrics::Box2d& image = detection->box_2d;
    const metrics::Box3d& box = detection->box_3d;
    for (const double value :
         {image.left, image.top, image.right, image.bottom, box.height, box.width, box.length,
          box.x, box.y, box.z, box.rotation_y, detection->score.value_or(0)}) {
      *row++ = static_cast<float>(value);
    }
  }
  return tensor;
}

absl::StatusOr<std::vector<Object>> DetectionsFromTensor(const runtime::Tensor& tensor,
                                                         const std::string& type) {
  if (tensor.datatype != runtime::Datatype::kFp32 || tensor.shape.size() != 2 ||
      tensor.shape[0] < 0 || tensor.shape[1] != kDetectionColumns ||
      tensor.data.size() != static_cast<size_t>(tensor.ElementCount()) * sizeof(float)) {
    return absl::InvalidArgumentError(
        absl::StrCat("detections must be FP32 [N, ", kDetectionColumns, "]: got ",
                     std::string(runtime::DatatypeName(tensor.datatype)), " [",
                     absl::StrJoin(tensor.shape, ", "), "] of ", tensor.data.size(), " bytes"));
  }
  std::vector<Object> detections;
  const float* row = tensor.As<float>();
  for (int64_t i = 0; i < tensor.shape[0]; ++i, row += kDetectionColumns) {
    Object detection;
    detection.type = type;
    detection.box_2d = {row[0], row[1], row[2], row[3]};
    detection.box_3d = {row[4], row[5], row[6], row[7], row[8], row[9], row[10]};
    detection.alpha = std::remainder(row[10] - std::atan2(row[7], row[9]), 6.283185307179586476925);
    detection.score = row[11];
    detections.push_back(std::move(detection));
  }
  return detections;
}

}  // namespace backfire::detection
