#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/learning/pickle.h"

namespace backfire::learning {

/// A file of torch.save: one pickle, and the storages of its tensors by key. One thread.
class TorchArchive {
 public:
  virtual ~TorchArchive() = default;

  /// Opens either format. INVALID_ARGUMENT: what the file is instead, or where it is damaged.
  static absl::StatusOr<std::unique_ptr<TorchArchive>> Open(std::string file);

  virtual const Pickle& pickle() const = 0;
  /// A storage of `count` elements of `width` bytes. INVALID_ARGUMENT: there is none of that size,
  /// or its checksum differs.
  virtual absl::StatusOr<std::string> ReadStorage(const std::string& key, int64_t count,
                                                  int64_t width) const = 0;
};

}  // namespace backfire::learning
