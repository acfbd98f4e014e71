#pragma once

#include <string>

#include "backfire/v1/model_service.pb.h"

namespace backfire::report {

/// One version: how it came to be, what feeds it, every parameter; ended by a newline.
std::string VersionText(const v1::Version& version);

/// A line per version, and how to get those of the next page if there is one.
std::string VersionListText(const v1::ListVersionsResponse& versions);

}  // namespace backfire::report
