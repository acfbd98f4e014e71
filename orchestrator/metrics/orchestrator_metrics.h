#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "orchestrator/ledger/ledger.h"
#include "services/base/clock.h"
#include "services/base/mutex.h"

namespace backfire::metrics {

/// What /metrics shows of the orchestrator: what is counted since the start is counted once it is
/// on disk; what is now is sampled. Names: docs/metrics.md. Thread-safe.
class OrchestratorMetrics {
 public:
  /// @param registry  Gets what is counted; borrowed, as is the clock.
  OrchestratorMetrics(prometheus::Registry& registry, const Clock& clock);

  /// Of a state that a process begins with.
  void Begin(const records::State& state);
  /// Counts and logs what a commit has changed.
  void Count(const ledger::Ledger::Committed& committed);
  /// Counts and logs a step that has ended.
  void CountStep(const v1::Step& step, const std::string& update, double seconds);
  /// A running step of an update said something new.
  void NoteMove(int64_t update);

  /// What is now. Counts that can't be read are left out.
  std::vector<prometheus::MetricFamily> Sample(const records::State& state,
                                               const store::Repository& history,
                                               const std::vector<v1::Gateway>& gateways) const;

 private:
  double IdleSeconds(const records::State& state) const;
  void ShowLive(const records::State& state);

  const Clock& clock_;
  prometheus::Family<prometheus::Counter>& steps_;
  prometheus::Family<prometheus::Histogram>& step_seconds_;
  prometheus::Family<prometheus::Counter>& updates_;
  prometheus::Family<prometheus::Counter>& verdicts_;
  prometheus::Gauge& live_release_;
  prometheus::Gauge& epoch_;
  mutable Mutex mutex_;
  // When a step of an update with work left last moved on, or said that it did.
  std::map<int64_t, Clock::SteadyTime> moved_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace backfire::metrics
