#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/records/change.h"
#include "orchestrator/store/repository.h"

// Calls that are done once, however often they come: by their request_id.
namespace backfire::commands {

/// Digest of a call's method and arguments, by its request message, but for who asks.
std::string RequestFingerprint(const google::protobuf::Message& request);

/// What the call with this request_id made before; empty: it is new, or has none.
/// INVALID_ARGUMENT: malformed. ALREADY_EXISTS: it was another call, or had other arguments.
absl::StatusOr<std::string> FindDone(const store::Repository& history,
                                     const std::string& request_id,
                                     const google::protobuf::Message& request);

/// Notes what a call makes or changes, if it has a request_id.
void NoteDone(const std::string& request_id, const google::protobuf::Message& request,
              const std::string& resource, records::Change& change);

}  // namespace backfire::commands
