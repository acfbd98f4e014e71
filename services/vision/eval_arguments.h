#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/metrics/kitti_evaluation.h"

namespace CLI {
class App;
}

namespace backfire::vision {

/// What every evaluation is asked besides its files.
struct EvalSettings {
  std::string format = "text";
  int32_t resamples = 0;  ///< Of the bootstrap.
  uint64_t seed = 0;
  int threads = 1;

  bool json() const { return format == "json"; }
  /// Adds --format, --bootstrap, --seed and --threads, whose default becomes the machine's cores.
  /// @param examples  What is drawn again: "frames", "images".
  void AddTo(CLI::App& command, const std::string& examples);
};

/// Sets overlap thresholds from entries `CLASS=IOU` or `CLASS:METRIC=IOU` (metric: image, bev, 3d);
/// later ones win. INVALID_ARGUMENT: which entry, and what must hold.
absl::Status ApplyIous(const std::vector<std::string>& entries,
                       std::vector<metrics::ClassRules>& classes);

/// Caps depth from entries `METRES`, for all classes, or `CLASS=METRES`. INVALID_ARGUMENT.
absl::Status ApplyMaxDepths(const std::vector<std::string>& entries,
                            std::vector<metrics::ClassRules>& classes);

/// A range of depths, metres: min < z <= max.
struct DepthSlice {
  std::string name;  ///< "depth_0_20_m", "depth_40_max_m".
  double min_m = 0;
  std::optional<double> max_m;
};
/// Parses entries `MIN-MAX`, where MAX may be `max`. INVALID_ARGUMENT.
absl::StatusOr<std::vector<DepthSlice>> ParseDepthSlices(const std::vector<std::string>& entries);

}  // namespace backfire::vision
