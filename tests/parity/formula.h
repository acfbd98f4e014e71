#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace backfire::parity {

/// CRC-32 as zlib computes it (reflected polynomial 0xEDB88320).
uint32_t Crc32(std::string_view bytes);

/// The formula's numbers for a name: u(name, i) in [0, 1), i row-major. FP64 of that shape.
torch::Tensor FormulaU(const std::string& name, torch::IntArrayRef shape);
/// v = 2 u - 1, in [-1, 1).
torch::Tensor FormulaV(const std::string& name, torch::IntArrayRef shape);

}  // namespace backfire::parity
