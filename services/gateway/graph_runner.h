#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/gateway/release_view.h"
#include "services/runtime/channel.h"
#include "services/runtime/inference_service.h"
#include "services/runtime/tensor.h"

namespace backfire::gateway {

/// Hears how long a vertex took, seconds, from sending its request to having its response.
using VertexTimer = std::function<void(const std::string& vertex, double seconds)>;

/// Runs the vertices that `outputs` need on the versions of one release, each as soon as its inputs
/// are there, and returns the outputs by name. The first vertex that fails ends the rest; the error
/// names it and its endpoint.
/// @param outputs  Output name -> where it comes from.
absl::StatusOr<runtime::TensorMap> RunGraph(const ReleaseView& view, int64_t release,
                                            const std::map<std::string, graph::Source>& outputs,
                                            runtime::TensorMap request,
                                            const runtime::InferenceCall& call,
                                            runtime::ChannelPool& channels,
                                            const VertexTimer& timer);

}  // namespace backfire::gateway
