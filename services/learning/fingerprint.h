#pragma once

#include <string>

namespace backfire::learning {

/// OpenBLAS's name of the kernels that it chose for this processor, `SkylakeX`; empty where
/// LibTorch uses another BLAS.
std::string BlasKernels();

/// Which kernels LibTorch, its BLAS and oneDNN chose for this processor: `ATen AVX2, BLAS Haswell,
/// oneDNN 7` (the last is a value of dnnl_cpu_isa_t).
std::string KernelNames();

/// Whether oneDNN's kernels for this processor convolve in bfloat16: those for AVX-512 do. Where
/// LibTorch brings a oneDNN of its own, which can't be asked, the processor is.
bool ConvolvesInBfloat16();

/// LibTorch's version, how it was built, and KernelNames(): equal fingerprints give equal numbers
/// on a CPU.
std::string NumericFingerprint();

}  // namespace backfire::learning
