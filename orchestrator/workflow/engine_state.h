#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "orchestrator/workflow/engine.h"

// What the two halves of the engine share, and nobody else sees.
namespace backfire::workflow {

struct Engine::RunningStep {
  std::atomic<bool> cancel{false};
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::thread thread;
};

struct Engine::Metrics {
  explicit Metrics(prometheus::Registry& registry);
  prometheus::Family<prometheus::Counter>& steps;
  prometheus::Family<prometheus::Histogram>& step_seconds;
  prometheus::Family<prometheus::Counter>& updates;
  prometheus::Gauge& live_release;
  prometheus::Gauge& epoch;
};

/// Whether an update has work to do.
inline bool IsOpen(const v1::Update& update) {
  switch (update.state()) {
    case v1::Update::PROPOSED:
    case v1::Update::TRAINING_CANDIDATE:
    case v1::Update::EVALUATING_CANDIDATE:
    case v1::Update::RETRAINING:
    case v1::Update::EVALUATING:
      return true;
    default:
      return false;
  }
}

inline std::string UpdateName(int64_t number) { return "updates/" + std::to_string(number); }
inline std::string ReleaseName(int64_t number) { return "releases/" + std::to_string(number); }

}  // namespace backfire::workflow
