#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"

namespace backfire {

/// Reads a message from YAML text in the message's JSON form. INVALID_ARGUMENT: not YAML, an
/// unknown or repeated field, a value of the wrong type, or aliases that make much more of the text
/// than it is, as `name:line: field: fault`.
/// @param name  Of the text, for messages of faults.
absl::Status ParseYaml(const std::string& text, const std::string& name,
                       google::protobuf::Message& message);

/// Gives faults of a message that was read from `text`, one a line, the line of the text that their
/// path leads to: `vertices[a].inputs[x]: ...` becomes `name:41: vertices[a]...`.
absl::Status LocateFaults(const absl::Status& faults, const std::string& text,
                          const std::string& name);

}  // namespace backfire
