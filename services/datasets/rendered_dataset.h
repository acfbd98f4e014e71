#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "services/datasets/dataset_uri.h"
#include "services/datasets/rendered_world.h"

namespace backfire::datasets {

/// Which rendered dataset: what its files hold follows from this and nothing else.
struct RenderedDatasetOptions {
  RenderProfile profile;
  /// Frames of each split, 0 to kMaxRenderedFrames. The test split holds over 500 cars and over 500
  /// pedestrians that KITTI's evaluation counts (moderate): fewer can't tell 2 points of AP apart.
  int64_t train = 600, validation = 60, test = 320;
  uint64_t seed = 1;
  double height_scale = 1;  ///< Of the evaluation of its objects; not of its files.
};
inline constexpr int64_t kMaxRenderedFrames = 100000;

/// Reads a `rendered:` URI: see OpenStereoDataset. `uri` is the text that `parsed` came from.
absl::StatusOr<RenderedDatasetOptions> ParseRenderedUri(const std::string& uri,
                                                        const DatasetUri& parsed);

/// What RenderDataset did.
enum class RenderOutcome { kRendered, kWasThere };

/// Renders a dataset in KITTI's layout: `training/`, `ImageSets/{train,val,test}.txt` and
/// `rendered.txt`, which says what it was made from. It appears at `directory` whole or not at all.
/// A directory that holds this very dataset is left alone.
/// ALREADY_EXISTS: something else is there. ABORTED: another process renders there now. CANCELLED:
/// `cancelled` said so; nothing is left behind. INVALID_ARGUMENT: a count.
/// @param threads    >= 1; results do not depend on it.
/// @param progress   Called after each frame with (frames done, frames in all), from any thread but
///                   never twice at a time.
absl::StatusOr<RenderOutcome> RenderDataset(const RenderedDatasetOptions& options,
                                            const std::filesystem::path& directory, int threads,
                                            const std::function<void(int64_t, int64_t)>& progress,
                                            const std::function<bool()>& cancelled);

}  // namespace backfire::datasets
