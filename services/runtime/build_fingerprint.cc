#include "services/runtime/build_fingerprint.h"

#include "services/base/digest.h"
#include "services/base/loaded_libraries.h"

namespace backfire::runtime {

std::string BuildFingerprint() {
  Sha256 digest;
  digest.UpdateField(kComputationDigest);
  // CUDA's libraries are LibTorch's companions; image decoders decide what a network sees.
  for (const std::string& library :
       LoadedLibraries({"libtorch", "libc10", "libcudart", "libcublas", "libcudnn", "libdnnl",
                        "libmkl", "libopenblas", "libblas", "liblapack", "libsleef", "libgomp",
                        "libopencv_core", "libopencv_imgproc", "libopencv_imgcodecs",
                        "libopencv_calib3d", "libjpeg", "libpng", "libm."})) {
    digest.UpdateField(library);
  }
  return digest.Finish();
}

}  // namespace backfire::runtime
