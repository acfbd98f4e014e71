#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/base/mutex.h"
#include "services/gateway/release_view.h"
#include "services/gateway/vertex_readiness.h"
#include "services/rpc/channel.h"
#include "services/rpc/name_follower.h"

namespace backfire::gateway {

/// Asks each endpoint of each vertex, again and again, on threads of its own, whether it can serve
/// the live release's version: ModelReady, and where the release has a digest GetVersion, which is
/// a capability. One that hangs delays nobody else's probe. Thread-safe.
class VertexProber {
 public:
  /// By vertex of the live release why it can't serve; empty of those that can.
  using Faults = std::map<std::string, std::string>;

  /// @param channels, names  Borrowed.
  /// @param changed          Called on a thread of the prober's when what it says has changed.
  VertexProber(runtime::ChannelPool& channels, runtime::NameFollower& names,
               std::function<void(const Faults&)> changed);
  /// Gives up probes under way.
  ~VertexProber();
  VertexProber(const VertexProber&) = delete;
  VertexProber& operator=(const VertexProber&) = delete;

  /// Probes the view's live release from now on; without one, nothing.
  void Follow(const ReleaseView& view);
  /// Whether all of these vertices can serve, by what the last probes found (VertexReadiness).
  /// UNAVAILABLE: names those that can't, with their endpoints and why.
  absl::Status Check(const std::vector<std::string>& vertices) const;

 private:
  using Clock = VertexReadiness::Clock;
  using Target = std::pair<std::string, std::string>;  // Vertex, endpoint.
  struct Probe;
  struct Vertex {
    std::string model;  // As the Open Inference Protocol names it.
    std::string number;
    VertexReadiness::Wanted wanted;
    std::vector<std::string> endpoints;  // As the system has them.
  };
  struct Scheduled {
    Clock::time_point next;
    VertexReadiness::Wanted wanted;  // Of the last probe.
    Probe* in_flight = nullptr;
  };

  void Loop();
  // Starts what is due. Names' processes come and go.
  void StartDue();
  void AskWhetherReady(Probe& probe);
  void AskForDigest(Probe& probe);
  void End(Probe& probe, const absl::Status& status);
  void Publish();
  void WaitForWork();

  runtime::ChannelPool& channels_;
  runtime::NameFollower& names_;
  const std::function<void(const Faults&)> changed_;
  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool news_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Vertex> vertices_ ABSL_GUARDED_BY(mutex_);
  VertexReadiness readiness_ ABSL_GUARDED_BY(mutex_);
  std::map<Target, Scheduled> targets_ ABSL_GUARDED_BY(mutex_);
  std::map<Probe*, std::unique_ptr<Probe>> probes_ ABSL_GUARDED_BY(mutex_);
  Faults published_;  // Of the thread.
  std::thread thread_;
};

}  // namespace backfire::gateway
