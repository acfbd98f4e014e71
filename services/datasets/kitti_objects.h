#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/metrics/object.h"

namespace backfire::datasets {

/// Parses KITTI's object format (text as ReadTextFile gives it): a line per object with 15 columns
/// (a label) or 16 (a detection, whose last is the score); blank lines are skipped. Classes of
/// KITTI's in any case get KITTI's spelling. DATA_LOSS: `where:LINE: ...`.
absl::StatusOr<std::vector<metrics::Object>> ParseObjects(std::string_view content,
                                                          std::string_view where);
/// The same for a checker: every line that is malformed, or whose values make no sense (a type that
/// KITTI has not, truncation beyond [0, 1], an empty box ...), is added to `faults`; the other
/// lines are returned.
std::vector<metrics::Object> ParseObjectLines(std::string_view content, std::string_view where,
                                              std::vector<absl::Status>& faults);
/// Reads a file of that format. NOT_FOUND; DATA_LOSS with file and line.
absl::StatusOr<std::vector<metrics::Object>> ReadObjects(const std::filesystem::path& path);

/// Writes it as KITTI does: two decimals, a score (if there is one) with six.
std::string FormatObjects(const std::vector<metrics::Object>& objects);

/// The observation angle: rotation_y less the direction in which the object is seen, in [-pi, pi].
double ObservationAngle(const metrics::Box3d& box);

}  // namespace backfire::datasets
