#include "services/datasets/frame_cache.h"

namespace backfire::datasets {
namespace {

size_t BytesOf(const cv::Mat& image) { return image.total() * image.elemSize(); }

}  // namespace

std::shared_ptr<const StereoFrame> FrameCache::Get(int64_t key,
                                                   const std::function<StereoFrame()>& make) {
  {
    MutexLock lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      order_.splice(order_.begin(), order_, found->second.place);
      return found->second.frame;
    }
  }
  auto frame = std::make_shared<const StereoFrame>(make());
  const size_t bytes = BytesOf(frame->left) + BytesOf(frame->right) + BytesOf(frame->disparity) +
                       BytesOf(frame->visible_disparity);
  MutexLock lock(mutex_);
  const auto [entry, is_new] = entries_.try_emplace(key);
  if (!is_new) return entry->second.frame;
  order_.push_front(key);
  entry->second = {frame, bytes, order_.begin()};
  bytes_ += bytes;
  while (bytes_ > max_bytes_ && order_.size() > 1) {
    const auto last = entries_.find(order_.back());
    bytes_ -= last->second.bytes;
    entries_.erase(last);
    order_.pop_back();
  }
  return frame;
}

}  // namespace backfire::datasets
