#pragma once

#include <string>

#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// What the first line of every comment is, so that it can be found and updated in place.
inline constexpr char kMarkdownMarker[] = "<!-- backfire gate -->";

/// A report as one comment on a pull request, below 60 kB at 200 descendants: the marker, verdict
/// and reason, what blocks, is open or waived in a table, the rest folded, as far as it fits. Has
/// nothing in it that differs between equal results, as a time.
std::string Markdown(const v1::GateReport& report);

}  // namespace backfire::gate
