#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/datasets/dataset_uri.h"
#include "services/datasets/stereo_dataset.h"
#include "services/runtime/dataset_access.h"

namespace backfire::datasets {

/// What OpenStereoDataset chooses from, by scheme. `uri` is the text that `parsed` came from.
absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenKittiDataset(
    const std::string& uri, const DatasetUri& parsed, const runtime::DatasetAccess& access);
absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenRenderedDataset(const std::string& uri,
                                                                         const DatasetUri& parsed);

}  // namespace backfire::datasets
