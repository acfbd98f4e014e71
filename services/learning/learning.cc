// Device, tensors and weights in one translation unit: LibTorch's headers cost more than the code.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <torch/cuda.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/learning/autocast.h"
#include "services/learning/device.h"
#include "services/learning/seeded.h"
#include "services/learning/state_dict.h"
#include "services/learning/torch_tensor.h"
#include "services/learning/weight_tensors.h"
#include "services/learning/weights.h"

// Absent where LibTorch was built with another BLAS, or with a oneDNN of its own.
extern "C" {
void openblas_set_num_threads(int threads) __attribute__((weak));
char* openblas_get_corename() __attribute__((weak));
int dnnl_get_effective_cpu_isa() __attribute__((weak));
}

namespace backfire::learning {
namespace {

// What weights are kept as; anything else is a network that can't be saved.
runtime::Datatype DatatypeOf(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kUInt8:
      return runtime::Datatype::kUint8;
    case torch::kInt64:
      return runtime::Datatype::kInt64;
    case torch::kFloat64:
      return runtime::Datatype::kFp64;
    default:
      TORCH_CHECK(tensor.scalar_type() == torch::kFloat32, "weights of type ", tensor.dtype());
      return runtime::Datatype::kFp32;
  }
}

torch::ScalarType ScalarTypeOf(runtime::Datatype datatype) {
  switch (datatype) {
    case runtime::Datatype::kUint8:
      return torch::kUInt8;
    case runtime::Datatype::kInt64:
      return torch::kInt64;
    case runtime::Datatype::kFp64:
      return torch::kFloat64;
    default:
      return torch::kFloat32;
  }
}

std::map<std::string, torch::Tensor> NamedTensors(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& parameter : module.named_parameters()) {
    tensors.emplace(parameter.key(), parameter.value());
  }
  for (const auto& buffer : module.named_buffers()) tensors.emplace(buffer.key(), buffer.value());
  return tensors;
}

template <typename T>
absl::Status CheckAllFinite(const T* values, int64_t count, const std::string& name) {
  for (int64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("input \"", name, "\": element ", i, " must be finite: got ", values[i]));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<torch::Device> ChooseDevice(const DeviceOptions& options) {
  if (options.device == "auto") {
    return torch::Device(torch::cuda::is_available() ? torch::kCUDA : torch::kCPU);
  }
  if (options.device == "cpu") return torch::Device(torch::kCPU);
  absl::string_view rest = options.device;
  int index = 0;
  if (!absl::ConsumePrefix(&rest, "cuda:") || !absl::SimpleAtoi(rest, &index) || index < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device must be auto, cpu or cuda:N: got \"", options.device, "\""));
  }
  if (index >= static_cast<int>(torch::cuda::device_count())) {
    return absl::InvalidArgumentError(absl::StrCat("--device: there is no ", options.device,
                                                   "; this machine has ",
                                                   torch::cuda::device_count(), " CUDA devices"));
  }
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
}

absl::Status CheckDevice(const std::string& device) { return ChooseDevice({device}).status(); }

std::string BlasKernels() {
  return openblas_get_corename == nullptr ? "" : openblas_get_corename();
}

bool ConvolvesInBfloat16() {
#if defined(__x86_64__)
  // dnnl_cpu_isa_avx512_core; the values of better ones have its bits.
  constexpr int kAvx512Core = 0x27;
  if (dnnl_get_effective_cpu_isa != nullptr &&
      (dnnl_get_effective_cpu_isa() & kAvx512Core) != kAvx512Core) {
    return false;
  }
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
#else
  return false;
#endif
}

std::string KernelNames() {
  // The configuration names the CPU capability that LibTorch's own kernels dispatch on.
  std::string capability;
  for (const absl::string_view line : absl::StrSplit(at::show_config(), '\n')) {
    const absl::string_view::size_type colon = line.find("CPU capability usage: ");
    if (colon != absl::string_view::npos) capability = std::string(line.substr(line.find(':') + 2));
  }
  return absl::StrCat("ATen ", capability, ", BLAS ", BlasKernels(), ", oneDNN ",
                      dnnl_get_effective_cpu_isa == nullptr ? -1 : dnnl_get_effective_cpu_isa());
}

std::string NumericFingerprint() {
  return absl::StrCat("libtorch ", TORCH_VERSION, "\n", at::show_config(), "\n", KernelNames());
}

Mutex& GeneratorMutex() {
  static Mutex mutex;
  return mutex;
}

void UseThreads(int threads) {
  at::set_num_threads(threads);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(threads);
}

torch::Tensor ToDevice(const torch::Tensor& tensor, const torch::Device& device) {
  if (!device.is_cuda()) return tensor.to(device);
  return tensor.pin_memory().to(device, /*non_blocking=*/true);
}

Autocast::Autocast(const torch::Device& device, bool enabled)
    : enabled_(enabled), cuda_(device.is_cuda()) {
  if (!enabled_) return;
  at::autocast::increment_nesting();
  if (cuda_) {
    at::autocast::set_autocast_gpu_dtype(torch::kBFloat16);
    at::autocast::set_enabled(true);
  } else {
    at::autocast::set_autocast_cpu_dtype(torch::kBFloat16);
    at::autocast::set_cpu_enabled(true);
  }
}

Autocast::~Autocast() {
  if (!enabled_) return;
  if (cuda_) {
    at::autocast::set_enabled(false);
  } else {
    at::autocast::set_cpu_enabled(false);
  }
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

torch::Tensor ViewOf(const runtime::Tensor& tensor) {
  // LibTorch has no view of constant memory; nobody writes through this one.
  return torch::from_blob(const_cast<char*>(tensor.data.data()), tensor.shape,
                          torch::TensorOptions().dtype(ScalarTypeOf(tensor.datatype)));
}

runtime::Tensor ToFp32(const torch::Tensor& tensor) {
  const torch::Tensor values = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  runtime::Tensor result =
      runtime::MakeTensor(runtime::Datatype::kFp32, {values.sizes().begin(), values.sizes().end()});
  if (!result.data.empty()) {
    std::memcpy(result.data.data(), values.data_ptr<float>(), result.data.size());
  }
  return result;
}

absl::Status CheckFinite(const runtime::Tensor& tensor, const std::string& name) {
  if (tensor.datatype == runtime::Datatype::kFp32) {
    return CheckAllFinite(tensor.As<float>(), tensor.ElementCount(), name);
  }
  if (tensor.datatype == runtime::Datatype::kFp64) {
    return CheckAllFinite(tensor.As<double>(), tensor.ElementCount(), name);
  }
  return absl::OkStatus();
}

std::vector<std::pair<std::string, torch::Tensor>> StateDict(const torch::nn::Module& module) {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (const auto& parameter : module.named_parameters(/*recurse=*/false)) {
    tensors.emplace_back(parameter.key(), parameter.value());
  }
  for (const auto& buffer : module.named_buffers(/*recurse=*/false)) {
    tensors.emplace_back(buffer.key(), buffer.value());
  }
  for (const auto& child : module.named_children()) {
    for (const auto& [name, tensor] : StateDict(*child.value())) {
      tensors.emplace_back(absl::StrCat(child.key(), ".", name), tensor);
    }
  }
  return tensors;
}

std::string SaveWeights(const torch::nn::Module& module) {
  WeightTensors weights;
  for (const auto& [name, tensor] : NamedTensors(module)) {
    const torch::Tensor values = tensor.detach().to(torch::kCPU).contiguous();
    runtime::Tensor& kept = weights[name];
    kept.datatype = DatatypeOf(values);
    kept.shape.assign(values.sizes().begin(), values.sizes().end());
    kept.data.assign(static_cast<const char*>(values.data_ptr()), values.nbytes());
  }
  return FormatWeights(weights);
}

absl::Status LoadWeights(const std::string& bytes, torch::nn::Module& module) {
  BACKFIRE_ASSIGN_OR_RETURN(const WeightTensors weights, ParseWeights(bytes));
  auto expected = NamedTensors(module);
  const torch::NoGradGuard no_gradient;
  for (const auto& [name, kept] : weights) {
    const auto found = expected.find(name);
    if (found == expected.end()) {
      return absl::DataLossError(
          absl::StrCat("the weights have a tensor ", name, ", which this network lacks"));
    }
    torch::Tensor& tensor = found->second;
    if (tensor.sizes() != torch::IntArrayRef(kept.shape) || DatatypeOf(tensor) != kept.datatype) {
      return absl::DataLossError(absl::StrCat("tensor ", name, " of the weights has another shape ",
                                              "or type than this network's"));
    }
    tensor.copy_(ViewOf(kept));
    expected.erase(found);
  }
  if (expected.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the weights lack tensor ", expected.begin()->first));
}

}  // namespace backfire::learning
