#include "services/rpc/freed_memory.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <sys/resource.h>
#include <sys/time.h>

namespace backfire::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

// Time on processors, of all threads.
microseconds CpuTime() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
int64_t FreeBytes() { return static_cast<int64_t>(::mallinfo2().fordblks); }
void GiveBack() { ::malloc_trim(0); }
#else
int64_t FreeBytes() { return 0; }
void GiveBack() {}
#endif

}  // namespace

FreedMemory::FreedMemory(const FreedMemoryOptions& options) : options_(options) {
  thread_ = std::thread([this] { Run(); });
}

FreedMemory::~FreedMemory() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void FreedMemory::Run() {
  microseconds given_back_at(0);  // On the clock of the processors.
  while (true) {
    const microseconds before = CpuTime();
    const auto start = steady_clock::now();
    {
      const auto next = start + options_.period;
      MutexLock lock(mutex_);
      while (!stopped_ && wake_.WaitUntil(mutex_, next)) {
      }
      if (stopped_) return;
    }
    const microseconds now = CpuTime();
    const std::chrono::duration<double> worked = now - before;
    const std::chrono::duration<double> passed = steady_clock::now() - start;
    const bool rests = worked <= options_.resting_share * passed;
    if (!rests || now < given_back_at + options_.least_work) continue;
    if (FreeBytes() < options_.least_bytes) continue;
    GiveBack();
    given_back_at = now;
  }
}

}  // namespace backfire::runtime
