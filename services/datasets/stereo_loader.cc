#include "services/datasets/stereo_loader.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "services/base/random.h"
#include "services/base/status.h"

namespace backfire::datasets {

std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t size) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, static_cast<uint64_t>(epoch));
  for (int64_t i = size - 1; i > 0; --i) {  // Fisher and Yates.
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.Below(i + 1))]);
  }
  return order;
}

StereoLoader::StereoLoader(std::shared_ptr<const StereoDataset> dataset, runtime::Split split,
                           const Options& options)
    : dataset_(std::move(dataset)), split_(split), options_(options) {
  const int64_t size = dataset_->size(split);
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    if (options.seed) {
      const std::vector<int64_t> order = EpochOrder(*options.seed, epoch, size);
      order_.insert(order_.end(), order.begin(), order.end());
    } else {
      for (int64_t i = 0; i < size; ++i) order_.push_back(i);
    }
  }
  for (int i = 0; i < std::max(options.threads, 1); ++i) threads_.emplace_back([this] { Work(); });
}

StereoLoader::~StereoLoader() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<LoadedFrame> StereoLoader::Load(int64_t example) const {
  LoadedFrame loaded;
  loaded.example = example;
  loaded.id = dataset_->ExampleId(split_, example);
  StereoFrame& frame = loaded.frame;
  BACKFIRE_ASSIGN_OR_RETURN(frame.left, dataset_->LeftImage(split_, example));
  BACKFIRE_ASSIGN_OR_RETURN(frame.calibration, dataset_->Calibration(split_, example));
  if (options_.right) {
    BACKFIRE_ASSIGN_OR_RETURN(frame.right, dataset_->RightImage(split_, example));
  }
  if (options_.disparity) {
    BACKFIRE_ASSIGN_OR_RETURN(frame.disparity, dataset_->Disparity(split_, example));
  }
  if (options_.labels) {
    BACKFIRE_ASSIGN_OR_RETURN(frame.labels, dataset_->Labels(split_, example));
  }
  return loaded;
}

void StereoLoader::Work() {
  const auto ahead = static_cast<size_t>(std::max(options_.ahead, 1));
  while (true) {
    size_t at;
    {
      MutexLock lock(mutex_);
      // What is begun counts as waiting already, so that memory stays bounded.
      while (!stop_ && claimed_ < order_.size() && claimed_ - taken_ >= ahead) {
        changed_.Wait(mutex_);
      }
      if (stop_ || claimed_ == order_.size()) return;
      at = claimed_++;
    }
    auto loaded = Load(order_[at]);
    {
      MutexLock lock(mutex_);
      waiting_.emplace(at, std::move(loaded));
      most_waiting_ = std::max(most_waiting_, static_cast<int>(waiting_.size()));
    }
    changed_.NotifyAll();
  }
}

absl::StatusOr<std::optional<LoadedFrame>> StereoLoader::Next() {
  absl::StatusOr<LoadedFrame> loaded;
  {
    MutexLock lock(mutex_);
    if (taken_ == order_.size()) return std::nullopt;
    auto found = waiting_.find(taken_);
    while (found == waiting_.end()) {
      changed_.Wait(mutex_);
      found = waiting_.find(taken_);
    }
    loaded = std::move(found->second);
    waiting_.erase(found);
    ++taken_;
  }
  changed_.NotifyAll();
  if (!loaded.ok()) return loaded.status();
  return std::optional<LoadedFrame>(*std::move(loaded));
}

}  // namespace backfire::datasets
