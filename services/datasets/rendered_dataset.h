#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "services/datasets/rendered_world.h"

namespace backfire::datasets {

/// Which rendered dataset: what its files hold follows from this and nothing else.
struct RenderedDatasetOptions {
  std::string profile = "tiny";
  int64_t train = 600, validation = 60, test = 320;  ///< Frames of each split, 0 to 100000.
  uint64_t seed = 1;
};

/// What RenderDataset did.
enum class RenderOutcome { kRendered, kWasThere };

/// Renders a dataset in KITTI's layout: `training/`, `ImageSets/{train,val,test}.txt` and
/// `rendered.txt`, which says what it was made from. It appears at `directory` whole or not at all.
/// A directory that holds this very dataset is left alone.
/// ALREADY_EXISTS: something else is there. ABORTED: another process renders there now. CANCELLED:
/// `cancelled` said so; nothing is left behind. INVALID_ARGUMENT: a profile or a count.
/// @param threads    >= 1; results do not depend on it.
/// @param progress   Called after each frame with (frames done, frames in all), from any thread but
///                   never twice at a time.
absl::StatusOr<RenderOutcome> RenderDataset(const RenderedDatasetOptions& options,
                                            const std::filesystem::path& directory, int threads,
                                            const std::function<void(int64_t, int64_t)>& progress,
                                            const std::function<bool()>& cancelled);

}  // namespace backfire::datasets
