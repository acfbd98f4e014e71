#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backfire/v1/model_service.pb.h"
#include "services/metrics/disparity_error.h"

namespace backfire::vision {

/// An evaluation of disparity maps.
struct DisparityReport {
  int64_t images = 0;
  double pixels = 0;        ///< With ground truth.
  bool with_depth = false;  ///< Calibrations were given: depths and ranges of depth are known.
  /// `disparity_mae_px`, `end_point_error_px`, `d1_all_percent`, `depth_mae_m` and
  /// `predicted_percent`, each by range, with their resamples.
  v1::Evaluation evaluation;
};

/// Computes it from the sums of each image.
DisparityReport MakeDisparityReport(const std::vector<metrics::DisparityErrorSums>& images,
                                    bool with_depth, const v1::Bootstrap& bootstrap);

/// A row per loss, a column per range of ground-truth depth.
std::string FormatDisparityTable(const DisparityReport& report);
/// `{"images": ..., "pixels": ..., "disparity_mae_px": {"all": ..., "depth_0_20_m": ...}, ...}`,
/// and with a bootstrap `standard_error` and `interval` of the same form. NaN (no pixel) is null.
std::string FormatDisparityJson(const DisparityReport& report);

}  // namespace backfire::vision
