#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace backfire::benchmarks {

/// Suppression and RoI pooling from LibTorch's own operators alone.

/// Boxes [n, 7], surest first: which are kept.
std::vector<int64_t> PlainSuppress(const at::Tensor& boxes, double threshold, bool rotated);
/// [boxes, limit]: indices of points inside boxes grown by 1 m; `points` where there are no more.
at::Tensor PlainPoolRois(const at::Tensor& xyz, const at::Tensor& boxes, int64_t limit);

}  // namespace backfire::benchmarks
