// processor-probe: whether the kernels that the environment asks for run on this processor, are the
// ones in use, and compute right. Prints them and exits 0; else says why not and exits 1. A kernel
// that the processor can't run may end it by a signal. Run by test_processors.py before the tests
// run with the same environment.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "services/base/random.h"
#include "services/learning/fingerprint.h"

namespace backfire {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string Asked(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : Lower(value);
}

// Instruction sets by the names that kernels are asked for by; true for names without one.
bool ProcessorHas(const std::string& set) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  const bool avx512 =
      avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0;
  if (set == "sse41") return __builtin_cpu_supports("sse4.1") != 0;
  if (set == "avx2" || set == "haswell" || set == "zen") return avx2;
  if (set == "avx512" || set == "avx512_core" || set == "skylakex") return avx512;
  if (set == "sapphirerapids") return avx512 && __builtin_cpu_supports("avx512bf16") != 0;
  return true;
#else
  return set.empty() || set == "default" || set == "all";
#endif
}

// Why the environment's wishes can't be had, or nothing.
std::optional<std::string> Refusal() {
  for (const char* variable : {"ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "DNNL_MAX_CPU_ISA"}) {
    if (!ProcessorHas(Asked(variable))) {
      return std::string("this processor can't run ") + variable + "=" + std::getenv(variable);
    }
  }
  const std::string core = Asked("OPENBLAS_CORETYPE"), used = Lower(learning::BlasKernels());
  // Built by a compiler without AMX, OpenBLAS has Cooper Lake's kernels for Sapphire Rapids.
  const bool stands_in = core == "sapphirerapids" && used == "cooperlake";
  if (!core.empty() && used != core && !stands_in) {
    return "this BLAS has no kernels for " + core + ": it uses " +
           (used.empty() ? "its own" : used);
  }
  const std::string capability = Asked("ATEN_CPU_CAPABILITY");
  const std::string config = Lower(at::show_config());
  if (!capability.empty() && capability != "default" &&
      config.find("cpu capability usage: " + capability) == std::string::npos) {
    return "this LibTorch has no kernels for " + capability;
  }
  return std::nullopt;
}

at::Tensor Numbers(at::IntArrayRef shape, at::ScalarType type, Random& random) {
  const at::Tensor tensor = at::empty(shape, at::kDouble);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.data_ptr<double>()[i] = random.Uniform(-1, 1);
  return tensor.to(type);
}

double Epsilon(at::ScalarType type) { return type == at::kFloat ? 1.2e-7 : 2.3e-16; }

// The largest error of `product`, [M, N], against plain loops in double, in units of what rounding
// may do to a sum of as many terms.
double ProductError(const at::Tensor& a, const at::Tensor& b, const at::Tensor& product) {
  const at::Tensor x = a.to(at::kDouble).contiguous(), y = b.to(at::kDouble).contiguous(),
                   z = product.to(at::kDouble).contiguous();
  const int64_t rows = x.size(0), inner = x.size(1), columns = y.size(1);
  double worst = 0;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0, size = 1e-30;
      for (int64_t k = 0; k < inner; ++k) {
        const double term =
            x.data_ptr<double>()[i * inner + k] * y.data_ptr<double>()[k * columns + j];
        sum += term;
        size += std::abs(term);
      }
      const double error = std::abs(z.data_ptr<double>()[i * columns + j] - sum);
      const double bound = Epsilon(a.scalar_type()) * static_cast<double>(inner + 1) * size;
      worst = std::max(worst, std::isfinite(error) ? error / bound : HUGE_VAL);
    }
  }
  return worst;
}

// Matrix products of many shapes, plain and transposed.
std::optional<std::string> WrongProduct() {
  Random random(1);
  const std::array<int64_t, 11> sizes = {1, 2, 3, 5, 8, 13, 16, 31, 64, 97, 160};
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (int repeat = 0; repeat < 150; ++repeat) {
      const auto size = [&] { return sizes[static_cast<size_t>(random.Below(11))]; };
      const int64_t rows = size(), inner = size(), columns = size();
      const bool a_turned = random.Below(2) == 1, b_turned = random.Below(2) == 1;
      const at::Tensor a = a_turned ? Numbers({inner, rows}, type, random).t()
                                    : Numbers({rows, inner}, type, random);
      const at::Tensor b = b_turned ? Numbers({columns, inner}, type, random).t()
                                    : Numbers({inner, columns}, type, random);
      const double error = ProductError(a, b, at::matmul(a, b));
      const double by_vector =
          ProductError(a, b.narrow(1, 0, 1), at::mv(a, b.select(1, 0)).unsqueeze(1));
      if (error <= 1 && by_vector <= 1) continue;
      return "its BLAS is wrong: a product of " + std::to_string(rows) + " x " +
             std::to_string(inner) + " and " + std::to_string(inner) + " x " +
             std::to_string(columns) + (type == at::kFloat ? " floats" : " doubles") +
             " is off by " + std::to_string(std::max(error, by_vector)) +
             " times what rounding explains";
    }
  }
  return std::nullopt;
}

// A convolution, which on a CPU is oneDNN's, against plain loops.
std::optional<std::string> WrongConvolution() {
  Random random(2);
  const int64_t channels = 19, filters = 21, side = 12;
  const at::Tensor image = Numbers({2, channels, side, side}, at::kFloat, random),
                   weight = Numbers({filters, channels, 3, 3}, at::kFloat, random);
  const at::Tensor result = at::conv2d(image, weight);
  // Each output is a product of a window's row and the filters.
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t y = 0; y < side - 2; ++y) {
      for (int64_t x = 0; x < side - 2; ++x) {
        const at::Tensor window =
            image[n].slice(1, y, y + 3).slice(2, x, x + 3).reshape({1, channels * 9});
        const at::Tensor here = result[n].select(2, x).select(1, y).unsqueeze(0);
        if (ProductError(window, weight.reshape({filters, channels * 9}).t(), here) > 4) {
          return "its convolutions are wrong";
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace
}  // namespace backfire

int main() {
  for (const auto check : {backfire::Refusal, backfire::WrongProduct, backfire::WrongConvolution}) {
    if (const std::optional<std::string> fault = check()) {
      std::printf("%s\n", fault->c_str());
      return 1;
    }
  }
  std::printf("%s\n", backfire::learning::KernelNames().c_str());
  return 0;
}
