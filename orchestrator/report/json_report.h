#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::report {

/// A message as indented JSON, ended by a newline: protobuf's JSON form with field names as in the
/// .proto files, and with fields that have their default value. INTERNAL: it can't be written.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

/// Why a command failed, for programs, on one line without its end:
/// `{"error":{"code":"NOT_FOUND","message":"...","exit_code":2}}`.
std::string ErrorLine(const absl::Status& status, int exit_code);

}  // namespace backfire::report
