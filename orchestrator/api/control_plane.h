#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/execution/job_backend.h"
#include "orchestrator/execution/step_executor.h"
#include "orchestrator/execution/version_loader.h"
#include "orchestrator/ledger/ledger.h"
#include "orchestrator/metrics/orchestrator_metrics.h"
#include "orchestrator/releases/gateway_registry.h"
#include "orchestrator/releases/release_manager.h"
#include "orchestrator/releases/replica_keeper.h"
#include "orchestrator/retention/pruner.h"
#include "orchestrator/retention/retention_keeper.h"
#include "services/base/clock.h"

namespace backfire::api {

/// All rooms of the orchestrator, put together: the only place that knows all of them. Thread-safe.
class ControlPlane {
 public:
  /// What the control plane stands on; all borrowed. In tests: fakes.
  struct Outside {
    store::Repository& repository;
    execution::JobBackend& jobs;
    execution::VersionHost& versions;
    const Clock& clock;
    prometheus::Registry& registry;
  };
  static constexpr std::chrono::minutes kDrainLimit{10};
  /// Reads the state, and goes on with what was under way. Errors as the repository's.
  /// @param lease        How long a gateway's report counts.
  /// @param drain_limit  As ReleaseManager's.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Start(
      const Outside& outside, std::chrono::milliseconds lease,
      std::chrono::milliseconds drain_limit = kDrainLimit);
  /// Stops waiting for jobs, which go on in their services.
  ~ControlPlane();
  /// Ends waits and steps; idempotent.
  void Stop();

  ledger::Ledger& ledger() { return *ledger_; }
  const Clock& clock() const { return outside_.clock; }
  execution::VersionHost& versions() { return outside_.versions; }
  execution::StepExecutor& executor() { return executor_; }
  releases::ReleaseManager& releases() { return releases_; }
  releases::GatewayRegistry& gateways() { return gateways_; }
  retention::Pruner& pruner() { return pruner_; }
  retention::RetentionKeeper& retention() { return retention_; }
  std::vector<prometheus::MetricFamily> SampleMetrics() const;

 private:
  ControlPlane(const Outside& outside, std::unique_ptr<ledger::Ledger> ledger,
               std::chrono::milliseconds lease, std::chrono::milliseconds drain_limit);

  const Outside outside_;
  const std::unique_ptr<ledger::Ledger> ledger_;
  metrics::OrchestratorMetrics metrics_;
  releases::GatewayRegistry gateways_;
  execution::VersionLoader loader_;
  execution::StepExecutor executor_;
  releases::ReleaseManager releases_;
  releases::ReplicaKeeper replicas_;
  retention::Pruner pruner_;
  retention::RetentionKeeper retention_;
};

}  // namespace backfire::api
