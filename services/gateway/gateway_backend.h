#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/gateway/graph_runner.h"
#include "services/gateway/release_view.h"
#include "services/runtime/channel.h"
#include "services/runtime/inference_service.h"

namespace backfire::gateway {

/// Serves the system, under its name, and each vertex with all that it needs, under the vertex's.
/// A version is a release. Responses carry the parameters `release` and `version.{vertex}`.
class GatewayBackend final : public runtime::InferenceBackend {
 public:
  using CurrentView = std::function<std::shared_ptr<const ReleaseView>()>;
  /// @param channels  Borrowed.
  GatewayBackend(CurrentView current, runtime::ChannelPool& channels, VertexTimer timer)
      : current_(std::move(current)), channels_(channels), timer_(std::move(timer)) {}

  /// Whether there is a live release.
  bool Ready() const override;
  absl::StatusOr<std::shared_ptr<const runtime::InferenceTarget>> Find(
      const std::string& model, std::optional<int64_t> version) const override;
  absl::StatusOr<std::vector<int64_t>> Versions(const std::string& model) const override;

 private:
  absl::StatusOr<std::shared_ptr<const ReleaseView>> ViewOf(const std::string& model) const;

  const CurrentView current_;
  runtime::ChannelPool& channels_;
  const VertexTimer timer_;
};

}  // namespace backfire::gateway
