#pragma once

#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

namespace backfire::planning {

/// A time of day as messages have it.
inline google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  const absl::Duration since = time - absl::UnixEpoch();
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(absl::ToUnixSeconds(time));
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(since - absl::Seconds(timestamp.seconds()))));
  return timestamp;
}

}  // namespace backfire::planning
