#include "services/disparity/device_support.h"

#include "services/learning/fingerprint.h"

namespace backfire::disparity {

absl::Status CheckBfloat16(const torch::Device& device) {
  if (device.is_cuda() || learning::ConvolvesInBfloat16()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "recipe.parameters.precision must be float32 on this processor: its oneDNN kernels compute "
      "no convolutions in bfloat16, which take AVX-512");
}

absl::Status CheckChannelsLast(const torch::Device& device) {
  if (device.is_cuda() || learning::ConvolvesInBfloat16()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "recipe.parameters.layout must be plain on this processor: its oneDNN kernels, of before "
      "AVX-512, write beyond tensors whose channels come last");
}

}  // namespace backfire::disparity
