#include "orchestrator/execution/step_threads.h"

#include <utility>

namespace backfire::execution {

StepThreads::~StepThreads() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    ends_ = true;
    threads.swap(threads_);
    given_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void StepThreads::Run(std::function<void()> work) {
  MutexLock lock(mutex_);
  waiting_.push_back(std::move(work));
  // An idle thread that was called and hasn't come yet is counted, and so is what it will take.
  if (waiting_.size() > idle_) {
    threads_.emplace_back([this] { Work(); });
  } else {
    given_.NotifyOne();
  }
}

void StepThreads::Work() {
  while (true) {
    std::function<void()> work;
    {
      MutexLock lock(mutex_);
      ++idle_;
      while (waiting_.empty() && !ends_) given_.Wait(mutex_);
      --idle_;
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work();
  }
}

}  // namespace backfire::execution
