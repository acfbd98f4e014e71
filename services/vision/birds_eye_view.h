#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/vision/image_overlay.h"

namespace backfire::vision {

/// What a bird's-eye view shows.
struct BirdsEyeScene {
  const std::vector<cv::Point3f>* points = nullptr;  ///< Metres, camera 0; may be null.
  std::vector<BoxLayer> layers;                      ///< 3D boxes, drawn in order.
  std::string name;                                  ///< Shown in its corner; empty: none.
  cv::Scalar name_colour;
  double max_depth_m = 40;
  double tangent_of_half_view = 0;  ///< Of the left camera; 0: not shown.
};

/// The least of 20, 30, 40 ... 80 m that shows all these objects; where there is none, that shows
/// 95 % of these points, of those that are drawn.
double ViewDepth(const std::vector<const std::vector<metrics::Object>*>& objects,
                 const std::vector<const std::vector<cv::Point3f>*>& points);

/// Seen from above: the camera at the bottom, z upwards, x to the right, one scale in both. Range
/// rings every 10 m, footprints with a line from the centre to the front, scores beside them.
cv::Mat DrawBirdsEyeView(const BirdsEyeScene& scene, cv::Size size);

}  // namespace backfire::vision
