#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace backfire::graph {

/// The types of the elements of tensors, of those that the Open Inference Protocol has, that
/// services exchange: each element has one size. In the order of runtime::Datatype.
inline constexpr std::array<const char*, 13> kDatatypes = {
    "BOOL",  "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
    "INT32", "INT64", "FP16",   "BF16",   "FP32",   "FP64"};

inline bool IsDatatype(std::string_view name) {
  return std::any_of(kDatatypes.begin(), kDatatypes.end(), [&](auto one) { return one == name; });
}

}  // namespace backfire::graph
