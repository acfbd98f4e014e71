#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "services/vision/view_page.h"

namespace backfire::vision {

/// Several frames as several systems see them, in one picture (CV_8UC3, RGB): a column for each
/// system, and for each frame the left image with boxes, disparities in colour, and a bird's-eye
/// view, with the ground truth in each; disparities have one scale throughout.
/// @param frames  At least one; their layers are the columns, 1 to 4, the same in each.
/// @param max_depth_m  How far bird's-eye views reach: what is farther is small, and in the image.
cv::Mat DrawComparison(const std::string& title, const std::vector<PageContent>& frames,
                       double max_depth_m);

}  // namespace backfire::vision
