// The rendered world as a dataset: frames are drawn when they are asked for.
#include <array>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/digest.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/datasets/dataset_sources.h"
#include "services/datasets/frame_cache.h"
#include "services/datasets/rendered/labels.h"
#include "services/datasets/rendered_dataset.h"
#include "services/datasets/rendered_world.h"

namespace backfire::datasets {
namespace {

using runtime::Split;

constexpr size_t kCacheBytes = size_t{128} << 20;

class RenderedStereoDataset : public StereoDataset {
 public:
  RenderedStereoDataset(std::string uri, RenderProfile profile,
                        const RenderedDatasetOptions& options)
      : uri_(std::move(uri)),
        profile_(std::move(profile)),
        seed_(options.seed),
        sizes_({options.train, options.validation, options.test}),
        height_scale_(options.height_scale),
        cache_(kCacheBytes) {
    // Frames are a pure function of these.
    Sha256 digest;
    digest.UpdateField("rendered").UpdateField(absl::StrCat(kRenderVersion));
    digest.UpdateField(FormatProfile(profile_)).UpdateField(absl::StrCat(seed_));
    for (const int64_t size : sizes_) digest.UpdateField(absl::StrCat(size));
    DigestHeightScale(height_scale_, digest);
    digest_ = digest.Finish();
  }

  const std::string& uri() const override { return uri_; }
  const std::string& digest() const override { return digest_; }
  int64_t size(Split split) const override { return sizes_[static_cast<size_t>(split)]; }
  // As in the directory that RenderDataset writes: numbers go on from split to split.
  std::string ExampleId(Split split, int64_t example) const override {
    for (size_t i = 0; i < static_cast<size_t>(split); ++i) example += sizes_[i];
    return absl::StrFormat("%06d", example);
  }
  // Every frame is a street of its own.
  std::string Cluster(Split split, int64_t example) const override {
    return ExampleId(split, example);
  }

  double height_scale() const override { return height_scale_; }

  absl::StatusOr<cv::Mat> LeftImage(Split split, int64_t example) const override {
    return Part(split, example, &StereoFrame::left);
  }
  absl::StatusOr<cv::Mat> RightImage(Split split, int64_t example) const override {
    return Part(split, example, &StereoFrame::right);
  }
  absl::StatusOr<StereoCalibration> Calibration(Split split, int64_t example) const override {
    BACKFIRE_RETURN_IF_ERROR(CheckExample(split, example));
    return ProfileCalibration(profile_);
  }
  absl::StatusOr<cv::Mat> Disparity(Split split, int64_t example) const override {
    return Part(split, example, &StereoFrame::disparity);
  }
  absl::StatusOr<cv::Mat> VisibleDisparity(Split split, int64_t example) const override {
    return Part(split, example, &StereoFrame::visible_disparity);
  }
  absl::StatusOr<std::vector<metrics::Object>> Labels(Split split, int64_t example) const override {
    BACKFIRE_RETURN_IF_ERROR(CheckExample(split, example));
    // Detectors ask for labels alone, and for all of a split: small, and quickly made.
    const int64_t key = Key(split, example);
    {
      MutexLock lock(mutex_);
      const auto found = labels_.find(key);
      if (found != labels_.end()) return found->second;
    }
    std::vector<metrics::Object> labels = RenderLabels(profile_, seed_, split, example);
    MutexLock lock(mutex_);
    return labels_.emplace(key, std::move(labels)).first->second;
  }

 private:
  // A copy: the cache may drop the frame, and callers may write on what they got.
  absl::StatusOr<cv::Mat> Part(Split split, int64_t example, cv::Mat StereoFrame::*part) const {
    BACKFIRE_RETURN_IF_ERROR(CheckExample(split, example));
    return ((*Frame(split, example)).*part).clone();
  }

  static int64_t Key(Split split, int64_t example) {
    return static_cast<int64_t>(split) << 32 | example;
  }

  std::shared_ptr<const StereoFrame> Frame(Split split, int64_t example) const {
    return cache_.Get(Key(split, example),
                      [&] { return RenderFrame(profile_, seed_, split, example); });
  }

  const std::string uri_;
  const RenderProfile profile_;
  const uint64_t seed_;
  const std::array<int64_t, 3> sizes_;  // By split.
  const double height_scale_;
  std::string digest_;
  mutable FrameCache cache_;
  mutable Mutex mutex_;
  mutable std::map<int64_t, std::vector<metrics::Object>> labels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<RenderedDatasetOptions> ParseRenderedUri(const std::string& uri,
                                                        const DatasetUri& parsed) {
  RenderedDatasetOptions options;
  BACKFIRE_ASSIGN_OR_RETURN(options.profile, FindRenderProfile(parsed.path));
  for (const auto& [name, value] : parsed.parameters) {
    int64_t* count = name == "frames"       ? &options.train
                     : name == "validation" ? &options.validation
                     : name == "test"       ? &options.test
                                            : nullptr;
    if (count != nullptr) {
      if (!absl::SimpleAtoi(value, count) || *count < 0 || *count > kMaxRenderedFrames) {
        return MalformedUri(uri, absl::StrCat(name, " must be a whole number in [0, ",
                                              kMaxRenderedFrames, "]: got \"", value, "\""));
      }
    } else if (name == "seed") {
      if (!absl::SimpleAtoi(value, &options.seed)) {
        return MalformedUri(
            uri, absl::StrCat("seed must be a whole number in [0, 2^64): got \"", value, "\""));
      }
    } else if (name == kHeightScale) {
      BACKFIRE_ASSIGN_OR_RETURN(options.height_scale, ParseHeightScale(uri, value));
    } else if (const absl::Status set = SetParameter(options.profile, name, value); !set.ok()) {
      return MalformedUri(uri, absl::StrCat(set.message(), " (and frames, validation, test, seed, ",
                                            kHeightScale, ")"));
    }
  }
  if (options.profile.far_m < options.profile.near_m) {
    return MalformedUri(uri, "far_m must not be below near_m");
  }
  if (options.train + options.validation + options.test == 0) {
    return MalformedUri(uri, "frames, validation and test are all 0");
  }
  return options;
}

absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenRenderedDataset(const std::string& uri,
                                                                         const DatasetUri& parsed) {
  BACKFIRE_ASSIGN_OR_RETURN(const RenderedDatasetOptions options, ParseRenderedUri(uri, parsed));
  return std::make_shared<RenderedStereoDataset>(uri, options.profile, options);
}

}  // namespace backfire::datasets
