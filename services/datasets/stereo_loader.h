#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/mutex.h"
#include "services/datasets/kitti_writer.h"
#include "services/datasets/stereo_dataset.h"

namespace backfire::datasets {

/// The order in which an epoch visits examples: a permutation of 0 ... size - 1 that depends on
/// seed and epoch alone.
std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t size);

/// A frame as StereoLoader hands it out. What wasn't asked for is empty.
struct LoadedFrame {
  int64_t example = 0;
  std::string id;
  StereoFrame frame;
};

/// Reads frames of a split ahead of whoever uses them, in threads of its own. The order is that of
/// EpochOrder (or 0, 1, 2 ... without a seed) whatever the number of threads, and at most `ahead`
/// frames wait in memory. One thread calls Next.
class StereoLoader {
 public:
  struct Options {
    std::optional<uint64_t> seed;  ///< Unset: examples in their own order.
    int64_t epochs = 1;
    int threads = 1;                                     ///< >= 1.
    int ahead = 8;                                       ///< Frames, >= 1.
    bool right = true, disparity = true, labels = true;  ///< What to read beside the left image.
  };

  StereoLoader(std::shared_ptr<const StereoDataset> dataset, runtime::Split split,
               const Options& options);
  /// Ends the threads, also half-way.
  ~StereoLoader();
  StereoLoader(const StereoLoader&) = delete;
  StereoLoader& operator=(const StereoLoader&) = delete;

  /// The next frame; nothing after the last. A frame that cannot be read is an error in its place;
  /// calling again goes on with the next.
  absl::StatusOr<std::optional<LoadedFrame>> Next();

  /// The most frames that ever waited: at most `ahead`.
  int most_waiting() const {
    MutexLock lock(mutex_);
    return most_waiting_;
  }

 private:
  void Work();
  absl::StatusOr<LoadedFrame> Load(int64_t example) const;

  const std::shared_ptr<const StereoDataset> dataset_;
  const runtime::Split split_;
  const Options options_;
  std::vector<int64_t> order_;  // Of all epochs.

  mutable Mutex mutex_;
  CondVar changed_;
  size_t claimed_ ABSL_GUARDED_BY(mutex_) = 0;  // Of order_: begun, and handed out.
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<size_t, absl::StatusOr<LoadedFrame>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  int most_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_;
};

}  // namespace backfire::datasets
