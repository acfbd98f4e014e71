#pragma once

namespace backfire::learning {

/// Makes OpenBLAS use fast kernels on processors that are newer than it. When it is loaded,
/// OpenBLAS chooses kernels by the processor's model; for models that it doesn't know it takes
/// those for SSE3, which multiply at a tenth of the speed. If it did so on a processor with AVX2,
/// starts the program again with OPENBLAS_CORETYPE=Haswell in its environment; then this returns at
/// once, as it does if the environment names kernels, or LibTorch uses another BLAS. First thing in
/// a main.
/// @param argv  The program's arguments.
void ChooseBlasKernels(char** argv);

}  // namespace backfire::learning
