#include "orchestrator/releases/gateway_registry.h"

namespace backfire::releases {

void GatewayRegistry::Report(const v1::GatewayReport& report) {
  {
    MutexLock lock(mutex_);
    if (!table_.Report(report, clock_.Steady())) return;
  }
  news_.Notify();
}

void GatewayRegistry::Disconnect(const std::string& gateway) {
  {
    MutexLock lock(mutex_);
    table_.Disconnect(gateway);
  }
  news_.Notify();
}

void GatewayRegistry::Expire() {
  {
    MutexLock lock(mutex_);
    if (!table_.Expire(clock_.Steady())) return;
  }
  news_.Notify();
}

bool GatewayRegistry::AllBeyond(int64_t epoch) const {
  MutexLock lock(mutex_);
  return table_.AllBeyond(epoch, clock_.Steady());
}

std::vector<std::string> GatewayRegistry::Behind(int64_t epoch) const {
  MutexLock lock(mutex_);
  return table_.Behind(epoch, clock_.Steady());
}

std::vector<v1::Gateway> GatewayRegistry::List() const {
  MutexLock lock(mutex_);
  return table_.List(clock_.Steady());
}

}  // namespace backfire::releases
