#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "services/rpc/channel.h"

namespace backfire::runtime {

/// A version as a service keeps it.
struct StoredVersion {
  v1::Version version;
  std::string bytes;  ///< Its digest is over these and its input key.
};

/// The service that a replica copies versions from. Errors are its own; UNAVAILABLE: it is away.
/// Thread-safe.
class Primary {
 public:
  /// @param channels  Borrowed.
  Primary(std::string endpoint, ChannelPool& channels);

  /// The digest of its version of this name. Answers within seconds.
  absl::StatusOr<std::string> Digest(const std::string& version) const;
  /// Its version of this name. DATA_LOSS: the copy is damaged. CANCELLED: `cancelled` said so.
  absl::StatusOr<StoredVersion> Fetch(const std::string& version,
                                      const std::function<bool()>& cancelled) const;

 private:
  const std::string endpoint_;
  ChannelPool& channels_;
};

}  // namespace backfire::runtime
