#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/system.pb.h"

namespace backfire::planar {

/// Draws what a system's proposal does, as the paper draws it, as an SVG document.
///
/// A vertex that is fed a position: ground truth; what its parent predicts, with the boundaries of
/// the optimal classifier, the optimal one in the hypothesis set, and the one learned by replicate
/// 0; the same after the update. A vertex that is fed labels: what each parent and the vertex say,
/// before and after, over what they should say.
/// @param proposal  Position in system.proposals().
/// INVALID_ARGUMENT: no such proposal; no vertex that it changes has references; or as
/// Rehearsal::Make.
absl::StatusOr<std::string> DrawFigure(const v1::System& system, int proposal);

}  // namespace backfire::planar
