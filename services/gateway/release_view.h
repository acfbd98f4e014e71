#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "services/graph/system_graph.h"

namespace backfire::gateway {

/// One picture of what can be served. Immutable: a request holds the one that it began with.
struct ReleaseView {
  graph::SystemGraph graph;
  std::map<std::string, v1::Model> models;  ///< By vertex.
  /// Release number -> vertex -> version number.
  std::map<int64_t, std::map<std::string, int64_t>> releases;
  /// Release number -> vertex -> digest of that version; none of releases that were made before
  /// digests were kept.
  std::map<int64_t, std::map<std::string, std::string>> digests;
  int64_t live = 0;  ///< Number of the live release; 0: none.
  int64_t epoch = 0;
};

/// A release that contradicts itself is left out, and logged, unless it is the live one.
/// INTERNAL: the snapshot contradicts itself; nothing should be served from it.
absl::StatusOr<std::shared_ptr<const ReleaseView>> MakeReleaseView(
    const v1::ReleaseSnapshot& snapshot);

}  // namespace backfire::gateway
