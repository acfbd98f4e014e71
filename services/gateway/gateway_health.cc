#include "services/gateway/gateway_health.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "services/rpc/sampled_family.h"

namespace backfire::gateway {
namespace {

constexpr char kWhole[] = "", kOrchestrator[] = "orchestrator";

// Names of health that are no model's, whatever a system calls its vertices.
bool IsReserved(const std::string& name) {
  return name == kWhole || name == kOrchestrator || name == "liveness" || name == "readiness";
}

prometheus::MetricFamily Gauge(const std::string& name, const std::string& help, int64_t value) {
  prometheus::MetricFamily family = runtime::GaugeFamily(name, help);
  runtime::AddSample(family, {}, static_cast<double>(value));
  return family;
}

}  // namespace

void GatewayHealth::Begin(Show show) {
  MutexLock lock(mutex_);
  show_ = std::move(show);
  ShowAll();
}

void GatewayHealth::Released(const ReleaseView* view, bool hears) {
  MutexLock lock(mutex_);
  hears_ = hears;
  if (view != nullptr) {
    live_ = view->live;
    epoch_ = view->epoch;
    needs_.clear();
    for (const std::string& vertex : view->graph.order()) {
      needs_[vertex] = view->graph.WithAncestors({vertex});
    }
    needs_[view->graph.system().name()] = view->graph.order();
  }
  ShowAll();
}

void GatewayHealth::Probed(const VertexProber::Faults& faults) {
  MutexLock lock(mutex_);
  for (const auto& [vertex, fault] : faults) {
    const auto before = faults_.find(vertex);
    const bool could = before != faults_.end() && before->second.empty();
    if (fault.empty() && !could) {
      spdlog::info("vertex state=READY vertex={}", vertex);
    } else if (!fault.empty() && (could || before == faults_.end())) {
      spdlog::warn("vertex state=NOT_READY vertex={} error=\"{}\"", vertex, fault);
    }
  }
  faults_ = faults;
  ShowAll();
}

bool GatewayHealth::CanServe(const std::string& vertex) const {
  const auto fault = faults_.find(vertex);
  return fault != faults_.end() && fault->second.empty();
}

void GatewayHealth::ShowAll() {
  if (show_ == nullptr) return;
  show_(kOrchestrator, hears_);
  show_(kWhole, live_ != 0);
  std::map<std::string, bool> models;
  for (const std::string& gone : shown_) models[gone] = false;
  for (const auto& [model, vertices] : needs_) {
    if (IsReserved(model)) continue;
    models[model] =
        live_ != 0 && std::all_of(vertices.begin(), vertices.end(),
                                  [this](const auto& vertex)
                                      ABSL_NO_THREAD_SAFETY_ANALYSIS { return CanServe(vertex); });
  }
  for (const auto& [model, serves] : models) {
    show_(model, serves);
    shown_.insert(model);
  }
}

std::vector<prometheus::MetricFamily> GatewayHealth::Metrics() const {
  MutexLock lock(mutex_);
  prometheus::MetricFamily ready = runtime::GaugeFamily(
      "backfire_gateway_vertex_ready",
      "1: an endpoint of the vertex could serve the live release within the last 5 s.");
  for (const auto& [vertex, fault] : faults_) {
    runtime::AddSample(ready, {{"vertex", vertex}}, fault.empty() ? 1 : 0);
  }
  return {
      Gauge("backfire_gateway_live_release", "Number of the live release; 0: none.", live_),
      Gauge("backfire_gateway_epoch", "Epoch of the live release that is served.", epoch_),
      Gauge("backfire_gateway_orchestrator_connected",
            "1: releases are followed; 0: the last known ones are served.", hears_ ? 1 : 0),
      std::move(ready),
  };
}

}  // namespace backfire::gateway
