#pragma once

#include <array>
#include <string>

#include "orchestrator/study/study.pb.h"

namespace backfire::study {

/// A detector's average precision, with what the paper measured by u, u' and y (Wu et al., 2021,
/// Tables 1 and 3), percent.
struct DetectorRow {
  const char* detector;
  const char* vertex;
  const char* loss;
  double paper_u, paper_improved, paper_oracle;
};

inline constexpr std::array<DetectorRow, 8> kTable1 = {{
    {"PointRCNN, car", "car-rcnn", "ap_3d", 39.91, 38.75, 68.06},
    {"PointRCNN, car", "car-rcnn", "ap_bev", 50.34, 49.30, 78.43},
    {"Frustum PointNet, car", "car", "ap_3d", 33.64, 32.78, 55.46},
    {"Frustum PointNet, car", "car", "ap_bev", 43.79, 42.77, 67.35},
    {"PointRCNN, pedestrian", "pedestrian-rcnn", "ap_3d", 34.42, 27.64, 55.19},
    {"PointRCNN, pedestrian", "pedestrian-rcnn", "ap_bev", 38.51, 31.47, 63.00},
    {"Frustum PointNet, pedestrian", "pedestrian", "ap_3d", 43.02, 43.10, 62.16},
    {"Frustum PointNet, pedestrian", "pedestrian", "ap_bev", 50.49, 48.29, 65.92},
}};

/// Of detectors that are trained only on pedestrians within 20 m.
inline constexpr std::array<DetectorRow, 4> kTable3 = {{
    {"PointRCNN, pedestrian", "pedestrian-near-rcnn", "ap_3d", 30.53, 34.20, 55.19},
    {"PointRCNN, pedestrian", "pedestrian-near-rcnn", "ap_bev", 34.09, 38.83, 64.25},
    {"Frustum PointNet, pedestrian", "pedestrian-near", "ap_3d", 44.10, 46.14, 62.16},
    {"Frustum PointNet, pedestrian", "pedestrian-near", "ap_bev", 51.84, 53.99, 65.23},
}};

/// A range of true depth of Table 2. The first is all of it; the others lie side by side, from near
/// to far.
struct DepthRow {
  const char* range;
  const char* slice;
  double near_m, far_m;
};

inline constexpr std::array<DepthRow, 4> kTable2 = {{{"all", "", 0, 80},
                                                     {"0 to 20 m", "depth_0_20_m", 0, 20},
                                                     {"20 to 40 m", "depth_20_40_m", 20, 40},
                                                     {"beyond 40 m", "depth_40_max_m", 40, 80}}};
/// The paper's disparity MAE of u and u' at all depths, px.
inline constexpr double kPaperErrorOfU = 1.28, kPaperErrorOfImproved = 1.21;

/// The slice of a detector's loss that is its average precision of 11 recall points, which is what
/// the paper's numbers are: shown, and never primary.
inline constexpr char kElevenPoints[] = "recall_11";

/// The study's entry of a loss; nullptr: there is none.
inline const StereoEntry* FindEntry(const StereoStudy& study, const std::string& vertex,
                                    const std::string& loss, const std::string& slice = "") {
  for (const StereoEntry& entry : study.entries()) {
    if (entry.vertex() == vertex && entry.loss() == loss && entry.slice() == slice) return &entry;
  }
  return nullptr;
}

/// The name of an average precision for people.
inline const char* PrecisionName(const DetectorRow& row) {
  return std::string(row.loss) == "ap_3d" ? "AP_3D" : "AP_BEV";
}

}  // namespace backfire::study
