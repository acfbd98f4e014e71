#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/base/mutex.h"
#include "services/gateway/release_view.h"
#include "services/gateway/vertex_prober.h"

namespace backfire::gateway {

/// What a gateway says of itself: by gRPC's health protocol, in /metrics and in its log.
/// Thread-safe.
///
/// The gateway as a whole ("", and `readiness`) serves while it has a live release: where a vertex
/// can't serve, another gateway would fare no better, and what does not need it is served here. The
/// system and each vertex serve, under their names, while all vertices that they need can.
class GatewayHealth {
 public:
  /// Shows whether what has this name serves.
  using Show = std::function<void(const std::string& name, bool serving)>;

  /// Shows all that is known, and from now on what changes.
  void Begin(Show show);
  /// @param view  The newest; null before the first.
  /// @param hears  Whether the orchestrator is heard.
  void Released(const ReleaseView* view, bool hears);
  void Probed(const VertexProber::Faults& faults);
  /// For /metrics.
  std::vector<prometheus::MetricFamily> Metrics() const;

 private:
  void ShowAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool CanServe(const std::string& vertex) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Show show_ ABSL_GUARDED_BY(mutex_);
  bool hears_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t live_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  // Model, that is the system or a vertex -> the vertices that it needs.
  std::map<std::string, std::vector<std::string>> needs_ ABSL_GUARDED_BY(mutex_);
  VertexProber::Faults faults_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> shown_ ABSL_GUARDED_BY(mutex_);  // Models that were shown.
};

}  // namespace backfire::gateway
