#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "orchestrator/study/study.pb.h"

namespace backfire::study {

/// Adds how deep the objects of a study's dataset lie, of the form
///     type<TAB>near_m<TAB>far_m<TAB>count
/// a range of a type a line, for the background of DepthFigure. INVALID_ARGUMENT: `name:line:
/// fault`.
/// @param name  Of the file, for faults.
absl::Status ParseObjectDepths(absl::string_view lines, const std::string& name,
                               StereoStudy& study);

/// u' - u of every entry as an SVG document: the estimate with its one-sided bounds, a point for
/// each piece beneath, and the paper's difference. To the right is worse. Depends on `study` alone.
std::string DifferencesFigure(const StereoStudy& study);

/// Disparity error against true depth of u and u' as an SVG document, each piece a thin line; the
/// objects' depths behind it, where the study has them. Depends on `study` alone.
std::string DepthFigure(const StereoStudy& study);

}  // namespace backfire::study
