#pragma once

#include <cstdint>

#include "services/disparity/interpolation.h"

namespace backfire::disparity {

/// Soft argmin of one example's costs, upsampled on the way and never stored: for each pixel of the
/// image, the expectation of 0 ... D - 1 under softmax(trilinearly upsampled scores).
struct SoftArgminGrid {
  int64_t planes = 0, height = 0, width = 0;   ///< Of the scores [planes, height, width].
  InterpolationAxis disparity, rows, columns;  ///< To D x H x W.
};

/// @param scores  [planes, height, width].
/// @param first_row, last_row  Rows of the image that this call computes: [first_row, last_row).
/// @param expected  [H, W]: written in these rows.
void SoftArgminRows(const SoftArgminGrid& grid, const float* scores, int64_t first_row,
                    int64_t last_row, float* expected);

/// Gradient with respect to the scores, interpolated to rows [first_row, last_row) of the image and
/// not yet summed over rows: row_gradient is [H, planes, width].
void SoftArgminRowsBackward(const SoftArgminGrid& grid, const float* scores, const float* expected,
                            const float* expected_gradient, int64_t first_row, int64_t last_row,
                            float* row_gradient);

/// Sums such rows: gradient [planes, height, width], zero before, for rows [first, last) of it.
void SumRowGradients(const SoftArgminGrid& grid, const float* row_gradient, int64_t first,
                     int64_t last, float* gradient);

}  // namespace backfire::disparity
