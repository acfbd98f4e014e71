#pragma once

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "services/runtime/dataset_roots.h"

namespace backfire::runtime {

/// How a dataset is opened for somebody: which files may be read, and until when. By itself it
/// allows no file. Thread-safe, if `cancelled` is.
struct DatasetAccess {
  /// Of every file and folder that a dataset's URI names or leads to; asked before each is read.
  DatasetRoots roots;
  /// Whether nobody waits for the dataset any more; null: somebody always does. Opening may read
  /// gigabytes, or never end: it asks between files, and now and then in loops of its own.
  std::function<bool()> cancelled;

  /// Every file, for as long as it takes: for whoever starts a program on data of his own.
  static DatasetAccess Unlimited() { return {DatasetRoots::Anywhere(), nullptr}; }

  /// CANCELLED: nobody waits any more.
  absl::Status CheckWanted() const {
    if (cancelled == nullptr || !cancelled()) return absl::OkStatus();
    return absl::CancelledError("cancelled while the dataset was being opened");
  }
};

}  // namespace backfire::runtime
