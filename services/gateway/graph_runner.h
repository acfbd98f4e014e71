#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/gateway/release_view.h"
#include "services/gateway/replica_balancer.h"
#include "services/rpc/channel.h"
#include "services/rpc/name_follower.h"
#include "services/runtime/inference_service.h"
#include "services/runtime/tensor.h"

namespace backfire::gateway {

/// How vertices are called; shared by all requests.
struct VertexServices {
  /// Hears how long a vertex took, seconds, from sending its request to having its response.
  std::function<void(const std::string& vertex, double seconds)> took;
  /// Hears that a vertex's request was sent again, to another of its endpoints.
  std::function<void(const std::string& vertex)> sent_again;
  runtime::ChannelPool channels;
  runtime::NameFollower names;
  ReplicaBalancer balancer;
};

/// Runs the vertices that `outputs` need on the versions of one release, each as soon as its inputs
/// are there, and returns the outputs by name. The first vertex that fails ends the rest; the error
/// names it and its endpoint. A vertex with replicas fails once none of them could serve it.
/// @param outputs  Output name -> where it comes from.
absl::StatusOr<runtime::TensorMap> RunGraph(const ReleaseView& view, int64_t release,
                                            const std::map<std::string, graph::Source>& outputs,
                                            runtime::TensorMap request,
                                            const runtime::InferenceCall& call,
                                            VertexServices& services);

}  // namespace backfire::gateway
