#include "services/detection/detector_inputs.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"
#include "services/detection/detections_tensor.h"
#include "services/learning/torch_tensor.h"

namespace backfire::detection {
namespace {

using runtime::Tensor;

absl::Status CheckMatrix(const Tensor& tensor, const std::string& name, int64_t least_columns,
                         int64_t most_columns) {
  if (tensor.datatype == runtime::Datatype::kFp32 && tensor.shape.size() == 2 &&
      tensor.shape[0] >= 0 && tensor.shape[1] >= least_columns && tensor.shape[1] <= most_columns &&
      tensor.data.size() == static_cast<size_t>(tensor.ElementCount()) * sizeof(float)) {
    return learning::CheckFinite(tensor, name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("input \"", name, "\" must be FP32 [N, ", least_columns,
                   least_columns == most_columns ? "" : absl::StrCat(" or ", most_columns),
                   "]: got ", std::string(runtime::DatatypeName(tensor.datatype)), " [",
                   absl::StrJoin(tensor.shape, ", "), "]"));
}

}  // namespace

absl::StatusOr<PointCloudView> ViewPointCloud(const Tensor& points) {
  BACKFIRE_RETURN_IF_ERROR(CheckMatrix(points, "points", 3, 4));
  return PointCloudView{points.As<float>(), points.shape[0], points.shape[1]};
}

absl::StatusOr<std::vector<Proposal>> ReadProposals(const Tensor& boxes_2d, int proposal_class) {
  BACKFIRE_RETURN_IF_ERROR(CheckMatrix(boxes_2d, "boxes_2d", kProposalColumns, kProposalColumns));
  std::vector<Proposal> proposals;
  for (int64_t i = 0; i < boxes_2d.shape[0]; ++i) {
    const float* row = boxes_2d.As<float>() + i * kProposalColumns;
    if (std::lround(row[5]) != proposal_class) continue;
    proposals.push_back({{row[0], row[1], row[2], row[3]}, row[4]});
  }
  return proposals;
}

absl::StatusOr<DetectorInputs> ReadDetectorInputs(const runtime::TensorMap& inputs,
                                                  int proposal_class) {
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor* points, runtime::FindTensor(inputs, "points"));
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor* boxes_2d, runtime::FindTensor(inputs, "boxes_2d"));
  BACKFIRE_ASSIGN_OR_RETURN(const Tensor* tensor, runtime::FindTensor(inputs, "calibration"));
  DetectorInputs read;
  BACKFIRE_ASSIGN_OR_RETURN(read.points, ViewPointCloud(*points));
  BACKFIRE_ASSIGN_OR_RETURN(read.proposals, ReadProposals(*boxes_2d, proposal_class));
  const auto calibration = datasets::CalibrationFromTensor(*tensor);
  if (!calibration.ok()) return Annotate(calibration.status(), "input \"calibration\"");
  read.calibration = *calibration;
  return read;
}

}  // namespace backfire::detection
