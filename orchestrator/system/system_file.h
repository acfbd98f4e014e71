#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"

namespace backfire::system {

/// Reads a system from YAML text in the JSON form of v1.System. INVALID_ARGUMENT: not YAML, an
/// unknown or repeated field, or a value of the wrong type; or all that graph::SystemGraph::Build
/// finds, one a line. Each as `name:line: field: fault`.
/// @param name  Of the text, for messages.
absl::StatusOr<v1::System> ParseSystem(const std::string& text, const std::string& name);

/// Reads a system file. NOT_FOUND: there is no such file. Otherwise as ParseSystem.
absl::StatusOr<v1::System> LoadSystemFile(const std::string& path);

/// Faults of a system that was read from this file, as its services or the orchestrator see them,
/// with the lines of the file that they are about.
absl::Status LocateInFile(const absl::Status& faults, const std::string& path);

}  // namespace backfire::system
