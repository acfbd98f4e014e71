#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>

namespace backfire::disparity {

/// How OpenCV's semi-global matching compares (Hirschmueller, PAMI 2008; cv::StereoSGBM).
struct SemiGlobalOptions {
  int64_t max_disparity = 96;  ///< Disparities searched are 0 to this - 1; a multiple of 16, px.
  int64_t block_size = 5;      ///< Side of the window that is matched; odd, px.
  double small_penalty = 8;    ///< For a step of 1 px, per pixel and channel of the window.
  double large_penalty = 96;   ///< For any larger step; likewise.
  int64_t paths = 8;           ///< Directions that costs are gathered from: 5 or 8.
  double left_right_px = 1;    ///< Most that matching from the right may differ, px.
  double uniqueness_percent = 10;  ///< By how much the best cost must beat the next.
  int64_t speckle_pixels = 200;    ///< Smaller patches of equal disparity are noise; 0: none are.
  double speckle_range_px = 2;     ///< What counts as equal there, px.
  int64_t filter_cap = 63;         ///< Clips the horizontal gradient that is matched.
};

/// The largest `large_penalty`, in tenths, with which OpenCV's costs fit into their 16 bits
/// whatever the images show; with a larger one they can wrap, and disparities be arbitrary. Not
/// positive: the costs of such a block don't fit by themselves. Blocks of 9 lose matches even so,
/// as OpenCV holds the sum over the paths at what 16 bits can hold.
double LargestPenalty(const SemiGlobalOptions& options);

/// Disparity of the left image of a rectified pair. Deterministic, on the calling thread.
/// @param left, right  CV_8UC3 or CV_8UC1 of one size, at least 16 x 16.
/// @return  CV_32FC1, px; 0 where there is no match: occluded, ambiguous, or beyond the right
///          image's edge. Matches are in steps of 1/16 px.
cv::Mat SemiGlobalMatch(const cv::Mat& left, const cv::Mat& right,
                        const SemiGlobalOptions& options);

/// Fills every pixel without a match (not > 0) as KITTI's development kit does before it evaluates:
/// along a row with the smaller of the two disparities beside the hole, as what is hidden is
/// behind; to the row's ends with the nearest; then rows without any match with the nearest above
/// that has one, those at the top with the nearest below. A map without any match stays as it is.
/// @param disparity  CV_32FC1; changed.
void FillHoles(cv::Mat& disparity);

}  // namespace backfire::disparity
