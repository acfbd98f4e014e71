// KITTI's layouts as a dataset.
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"
#include "services/datasets/dataset_sources.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_calibration.h"
#include "services/datasets/kitti_clusters.h"
#include "services/datasets/kitti_layout.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/lidar.h"

namespace backfire::datasets {
namespace {

using runtime::Split;

constexpr std::array<Split, 3> kSplits = {Split::kTrain, Split::kValidation, Split::kTest};

// What would be another if a file's content were: size, and times to the nanosecond.
std::string StateOf(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "-";
  return absl::StrCat(status.st_ino, ".", status.st_size, ".", status.st_mtim.tv_sec, ".",
                      status.st_mtim.tv_nsec, ".", status.st_ctim.tv_sec, ".",
                      status.st_ctim.tv_nsec);
}

// Digests of frames that this process has read already: a service opens its dataset for each job,
// and a whole KITTI is 20 GB. Thread-safe.
class DigestMemo {
 public:
  static DigestMemo& Get() {
    static auto* memo = new DigestMemo;
    return *memo;
  }
  std::optional<std::string> Find(const std::string& key, const std::string& state) {
    MutexLock lock(mutex_);
    const auto found = known_.find(key);
    if (found == known_.end() || found->second.first != state) return std::nullopt;
    return found->second.second;
  }
  void Keep(const std::string& key, const std::string& state, const std::string& digest) {
    MutexLock lock(mutex_);
    known_[key] = {state, digest};
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::pair<std::string, std::string>> known_ ABSL_GUARDED_BY(mutex_);
};

class KittiDataset : public StereoDataset {
 public:
  // `clusters` are known of every frame of the splits, or of none.
  KittiDataset(std::string uri, DisparitySource disparity, KittiLayout layout,
               std::array<std::vector<std::string>, 3> ids,
               std::map<std::string, std::string> clusters, double height_scale,
               runtime::DatasetRoots roots)
      : uri_(std::move(uri)),
        disparity_(disparity),
        layout_(std::move(layout)),
        ids_(std::move(ids)),
        clusters_(std::move(clusters)),
        height_scale_(height_scale),
        roots_(std::move(roots)) {}

  // Reads every file that is used once. CANCELLED: as `access` says.
  absl::Status ComputeDigest(const runtime::DatasetAccess& access) {
    std::map<std::string, std::string> frames;  // A frame may be in several splits.
    for (const auto& ids : ids_) {
      for (const std::string& id : ids) frames[id];
    }
    BACKFIRE_RETURN_IF_ERROR(DigestFrames(frames, access));
    Sha256 digest;
    digest.UpdateField("kitti");
    for (const Split split : kSplits) {
      digest.UpdateField(runtime::SplitName(split));
      digest.UpdateField(absl::StrCat(ids_[static_cast<size_t>(split)].size()));
      for (const std::string& id : ids_[static_cast<size_t>(split)]) {
        digest.UpdateField(id).UpdateField(frames[id]);
      }
    }
    if (!clusters_.empty()) digest.UpdateField("clusters");
    for (const auto& [id, cluster] : clusters_) digest.UpdateField(id).UpdateField(cluster);
    DigestHeightScale(height_scale_, digest);
    digest_ = digest.Finish();
    return absl::OkStatus();
  }

  const std::string& uri() const override { return uri_; }
  const std::string& digest() const override { return digest_; }
  int64_t size(Split split) const override {
    return static_cast<int64_t>(ids_[static_cast<size_t>(split)].size());
  }
  std::string ExampleId(Split split, int64_t example) const override {
    return ids_[static_cast<size_t>(split)][static_cast<size_t>(example)];
  }
  std::string Cluster(Split split, int64_t example) const override {
    const auto found = clusters_.find(ExampleId(split, example));
    return found == clusters_.end() ? "" : found->second;
  }
  double height_scale() const override { return height_scale_; }

  absl::StatusOr<cv::Mat> LeftImage(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kLeft, split, example));
    return ReadRgbImage(path);
  }
  absl::StatusOr<cv::Mat> RightImage(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kRight, split, example));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, ReadRgbImage(path));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Size size, ImageSize(split, example));
    BACKFIRE_RETURN_IF_ERROR(CheckSize(path, image.size(), size));
    return image;
  }
  absl::StatusOr<cv::Size> ImageSize(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kLeft, split, example));
    return ReadPngSize(path);
  }
  absl::StatusOr<StereoCalibration> Calibration(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const KittiCalibration calibration, Everything(split, example));
    return calibration.Stereo();
  }
  absl::StatusOr<cv::Mat> Disparity(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kDisparity, split, example));
    if (disparity_ == DisparitySource::kFile ||
        (disparity_ == DisparitySource::kAuto && Exists(path))) {
      return ReadDisparity(path, split, example);
    }
    BACKFIRE_ASSIGN_OR_RETURN(const auto scan_path, Path(KittiFile::kLidar, split, example));
    if (!Exists(scan_path)) {
      return absl::NotFoundError(
          absl::StrCat(disparity_ == DisparitySource::kAuto ? path.string() + " nor " : "",
                       scan_path.string(), ": no such file"));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<LidarPoint> scan, ReadLidar(scan_path));
    BACKFIRE_ASSIGN_OR_RETURN(const KittiCalibration calibration, Everything(split, example));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Size size, ImageSize(split, example));
    return WithPath(DisparityFromLidar(scan, calibration, size), split, example);
  }
  absl::StatusOr<cv::Mat> VisibleDisparity(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kVisibleDisparity, split, example));
    return ReadDisparity(path, split, example);
  }
  absl::StatusOr<std::vector<metrics::Object>> Labels(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kLabels, split, example));
    return ReadObjects(path);
  }
  absl::StatusOr<std::vector<cv::Point3d>> LidarPoints(Split split,
                                                       int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kLidar, split, example));
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<LidarPoint> scan, ReadLidar(path));
    BACKFIRE_ASSIGN_OR_RETURN(const KittiCalibration calibration, Everything(split, example));
    return WithPath(LidarInRect(scan, calibration), split, example);
  }

 private:
  // Where a file is that may be read: a frame may be a link to anywhere.
  absl::StatusOr<std::filesystem::path> Path(KittiFile file, Split split, int64_t example) const {
    BACKFIRE_RETURN_IF_ERROR(CheckExample(split, example));
    return Path(file, ExampleId(split, example));
  }
  absl::StatusOr<std::filesystem::path> Path(KittiFile file, const std::string& id) const {
    std::filesystem::path path = layout_.Path(file, id);
    BACKFIRE_RETURN_IF_ERROR(roots_.Check(path));
    return path;
  }

  static bool Exists(const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::exists(path, error);
  }

  // Names the calibration that lacks the LiDAR's place.
  template <typename Value>
  absl::StatusOr<Value> WithPath(absl::StatusOr<Value> value, Split split, int64_t example) const {
    if (!absl::IsFailedPrecondition(value.status())) return value;
    const auto path = layout_.Path(KittiFile::kCalibration, ExampleId(split, example));
    return absl::FailedPreconditionError(
        absl::StrCat(path.string(), ": ", value.status().message()));
  }

  absl::StatusOr<KittiCalibration> Everything(Split split, int64_t example) const {
    BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(KittiFile::kCalibration, split, example));
    return ReadKittiCalibration(path);
  }

  absl::StatusOr<cv::Mat> ReadDisparity(const std::filesystem::path& path, Split split,
                                        int64_t example) const {
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat disparity, ReadDisparityImage(path));
    BACKFIRE_ASSIGN_OR_RETURN(const cv::Size size, ImageSize(split, example));
    BACKFIRE_RETURN_IF_ERROR(CheckSize(path, disparity.size(), size));
    return disparity;
  }

  static absl::Status CheckSize(const std::filesystem::path& path, cv::Size size, cv::Size left) {
    if (size == left) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(path.string(), ": is ", size.width, "x", size.height,
                                            " pixels, the left image ", left.width, "x",
                                            left.height));
  }

  // Fills in a digest of each frame's files, on all cores: a whole KITTI is 20 GB.
  absl::Status DigestFrames(std::map<std::string, std::string>& frames,
                            const runtime::DatasetAccess& access) const {
    std::vector<std::pair<const std::string, std::string>*> work;
    for (auto& frame : frames) work.push_back(&frame);
    Mutex mutex;
    size_t failed_at = work.size();  // The first in order, whichever thread met it.
    absl::Status failure;
    std::atomic<size_t> next{0};
    const auto run = [&] {
      for (size_t i = next++; i < work.size(); i = next++) {
        auto digest = FrameDigest(work[i]->first, access);
        if (digest.ok()) {
          work[i]->second = *std::move(digest);
          continue;
        }
        MutexLock lock(mutex);
        if (i < failed_at) {
          failed_at = i;
          failure = digest.status();
        }
        next = work.size();
      }
    };
    const unsigned count = std::min<unsigned>(std::max(1u, std::thread::hardware_concurrency()), 8);
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < count && i < work.size(); ++i) threads.emplace_back(run);
    run();
    for (std::thread& thread : threads) thread.join();
    return failure;
  }

  struct Use {
    KittiFile file;
    const char* name;
    bool required;
  };

  // Files of a frame that are read. The first two are required when a dataset is opened (KITTI 2015
  // may lack the second); real KITTI lacks others here and there: labels of the test set,
  // disparities of the object set. Scans count only where the disparity comes from them.
  std::vector<Use> UsedFiles(const std::string& id) const {
    std::vector<Use> uses = {{KittiFile::kLeft, "image_2", true},
                             {KittiFile::kCalibration, "calib", !layout_.stereo_2015()},
                             {KittiFile::kRight, "image_3", false},
                             {KittiFile::kLabels, "label_2", false},
                             {KittiFile::kDisparity, "disp_occ_0", false}};
    if (disparity_ == DisparitySource::kLidar ||
        (disparity_ == DisparitySource::kAuto &&
         !Exists(layout_.Path(KittiFile::kDisparity, id)))) {
      uses.push_back({KittiFile::kLidar, "velodyne", false});
    }
    return uses;
  }

  absl::StatusOr<std::string> FrameDigest(const std::string& id,
                                          const runtime::DatasetAccess& access) const {
    const std::vector<Use> uses = UsedFiles(id);
    std::string state = absl::StrCat(static_cast<int>(disparity_));
    for (const Use& use : uses) {
      BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
      BACKFIRE_ASSIGN_OR_RETURN(const auto path, Path(use.file, id));
      absl::StrAppend(&state, " ", StateOf(path));
    }
    const std::string key = layout_.Path(KittiFile::kLeft, id).string();
    if (auto known = DigestMemo::Get().Find(key, state)) return *std::move(known);
    Sha256 digest;
    for (const Use& use : uses) {
      BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
      const auto content = ReadRegularFile(layout_.Path(use.file, id));
      if (content.ok()) {
        digest.UpdateField(use.name).UpdateField(*content);
      } else if (use.required || !absl::IsNotFound(content.status())) {
        return content.status();
      }
    }
    if (disparity_ != DisparitySource::kAuto) {
      digest.UpdateField(disparity_ == DisparitySource::kLidar ? "from lidar" : "from file");
    }
    std::string result = digest.Finish();
    DigestMemo::Get().Keep(key, state, result);
    return result;
  }

  const std::string uri_;
  const DisparitySource disparity_;
  const KittiLayout layout_;
  const std::array<std::vector<std::string>, 3> ids_;  // By split.
  const std::map<std::string, std::string> clusters_;  // By frame.
  const double height_scale_;
  const runtime::DatasetRoots roots_;
  std::string digest_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenKittiDataset(
    const std::string& uri, const DatasetUri& parsed, const runtime::DatasetAccess& access) {
  BACKFIRE_ASSIGN_OR_RETURN(const KittiOptions options, ParseKittiUri(uri, parsed));
  auto layout = KittiLayout::Find(options.directory, access);
  if (!layout.ok()) {
    return absl::Status(layout.status().code(),
                        absl::StrCat(layout.status().message(), " (dataset ", uri, ")"));
  }
  std::array<std::vector<std::string>, 3> ids;
  for (const Split split : kSplits) {
    const auto index = static_cast<size_t>(split);
    BACKFIRE_ASSIGN_OR_RETURN(ids[index], layout->ReadList(options.lists[index], nullptr, access));
  }
  std::map<std::string, std::string> clusters;
  if (!options.clusters.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(
        const auto known,
        KittiClusters::Read(options.directory, options.clusters, nullptr, access));
    for (const auto& of_split : ids) {
      for (const std::string& id : of_split) {
        BACKFIRE_ASSIGN_OR_RETURN(clusters[id], known.Of(id));
      }
    }
  }
  auto dataset =
      std::make_shared<KittiDataset>(uri, options.disparity, *std::move(layout), std::move(ids),
                                     std::move(clusters), options.height_scale, access.roots);
  BACKFIRE_RETURN_IF_ERROR(dataset->ComputeDigest(access));
  return TransformDataset(std::move(dataset), options.transform);
}

}  // namespace backfire::datasets
