#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/statusor.h"

namespace backfire::report {

/// A message as indented JSON, ended by a newline: protobuf's JSON form with field names as in the
/// .proto files, and with fields that have their default value. INTERNAL: it can't be written.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

}  // namespace backfire::report
