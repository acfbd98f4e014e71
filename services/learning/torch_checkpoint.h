#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learning/weight_tensors.h"

namespace backfire::learning {

/// The tensors in a file of Python's torch.save: of a state_dict by itself, or of the one in a
/// checkpoint (under `state_dict`, `model_state_dict`, `model_state`, `model`, `network` or `net`;
/// whatever else it holds is left alone). Both of torch's formats are read: the zip archive, and
/// the one before torch 1.6. No code in the file is run, no name in it is looked up. One thread.
class TorchCheckpoint {
 public:
  /// INVALID_ARGUMENT: what the file is instead, where it is damaged, or that its state_dict has
  /// more than 100,000 entries.
  static absl::StatusOr<TorchCheckpoint> Parse(std::string file);
  ~TorchCheckpoint();
  TorchCheckpoint(TorchCheckpoint&&) noexcept;
  TorchCheckpoint& operator=(TorchCheckpoint&&) noexcept;

  /// Where a tensor is in its storage, in elements.
  struct TensorPlace {
    runtime::Datatype datatype = runtime::Datatype::kFp32;
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
    int64_t offset = 0;
    std::string storage;        ///< Its key in the file.
    int64_t storage_count = 0;  ///< Elements of the storage.
  };
  const std::map<std::string, TensorPlace>& tensors() const;
  /// Entries of the state_dict that are no tensors that can be read: name -> what they are.
  const std::map<std::string, std::string>& others() const;

  /// Copies a tensor out, contiguous. INVALID_ARGUMENT: its data are missing or damaged.
  absl::StatusOr<runtime::Tensor> Read(const std::string& name) const;

 private:
  struct Parts;
  explicit TorchCheckpoint(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// A file that Python's torch.load reads as a dict of tensors, also with weights_only=True: the zip
/// archive, contiguous tensors, in the order of their names. Equal tensors give equal bytes.
absl::StatusOr<std::string> WriteTorchCheckpoint(const WeightTensors& tensors);

}  // namespace backfire::learning
