#pragma once

#include <cstdint>

namespace backfire::pointnet2 {

/// Loops over tables of features: `channels` floats a row. Each computes the rows [first, last) of
/// its result and writes nothing else, so that any split among threads gives the same bits.

/// out[r] = table[index[r]].
void GatherRows(const float* table, int64_t channels, const int64_t* index, int64_t first,
                int64_t last, float* out);

/// The gradient of GatherRows: out[t] = sum of rows[e] over the entries e (of `count`) whose index
/// is t, in rising order. With `weights`, rows[e / entries_per_row] * weights[e] instead: the
/// gradient of WeightedRows.
void SumRowsByTarget(const float* rows, int64_t channels, const int64_t* index, int64_t count,
                     const float* weights, int64_t entries_per_row, int64_t first, int64_t last,
                     float* out);

/// out[g] = the largest of rows start[g] to start[g + 1], by channel; which[g] is the row that it
/// came from, the first among equals. Empty groups give 0 from row -1. `which` may be null.
void GroupMaximum(const float* rows, int64_t channels, const int64_t* start, int64_t first,
                  int64_t last, float* out, int64_t* which);

/// The gradient of GroupMaximum for the rows of groups [first, last): zero but where `which`
/// points.
void SpreadToMaximum(const float* gradient, const int64_t* which, int64_t channels,
                     const int64_t* start, int64_t first, int64_t last, float* out);

/// out[r] = sum over k of weights[3 r + k] * table[index[3 r + k]].
void WeightedRows(const float* table, int64_t channels, const int64_t* index, const float* weights,
                  int64_t first, int64_t last, float* out);

/// The first layer of a grouped network, after its features have been multiplied point by point:
/// out[r] = max(0, table[index[r]] + bias + offset[r] . weights), where `weights` is [3, channels]
/// and `table` may be null (no features).
void GroupedLayer(const float* table, int64_t channels, const int64_t* index, const float* offset,
                  const float* weights, const float* bias, int64_t first, int64_t last, float* out);

}  // namespace backfire::pointnet2
