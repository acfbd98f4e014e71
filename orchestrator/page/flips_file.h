#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/flips.pb.h"
#include "backfire/v1/gate.pb.h"

namespace backfire::page {

/// What `backfire vision flips --out` wrote. INVALID_ARGUMENT: it is something else. Otherwise as
/// ReadRegularFile.
absl::StatusOr<v1::ExampleFlips> ReadFlips(const std::string& path);

/// INVALID_ARGUMENT: flips are not of the two releases that a report's update has.
/// @param path  Where they are from, for the message.
absl::Status CheckFlips(const std::string& path, const v1::ExampleFlips& flips,
                        const v1::GateReport& report);

}  // namespace backfire::page
