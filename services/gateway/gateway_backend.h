#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/gateway/graph_runner.h"
#include "services/gateway/release_view.h"
#include "services/gateway/release_watcher.h"
#include "services/gateway/vertex_prober.h"
#include "services/runtime/inference_service.h"

namespace backfire::gateway {

/// Serves the system, under its name, and each vertex with all that it needs, under the vertex's.
/// A version is a release. Responses carry the parameters `release` and `version.{vertex}`. A
/// request that names no release, and whose release a service has unloaded meanwhile, is run again,
/// whole, on the one that is live by then.
class GatewayBackend final : public runtime::InferenceBackend {
 public:
  /// @param watcher, prober, services  Borrowed.
  /// @param rerun                      Called when a request is run again.
  GatewayBackend(const ReleaseWatcher& watcher, const VertexProber& prober,
                 VertexServices& services, std::function<void()> rerun)
      : watcher_(watcher), prober_(prober), services_(services), rerun_(std::move(rerun)) {}

  /// Whether there is a live release, all of whose vertices can serve it.
  absl::Status Ready() const override;
  absl::StatusOr<std::shared_ptr<const runtime::InferenceTarget>> Find(
      const std::string& model, std::optional<int64_t> version) const override;
  std::vector<std::string> Models() const override;
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string& model) const override;

 private:
  friend class ReleaseTarget;
  absl::StatusOr<HeldView> ViewOf(const std::string& model) const;

  const ReleaseWatcher& watcher_;
  const VertexProber& prober_;
  VertexServices& services_;
  const std::function<void()> rerun_;
};

}  // namespace backfire::gateway
