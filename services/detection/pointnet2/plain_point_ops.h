#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace backfire::pointnet2::plain {

/// The operators of point_ops.h from LibTorch's own, for devices that SearchableCloud can't reach,
/// and as a second opinion in tests and benchmarks. One cloud at a time. Squared distances are
/// summed as there, so that indices are the same.

/// [points, 3] -> INT64 [min(count, points)].
at::Tensor FarthestPoints(const at::Tensor& xyz, int64_t count);

/// INT64 [centres, samples]: the first points within the radius, in the order of their indices;
/// missing ones are -1.
at::Tensor WithinRadius(const at::Tensor& xyz, const at::Tensor& centres, float radius,
                        int64_t samples);

/// Squared distances FP32 [queries, 3] and indices INT64 [queries, 3], nearest first.
struct Nearest {
  at::Tensor squared_distance, index;
};
Nearest ThreeNearest(const at::Tensor& queries, const at::Tensor& known);

/// The largest of each group's rows, by channel.
at::Tensor GroupMax(const at::Tensor& rows, const at::Tensor& start);

}  // namespace backfire::pointnet2::plain
