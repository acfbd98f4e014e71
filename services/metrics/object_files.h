#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/metrics/matching_rules.h"

namespace backfire::metrics {

enum class ObjectFileKind { kLabels, kDetections };

/// Parses (text as ReadTextFile gives it) labels (15 columns) or detections (16: the last is the
/// score) as KITTI's evaluator does: a stream of tokens, whatever the lines. The evaluator skips
/// what it can't read without a word; here that is an error. DATA_LOSS: `where:LINE: ...`: a
/// missing column, something that is no finite number.
absl::StatusOr<std::vector<Object>> ParseObjectStream(std::string_view content, ObjectFileKind kind,
                                                      std::string_view where);

/// The frames of an evaluation.
struct EvaluationFrames {
  std::vector<std::string> ids;      ///< "000007" ..., rising.
  std::vector<ImageObjects> images;  ///< By id.
  int64_t other_files = 0;           ///< In the folder of detections, not named like a frame.
  int64_t unanswered_labels = 0;     ///< Label files left out, for they have no detection file.
};

/// Reads an evaluation's files: the frames are those that have a detection file `NNNNNN.txt`, six
/// digits; an empty one counts, and labels without one are left out.
/// @param labels      The folder of label files, or one with `label_2` in it.
/// @param detections  The folder of detection files, or one with `data` in it: the layout that the
///                    official tool wants.
/// NOT_FOUND: a folder, any frame, or a frame's labels. DATA_LOSS: the first fault, with file and
/// line, and how many more frames have one. Frames are read in parallel; the outcome does not
/// depend on the number of threads.
absl::StatusOr<EvaluationFrames> ReadEvaluationFrames(const std::filesystem::path& labels,
                                                      const std::filesystem::path& detections,
                                                      int threads);

}  // namespace backfire::metrics
