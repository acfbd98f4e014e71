#pragma once

#include <torch/types.h>

namespace backfire::learning {

/// While it lives, the calling thread's convolutions and matrix products on `device` run in
/// bfloat16 (where `enabled`), and what needs more precision stays in FP32. Weights that want a
/// gradient are cast once and kept so for as long: it must not outlast a change of them, such as a
/// step of a training.
class Autocast {
 public:
  Autocast(const torch::Device& device, bool enabled);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  const bool enabled_, cuda_;
};

}  // namespace backfire::learning
