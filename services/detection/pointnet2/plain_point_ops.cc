#include "services/detection/pointnet2/plain_point_ops.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace backfire::pointnet2::plain {
namespace {

// Rows of a distance matrix that are made at a time, so that it stays below some 64 MB.
int64_t RowsAtATime(int64_t columns) {
  return std::max<int64_t>(1, (1 << 24) / std::max<int64_t>(columns, 1));
}

// [a, b] of squared distances.
at::Tensor SquaredDistances(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor d = b.unsqueeze(0) - a.unsqueeze(1);
  const at::Tensor s = d * d;
  return (s.select(2, 0) + s.select(2, 1)) + s.select(2, 2);
}

}  // namespace

at::Tensor FarthestPoints(const at::Tensor& xyz, int64_t count) {
  const int64_t points = xyz.size(0);
  count = std::min(count, points);
  at::Tensor chosen = at::zeros({count}, xyz.options().dtype(at::kLong));
  at::Tensor nearest = at::full({points}, std::numeric_limits<float>::infinity(), xyz.options());
  const at::Tensor rank = at::arange(points, chosen.options());
  for (int64_t k = 1; k < count; ++k) {
    const at::Tensor last = xyz.index_select(0, chosen.narrow(0, k - 1, 1));
    nearest = at::minimum(nearest, SquaredDistances(last, xyz).squeeze(0));
    // argmax promises no order among equals.
    const at::Tensor next = at::where(nearest == nearest.max(), rank, points).min();
    chosen.select(0, k).copy_(next);
  }
  return chosen;
}

at::Tensor WithinRadius(const at::Tensor& xyz, const at::Tensor& centres, float radius,
                        int64_t samples) {
  const int64_t points = xyz.size(0);
  const at::Tensor rank = at::arange(points, xyz.options().dtype(at::kLong));
  const int64_t kept = std::min(samples, points);
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : centres.split(RowsAtATime(points))) {
    const at::Tensor ranks = at::where(SquaredDistances(part, xyz) < radius * radius, rank, points);
    parts.push_back(std::get<0>(ranks.topk(kept, 1, /*largest=*/false, /*sorted=*/true)));
  }
  at::Tensor index = at::full({centres.size(0), samples}, -1, rank.options());
  if (parts.empty()) return index;
  const at::Tensor found = at::cat(parts);
  index.narrow(1, 0, kept).copy_(at::where(found == points, at::full_like(found, -1), found));
  return index;
}

Nearest ThreeNearest(const at::Tensor& queries, const at::Tensor& known) {
  const int64_t kept = std::min<int64_t>(3, known.size(0));
  Nearest nearest;
  nearest.squared_distance =
      at::full({queries.size(0), 3}, std::numeric_limits<float>::infinity(), queries.options());
  nearest.index = at::zeros({queries.size(0), 3}, queries.options().dtype(at::kLong));
  if (queries.size(0) == 0 || kept == 0) return nearest;
  std::vector<at::Tensor> values, indices;
  const at::Tensor rank = at::arange(known.size(0), nearest.index.options());
  for (const at::Tensor& part : queries.split(RowsAtATime(known.size(0)))) {
    at::Tensor distance = SquaredDistances(part, known);
    // The smallest three times, since topk promises no order among equals.
    for (int64_t k = 0; k < kept; ++k) {
      const at::Tensor smallest = distance.amin(1, /*keepdim=*/true);
      const at::Tensor who =
          at::where(distance == smallest, rank, known.size(0)).amin(1, /*keepdim=*/true);
      values.push_back(smallest);
      indices.push_back(who);
      distance.scatter_(1, who, std::numeric_limits<float>::infinity());
    }
  }
  // values holds, for each part, its `kept` columns.
  std::vector<at::Tensor> value_rows, index_rows;
  for (size_t i = 0; i < values.size(); i += static_cast<size_t>(kept)) {
    const auto end = static_cast<std::ptrdiff_t>(i + static_cast<size_t>(kept));
    const auto begin = static_cast<std::ptrdiff_t>(i);
    value_rows.push_back(
        at::cat(std::vector<at::Tensor>(values.begin() + begin, values.begin() + end), 1));
    index_rows.push_back(
        at::cat(std::vector<at::Tensor>(indices.begin() + begin, indices.begin() + end), 1));
  }
  nearest.squared_distance.narrow(1, 0, kept).copy_(at::cat(value_rows));
  nearest.index.narrow(1, 0, kept).copy_(at::cat(index_rows));
  return nearest;
}

at::Tensor GroupMax(const at::Tensor& rows, const at::Tensor& start) {
  const int64_t groups = start.size(0) - 1;
  const at::Tensor sizes = start.narrow(0, 1, groups) - start.narrow(0, 0, groups);
  const at::Tensor group = at::repeat_interleave(sizes);
  const at::Tensor index = group.unsqueeze(1).expand_as(rows);
  return at::zeros({groups, rows.size(1)}, rows.options())
      .scatter_reduce(0, index, rows, "amax", /*include_self=*/false);
}

}  // namespace backfire::pointnet2::plain
