#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "backfire/v1/model_service.pb.h"
#include "services/rpc/channel.h"
#include "services/runtime/outputs/example_file.h"
#include "services/runtime/outputs/outputs_digest.h"

namespace backfire::runtime {

/// Pulls a parent version's outputs for a split from the parent's service, by Materialize, into a
/// file. A service that does not answer is tried again, backing off, for some minutes; what arrived
/// before is not asked for twice. FAILED_PRECONDITION: `request.endpoints` has no endpoint for the
/// parent. CANCELLED: `cancelled` said so. Other errors as the parent's service gives them, with
/// its endpoint.
/// @param expected_count  Examples of the split here; the parent must have as many.
/// @param hasher  Gets every example that arrives.
absl::Status PullParentOutputs(ChannelPool& channels, const v1::MaterializeRequest& request,
                               int64_t expected_count, const std::function<bool()>& cancelled,
                               const std::function<void(int64_t done)>& progress,
                               ExampleFileWriter& writer, OutputsHasher& hasher);

}  // namespace backfire::runtime
