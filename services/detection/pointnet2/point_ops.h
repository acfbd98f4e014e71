#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace backfire::pointnet2 {

/// Several clouds, one after the other: cloud i has the rows start[i] to start[i + 1] of `xyz`.
struct Clouds {
  at::Tensor xyz;              ///< FP32 [rows, 3], metres, finite.
  std::vector<int64_t> start;  ///< [clouds + 1], rising; start[0] = 0.
  int64_t count() const { return static_cast<int64_t>(start.size()) - 1; }
};

/// Equally large clouds from FP32 [clouds, points, 3].
Clouds StackClouds(const at::Tensor& xyz);

/// Points around centres: group g has the entries start[g] to start[g + 1].
struct Groups {
  at::Tensor start;   ///< INT64 [groups + 1].
  at::Tensor index;   ///< INT64 [entries]: rows of the searched clouds.
  at::Tensor offset;  ///< FP32 [entries, 3]: the point minus its centre, metres.
};

/// A ball around each centre.
struct Ball {
  float radius = 0;      ///< Metres; points strictly nearer belong to it.
  int64_t samples = 0;   ///< At most so many, the first in the order of their indices.
  bool fill_up = false;  ///< Whether the first one is repeated until there are `samples`.
};

/// How centres are chosen.
struct Sampling {
  Clouds centres;
  at::Tensor index;            ///< INT64 [centres]: rows of the cloud that was sampled.
  std::vector<Groups> groups;  ///< One for each ball.
};

/// Chooses min(count, points) centres in every cloud by farthest-point sampling from its first
/// point on, and groups points around them. On a CPU by SearchableCloud, over threads, to the same
/// bits whatever their number; elsewhere by the operators of plain_point_ops.h. A ball without a
/// point holds the cloud's first.
/// @param in_farthest_order  The clouds are themselves the outcome of farthest-point sampling, of
///   which any beginning is its own: the first `count` are taken. Spares the search.
Sampling SampleAndGroup(const Clouds& clouds, int64_t count, const std::vector<Ball>& balls,
                        bool in_farthest_order);

/// Rows of `table` ([rows, channels], FP32) by `index` (INT64 [n]). Differentiable in `table`.
at::Tensor Gather(const at::Tensor& table, const at::Tensor& index);

/// The largest of each group's rows, by channel: [entries, channels] -> [groups, channels].
/// Differentiable; the gradient goes to the first of equals.
at::Tensor GroupMax(const at::Tensor& rows, const at::Tensor& start);

/// What interpolation needs of three nearest neighbours.
struct Neighbours {
  at::Tensor index;             ///< INT64 [queries, 3]: rows of the known clouds, nearest first.
  at::Tensor squared_distance;  ///< FP32 [queries, 3], square metres.
  at::Tensor weight;            ///< FP32 [queries, 3]: 1 / (distance + 1e-8), normalised.
};

/// The three points of cloud i of `known` that are nearest to each point of cloud i of `queries`.
Neighbours ThreeNearest(const Clouds& queries, const Clouds& known);

/// Weighted sums of three rows each: [known, channels] -> [queries, channels]. Differentiable in
/// `table`.
at::Tensor Interpolate(const at::Tensor& table, const Neighbours& neighbours);

/// max(0, table[index] + bias + offset . weight^T): the first layer of a group's network, its
/// features multiplied beforehand. Not differentiable. `table` [rows, channels] may be undefined.
at::Tensor GroupedLayer(const at::Tensor& table, const Groups& groups, const at::Tensor& weight,
                        const at::Tensor& bias);

}  // namespace backfire::pointnet2
