#include "tests/parity/formula.h"

#include <ATen/ops/empty.h>

#include "services/base/random.h"

namespace backfire::parity {

uint32_t Crc32(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

torch::Tensor FormulaU(const std::string& name, torch::IntArrayRef shape) {
  torch::Tensor values = at::empty(shape, torch::TensorOptions().dtype(torch::kFloat64));
  const uint64_t base = uint64_t{Crc32(name)} << 32;
  auto* out = values.data_ptr<double>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    out[i] = static_cast<double>(SplitMix64(base + static_cast<uint64_t>(i)) >> 11) * 0x1p-53;
  }
  return values;
}

torch::Tensor FormulaV(const std::string& name, torch::IntArrayRef shape) {
  return FormulaU(name, shape).mul_(2).sub_(1);
}

}  // namespace backfire::parity
