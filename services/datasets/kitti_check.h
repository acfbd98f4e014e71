#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "services/datasets/dataset_check.h"
#include "services/datasets/kitti_layout.h"
#include "services/metrics/object.h"

namespace backfire::datasets {

/// What CheckDataset does with a dataset of files in KITTI's layout: adds what they are and what is
/// wrong with them. CANCELLED: `cancelled` said so.
/// @param progress  Called after each frame with (frames done, frames in all).
absl::Status CheckKitti(const KittiOptions& options, const KittiLayout& layout,
                        const std::function<void(int64_t, int64_t)>& progress,
                        const std::function<bool()>& cancelled, DatasetReport& report);

/// Adds the labels of a frame, and those among them that KITTI's evaluation counts at moderate.
/// @param height_scale  Of the 25 px that a counted box is high at least.
void CountLabels(const std::vector<metrics::Object>& labels, double height_scale,
                 SplitSummary& summary);

}  // namespace backfire::datasets
