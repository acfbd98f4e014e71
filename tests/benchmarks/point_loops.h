#pragma once

#include <cstdint>
#include <vector>

namespace backfire::benchmarks {

/// What services/detection's operators compute, as anyone would write it first: loops over points,
/// one thread. Their answers are what ours must equal.

/// [samples]: farthest-point sampling from point 0.
std::vector<int64_t> LoopFarthestPoints(const std::vector<float>& xyz, int64_t samples);
/// [centres, samples]: the first within the radius; -1 where there are no more.
std::vector<int64_t> LoopWithinRadius(const std::vector<float>& xyz,
                                      const std::vector<float>& centres, float radius,
                                      int64_t samples);
/// [queries, 3], nearest first.
std::vector<int64_t> LoopThreeNearest(const std::vector<float>& queries,
                                      const std::vector<float>& known);
/// Rows of a table by index, and the sums of rows by the table's row that they came from.
std::vector<float> LoopGather(const std::vector<float>& table, int64_t channels,
                              const std::vector<int64_t>& index);
std::vector<float> LoopScatter(const std::vector<float>& rows, int64_t channels,
                               const std::vector<int64_t>& index, int64_t table_rows);
/// The largest of each group of `samples` rows, by channel.
std::vector<float> LoopGroupMax(const std::vector<float>& rows, int64_t channels, int64_t samples);
/// [queries, channels]: weighted sums of three rows.
std::vector<float> LoopInterpolate(const std::vector<float>& table, int64_t channels,
                                   const std::vector<int64_t>& index,
                                   const std::vector<float>& weight);
/// Boxes [n, 7], surest first: which are kept.
std::vector<int64_t> LoopSuppress(const std::vector<float>& boxes, double threshold, bool rotated);
/// For each box [7], the first `limit` points inside it, grown by 1 m.
std::vector<std::vector<int64_t>> LoopPoolRois(const std::vector<float>& xyz,
                                               const std::vector<float>& boxes, int64_t limit);

}  // namespace backfire::benchmarks
