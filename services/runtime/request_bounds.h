#pragma once

#include <google/protobuf/message.h>

#include "absl/status/status.h"

namespace backfire::runtime {

/// Whether everything in a request has a size that a service can keep, log and send on: each text,
/// each list, each mapping, and the whole. Bounds are by the names of fields, in one table; a field
/// that is new has the common bound. INVALID_ARGUMENT names the field: `dataset.uri must have at
/// most 65536 bytes: got 50000000`. Numbers and words are for whoever knows what they mean.
/// Costs a walk over what is set; tensors and pieces of files are not looked into.
absl::Status CheckBounds(const google::protobuf::Message& request);

}  // namespace backfire::runtime

/// Ends a call whose request is beyond its bounds: the first line of every method of a service,
/// and of whatever reads a stream. Needs services/rpc/rpc_status.h.
#define BACKFIRE_CHECK_BOUNDS(request)                                                  \
  do {                                                                                  \
    if (const absl::Status backfire_bounds = ::backfire::runtime::CheckBounds(request); \
        !backfire_bounds.ok()) {                                                        \
      return ::backfire::runtime::ToGrpcStatus(backfire_bounds);                        \
    }                                                                                   \
  } while (false)
