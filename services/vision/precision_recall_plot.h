#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/metrics/precision_recall.h"

namespace backfire::vision {

/// One curve of a plot: 41 samples at recall 0, 1/40 ... 1.
struct SampledCurve {
  std::string name;  ///< For the legend.
  metrics::PrecisionRecall::Samples samples{};
  size_t sample_count = 0;  ///< Those that a threshold gave; the rest is 0.
};

/// Draws curves over recall, as RGB. A curve falls to 0 after its last threshold.
cv::Mat DrawCurves(const std::string& title, const std::string& vertical_name,
                   const std::vector<SampledCurve>& curves);

}  // namespace backfire::vision
