#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/runtime/channel.h"

namespace backfire::runtime {

/// A version as a service keeps it.
struct StoredVersion {
  v1::Version version;
  std::string bytes;  ///< Its digest is over these and its input key.
};

/// How a replica gets a version, by its name, from the service that it is a replica of. Errors are
/// the primary's own; UNAVAILABLE: it is away; DATA_LOSS: the copy is damaged. Null if `primary` is
/// empty.
/// @param channels  Borrowed.
std::function<absl::StatusOr<StoredVersion>(const std::string& version)> FetchFrom(
    const std::string& primary, ChannelPool& channels);

}  // namespace backfire::runtime
