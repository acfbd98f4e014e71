#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/metrics/disparity_error.h"
#include "services/vision/kitti_report.h"

namespace CLI {
class App;
}

namespace backfire::vision {

/// Evaluation records of an evaluation, for `backfire gate`: one replicate of one side.
struct RecordSettings {
  std::string path;                 ///< A file *.jsonl; empty: none is written.
  int64_t replicate = 0;            ///< The records' `seed`: of the training that made the results.
  std::vector<std::string> losses;  ///< Which; the policy names the same.

  bool wanted() const { return !path.empty(); }
  /// Adds --records, --replicate and --record-loss.
  /// @param known  Losses that there are, the default first.
  void AddTo(CLI::App& command, const std::vector<std::string>& known);
};

/// Average precisions as resampled rows, percent, higher is better: the vertex is the class in
/// lower case, and each slice of depth a slice. Losses are `ap_3d`, `ap_bev` and `ap_image`, of 40
/// recall points and moderate difficulty. Classes that nobody has labelled are left out.
/// @param report    With resamples.
/// @param labelled  Of each cell, then of each slice's: in how many frames a label counts.
/// INVALID_ARGUMENT: no class was labelled.
absl::StatusOr<std::string> KittiRecords(const KittiReport& report,
                                         const std::vector<int64_t>& labelled,
                                         const RecordSettings& settings);

/// Disparity errors as a row per image, of the vertex `disparity`: each loss is the ratio of two
/// columns. `disparity_mae`: absolute_error_px over pixels; `d1_all`: bad_pixels over pixels;
/// `depth_mae`: depth_error_m over predicted_pixels.
/// @param names  Of the images.
std::string DisparityRecords(const std::vector<std::string>& names,
                             const std::vector<metrics::DisparityErrorSums>& images,
                             const RecordSettings& settings);

}  // namespace backfire::vision
