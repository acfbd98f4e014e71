#pragma once

#include <cstdint>
#include <vector>

#include "services/base/random.h"
#include "services/detection/point_rcnn/cloud_augmentation.h"

namespace backfire::detection {

/// What the first stage should say of every point of a cloud.
struct PointLabels {
  std::vector<int64_t>
      labels;                ///< [n]: 1 inside a box, -1 only inside a box grown by 0.2 m, else 0.
  std::vector<float> truth;  ///< [n, 7]: where 1, the box relative to the point; see BinCoding.
};
PointLabels LabelPoints(const LabelledCloud& cloud);

/// RoIs to learn the second stage from, with what it should say of them.
struct RoiSample {
  std::vector<float> boxes;     ///< [n, 7].
  std::vector<int64_t> labels;  ///< [n]: 1 above 0.6 IoU with a true box, 0 below 0.45, else -1.
  std::vector<int64_t> valid;   ///< [n]: 1 above 0.55: the regression counts.
  std::vector<float> truth;     ///< [n, 7]: the true box relative to the RoI, in its frame.
};

/// Draws `count` RoIs out of proposals [n, 7]: at most half of them with an IoU of at least 0.55
/// (jittered within that), the others below 0.45, of which four fifths touch an object. True boxes,
/// jittered, are proposals too: an untrained first stage finds none. Fewer if there are too few.
RoiSample SampleRois(const std::vector<float>& proposals, const std::vector<float>& true_boxes,
                     int64_t count, Random& random);

}  // namespace backfire::detection
