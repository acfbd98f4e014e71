#pragma once

#include <time.h>

#include <atomic>
#include <functional>
#include <string>

#include "orchestrator/execution/job_backend.h"
#include "tests/support/forwarding_repository.h"

// What the control plane stands on, with the processor time that it takes itself: for benchmarks.
namespace backfire::testing {

/// Adds up the processor time of the threads that were inside. Thread-safe.
class ProcessorTime {
 public:
  template <typename Work>
  auto Measure(const Work& work) {
    const Span span(*this);
    return work();
  }
  double seconds() const { return 1e-9 * static_cast<double>(nanoseconds_.load()); }

 private:
  struct Span {
    explicit Span(ProcessorTime& total) : total(total), start(Now()) {}
    ~Span() { total.nanoseconds_ += Now() - start; }
    ProcessorTime& total;
    const int64_t start;
  };
  static int64_t Now() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }
  std::atomic<int64_t> nanoseconds_{0};
};

/// A repository whose writes are measured.
class TimedRepository final : public ForwardingRepository {
 public:
  using ForwardingRepository::ForwardingRepository;
  double seconds() const { return time_.seconds(); }

  absl::Status Write(const records::Change& change) override {
    return time_.Measure([&] { return ForwardingRepository::Write(change); });
  }

 private:
  ProcessorTime time_;
};

/// Jobs whose running is measured.
class TimedJobs final : public execution::JobBackend {
 public:
  explicit TimedJobs(execution::JobBackend& inner) : inner_(inner) {}
  double seconds() const { return time_.seconds(); }
  absl::StatusOr<v1::Job> Run(const std::string& endpoint, const planning::JobRequest& request,
                              bool can_watch, const runtime::Patience& patience,
                              const std::function<execution::Interrupt()>& interrupt,
                              const std::function<void(const v1::Progress&)>& progress) override {
    return time_.Measure(
        [&] { return inner_.Run(endpoint, request, can_watch, patience, interrupt, progress); });
  }

 private:
  execution::JobBackend& inner_;
  ProcessorTime time_;
};

}  // namespace backfire::testing
