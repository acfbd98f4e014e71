#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace backfire::gateway {

/// What is known of whether each vertex of the live release can serve: whether one of its endpoints
/// proved it within kFresh. After a swap, what a vertex's service had proved counts on, for as long
/// as it would have, until each endpoint has failed to serve the new version: the orchestrator had
/// it loaded a moment ago. Not thread-safe.
class VertexReadiness {
 public:
  using Clock = std::chrono::steady_clock;
  /// For how long an endpoint that could serve is taken to be able to.
  static constexpr std::chrono::seconds kFresh{5};
  /// What is to be served.
  struct Wanted {
    std::string version;  ///< `models/NAME/versions/3`.
    std::string digest;   ///< Empty: not known.
    bool operator==(const Wanted& other) const {
      return version == other.version && digest == other.digest;
    }
  };

  /// Says what is live now, by vertex; others are forgotten.
  void SetLive(const std::map<std::string, Wanted>& live);
  /// Says where a live vertex is served; what is known of other endpoints is forgotten.
  void SetEndpoints(const std::string& vertex, const std::vector<std::string>& endpoints);
  /// What a probe has found; OK: the endpoint can serve it. Of what is live no more, it is ignored.
  void Probed(const std::string& vertex, const Wanted& wanted, const std::string& endpoint,
              const absl::Status& status, Clock::time_point now);

  /// By vertex why it can't serve, naming endpoints; empty of those that can.
  std::map<std::string, std::string> Faults(Clock::time_point now) const;
  /// When the first of those that can serve no longer counts as such, unless it is probed again.
  std::optional<Clock::time_point> NextExpiry(Clock::time_point now) const;

 private:
  struct Vertex {
    Wanted wanted;
    // By any endpoint; of the version before, where `proved` is false.
    std::optional<Clock::time_point> last_success;
    bool proved = false;
    // What the last probe of each endpoint found; null: none has ended.
    std::map<std::string, std::optional<absl::Status>> endpoints;
  };
  static bool CanServe(const Vertex& vertex, Clock::time_point now);

  std::map<std::string, Vertex> vertices_;
};

}  // namespace backfire::gateway
