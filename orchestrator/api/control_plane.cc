#include "orchestrator/api/control_plane.h"

#include <utility>

#include "orchestrator/commands/lookup.h"
#include "services/base/status.h"

namespace backfire::api {

ControlPlane::ControlPlane(const Outside& outside, std::unique_ptr<ledger::Ledger> ledger,
                           std::chrono::milliseconds lease, std::chrono::milliseconds drain_limit)
    : outside_(outside),
      ledger_(std::move(ledger)),
      metrics_(outside.registry, outside.clock),
      gateways_(lease, outside.clock, ledger_->release_changes()),
      loader_(outside.versions, outside.clock),
      executor_(*ledger_, outside.jobs, loader_, outside.clock,
                [this](const records::State& state, int64_t revision) {
                  return commands::DecidedUpdates(state, ledger_->history(), revision);
                },
                {[this](const v1::Step& step, const std::string& update, double seconds) {
                   metrics_.CountStep(step, update, seconds);
                 },
                 [this](int64_t update) { metrics_.NoteMove(update); }}),
      releases_(*ledger_, loader_, gateways_, outside.clock, drain_limit),
      replicas_(*ledger_, outside.versions, loader_),
      pruner_(*ledger_, outside.versions, outside.clock),
      retention_(*ledger_, pruner_, outside.clock) {}

absl::StatusOr<std::unique_ptr<ControlPlane>> ControlPlane::Start(
    const Outside& outside, std::chrono::milliseconds lease,
    std::chrono::milliseconds drain_limit) {
  BACKFIRE_ASSIGN_OR_RETURN(auto ledger, ledger::Ledger::Open(outside.repository, outside.clock));
  std::unique_ptr<ControlPlane> plane(
      new ControlPlane(outside, std::move(ledger), lease, drain_limit));
  plane->metrics_.Begin(*plane->ledger_->state());
  plane->ledger_->Observe(
      [metrics = &plane->metrics_](const auto& committed) { metrics->Count(committed); });
  plane->releases_.Start();
  plane->replicas_.Start();
  plane->executor_.Start();
  plane->retention_.Start();
  return plane;
}

ControlPlane::~ControlPlane() { Stop(); }

void ControlPlane::Stop() {
  ledger_->Stop();
  executor_.Stop();
  releases_.Stop();
  replicas_.Stop();
  retention_.Stop();
}

std::vector<prometheus::MetricFamily> ControlPlane::SampleMetrics() const {
  return metrics_.Sample(*ledger_->state(), ledger_->history(), gateways_.List());
}

}  // namespace backfire::api
