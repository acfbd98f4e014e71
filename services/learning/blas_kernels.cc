#include "services/learning/blas_kernels.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

#include "services/learning/fingerprint.h"

namespace backfire::learning {

void ChooseBlasKernels(char** argv) {
#if defined(__x86_64__)
  constexpr char kVariable[] = "OPENBLAS_CORETYPE", kUnknownProcessors[] = "Prescott";
  if (std::getenv(kVariable) != nullptr || BlasKernels() != kUnknownProcessors) return;
  if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0) return;
  std::error_code error;
  // By its own name, which is what lists of processes show.
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && setenv(kVariable, "Haswell", /*overwrite=*/1) == 0) execv(program.c_str(), argv);
  std::cerr << "OpenBLAS uses slow kernels, and can't be told to use others: "
            << std::strerror(errno) << "\n";
#else
  static_cast<void>(argv);
#endif
}

}  // namespace backfire::learning
