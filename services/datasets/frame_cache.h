#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "services/base/mutex.h"
#include "services/datasets/kitti_writer.h"

namespace backfire::datasets {

/// Keeps the frames that were used last, within a bound of memory. Thread-safe.
class FrameCache {
 public:
  explicit FrameCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  /// The frame of that key; made by `make` if it isn't there, with no lock held: two threads that
  /// ask for the same at once may both make it. At least the last frame is kept, however large.
  std::shared_ptr<const StereoFrame> Get(int64_t key, const std::function<StereoFrame()>& make);

  size_t bytes() const {
    MutexLock lock(mutex_);
    return bytes_;
  }

 private:
  struct Entry {
    std::shared_ptr<const StereoFrame> frame;
    size_t bytes = 0;
    std::list<int64_t>::iterator place;
  };

  const size_t max_bytes_;
  mutable Mutex mutex_;
  std::list<int64_t> order_ ABSL_GUARDED_BY(mutex_);  // The one used last is in front.
  std::map<int64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace backfire::datasets
