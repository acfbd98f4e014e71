#include "services/detection/point_rcnn/proposal_layer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "services/detection/point_rcnn/box_coding.h"
#include "services/detection/point_rcnn/box_kernels.h"

namespace backfire::detection {
namespace {

constexpr double kNearShare = 0.7;
constexpr float kNearM = 40, kFarM = 80;
constexpr float kRoiMarginM = 1;  // RoIs grow by it to every side.
constexpr float kRoiReachM = 10;  // Points farther than this from a RoI's centre are never its.
constexpr double kForeground = 0.3;
constexpr double kDepthScaleM = 70;

}  // namespace

at::Tensor SegmentationMask(const at::Tensor& scores) {
  return (at::sigmoid(scores) > kForeground).to(at::kFloat);
}

at::Tensor NormalisedDepth(const at::Tensor& xyz) {
  return (xyz * xyz).sum(1).sqrt() / kDepthScaleM - 0.5;
}

at::Tensor DecodeProposals(const at::Tensor& xyz, const at::Tensor& regression,
                           const std::array<float, 3>& mean_size) {
  at::Tensor boxes = DecodeBoxes(xyz, regression, kProposalCoding, mean_size);
  boxes.select(1, 1).add_(boxes.select(1, 3) / 2);  // From the centre to the bottom.
  return boxes;
}

Proposals SelectProposals(const at::Tensor& boxes, const at::Tensor& scores,
                          const ProposalLimits& limits) {
  const at::Tensor order = std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/0,
                                                /*descending=*/true));
  const at::Tensor ranked = boxes.index_select(0, order).to(at::kCPU).contiguous();
  const at::Tensor ranked_scores = scores.index_select(0, order).to(at::kCPU).contiguous();
  const auto* rows = ranked.data_ptr<float>();
  std::vector<int64_t> near, far;
  for (int64_t i = 0; i < ranked.size(0); ++i) {
    const float z = rows[i * kBoxColumns + 2];
    if (z > 0 && z <= kNearM) near.push_back(i);
    if (z > kNearM && z <= kFarM) far.push_back(i);
  }
  const auto near_before = static_cast<int64_t>(kNearShare * static_cast<double>(limits.before));
  const auto near_after = static_cast<int64_t>(kNearShare * static_cast<double>(limits.after));
  if (far.empty() && static_cast<int64_t>(near.size()) > near_before) {
    far.assign(near.begin() + static_cast<std::ptrdiff_t>(near_before), near.end());
  }

  std::vector<int64_t> kept;
  const auto select = [&](std::vector<int64_t> candidates, int64_t before, int64_t after) {
    candidates.resize(std::min<size_t>(candidates.size(), static_cast<size_t>(before)));
    std::vector<float> table;
    table.reserve(candidates.size() * static_cast<size_t>(kBoxColumns));
    for (const int64_t i : candidates) {
      table.insert(table.end(), rows + i * kBoxColumns, rows + (i + 1) * kBoxColumns);
    }
    for (const int64_t i : SuppressAligned(table.data(), static_cast<int64_t>(candidates.size()),
                                           static_cast<float>(limits.threshold), after)) {
      kept.push_back(candidates[static_cast<size_t>(i)]);
    }
  };
  select(near, near_before, near_after);
  select(far, limits.before - near_before, limits.after - near_after);
  const at::Tensor index = at::tensor(kept, at::kLong);
  return {ranked.index_select(0, index), ranked_scores.index_select(0, index)};
}

Proposals ProposeBoxes(const at::Tensor& xyz, const at::Tensor& scores,
                       const at::Tensor& regression, const std::array<float, 3>& mean_size,
                       const ProposalLimits& limits) {
  return SelectProposals(DecodeProposals(xyz, regression, mean_size), scores, limits);
}

RoiPoints PoolRois(const at::Tensor& xyz, const at::Tensor& mask, const at::Tensor& depth,
                   const at::Tensor& features, const at::Tensor& rois, int64_t limit) {
  const int64_t count = rois.size(0);
  const at::Tensor points = xyz.to(at::kCPU).contiguous(), boxes = rois.contiguous();
  const PointColumns columns(points.data_ptr<float>(), points.size(0));
  const auto* box = boxes.data_ptr<float>();
  std::vector<std::vector<int64_t>> inside(static_cast<size_t>(count));
  RoiPoints result;
  result.counts.resize(static_cast<size_t>(count));
  at::parallel_for(0, count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float grown[kBoxColumns];
      std::copy_n(box + r * kBoxColumns, kBoxColumns, grown);
      grown[1] += kRoiMarginM;
      for (int i = 3; i < 6; ++i) grown[i] += 2 * kRoiMarginM;
      inside[static_cast<size_t>(r)] =
          PointsInBox(columns, grown, kRoiReachM, limit, &result.counts[static_cast<size_t>(r)]);
    }
  });

  // An empty RoI reads the row after the last, which holds zeros.
  std::vector<int64_t> index, roi_of_row;
  result.clouds.start.push_back(0);
  for (int64_t r = 0; r < count; ++r) {
    std::vector<int64_t>& rows = inside[static_cast<size_t>(r)];
    if (rows.empty()) rows.push_back(points.size(0));
    index.insert(index.end(), rows.begin(), rows.end());
    roi_of_row.insert(roi_of_row.end(), rows.size(), r);
    result.clouds.start.push_back(static_cast<int64_t>(index.size()));
  }
  const at::Tensor rows = at::tensor(index, at::kLong).to(xyz.device());
  const auto pick = [&](const at::Tensor& table) {
    const at::Tensor padded = at::cat({table, at::zeros({1, table.size(1)}, table.options())});
    return padded.index_select(0, rows);
  };
  const at::Tensor roi = boxes.index_select(0, at::tensor(roi_of_row, at::kLong)).to(xyz.device());
  const at::Tensor offset = pick(xyz) - roi.narrow(1, 0, 3);
  const at::Tensor cos = roi.select(1, 6).cos(), sin = roi.select(1, 6).sin();
  const at::Tensor dx = offset.select(1, 0), dz = offset.select(1, 2);
  result.clouds.xyz = at::stack({dx * cos - dz * sin, offset.select(1, 1), dx * sin + dz * cos}, 1);
  result.extra = pick(at::stack({mask, depth}, 1));
  result.features = pick(features);
  return result;
}

RoiPoints JoinRois(const std::vector<RoiPoints>& parts) {
  RoiPoints joined;
  joined.clouds.start.push_back(0);
  std::vector<at::Tensor> xyz, extra, features;
  for (const RoiPoints& part : parts) {
    const int64_t base = joined.clouds.start.back();
    for (size_t i = 1; i < part.clouds.start.size(); ++i) {
      joined.clouds.start.push_back(base + part.clouds.start[i]);
    }
    xyz.push_back(part.clouds.xyz);
    extra.push_back(part.extra);
    features.push_back(part.features);
    joined.counts.insert(joined.counts.end(), part.counts.begin(), part.counts.end());
  }
  joined.clouds.xyz = at::cat(xyz);
  joined.extra = at::cat(extra);
  joined.features = at::cat(features);
  return joined;
}

}  // namespace backfire::detection
