// KITTI's object layout, with disparities as in KITTI 2015.
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_objects.h"
#include "services/datasets/stereo_dataset.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;

constexpr absl::string_view kScheme = "kitti:";
constexpr std::array<Split, 3> kSplits = {Split::kTrain, Split::kValidation, Split::kTest};

// Folders of a frame's files. The first two are required when a dataset is opened; real KITTI
// lacks others here and there (labels of the test set, disparities of the object set).
struct Folder {
  const char* name;
  const char* extension;
  bool required;
};
constexpr std::array<Folder, 5> kFolders = {{{"image_2", ".png", true},
                                             {"calib", ".txt", true},
                                             {"image_3", ".png", false},
                                             {"label_2", ".txt", false},
                                             {"disp_occ_0", ".png", false}}};

struct KittiUri {
  fs::path directory;
  std::array<std::string, 3> lists = {"train", "val", "test"};  // By split.
};

absl::StatusOr<KittiUri> ParseUri(const std::string& uri) {
  const auto malformed = [&uri](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dataset.uri must be kitti:DIRECTORY[?train=NAME&validation=NAME&test=NAME]: ", why,
        ": got \"", uri, "\""));
  };
  absl::string_view rest = uri;
  if (!absl::ConsumePrefix(&rest, kScheme)) return malformed("another scheme");
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(rest, absl::MaxSplits('?', 1));
  if (parts.first.empty()) return malformed("no directory");
  KittiUri result;
  result.directory = std::string(parts.first);
  std::set<absl::string_view> seen;
  for (const absl::string_view pair : absl::StrSplit(parts.second, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> item =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    const auto split = runtime::ParseSplit(std::string_view(item.first.data(), item.first.size()));
    if (!split.ok()) return malformed(split.status().message());
    if (!seen.insert(item.first).second) return malformed("a split is given twice");
    if (absl::StrContains(item.second, "/") || absl::StrContains(item.second, "..")) {
      return malformed("a NAME has no folder");
    }
    result.lists[static_cast<size_t>(*split)] = std::string(item.second);
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> ReadList(const fs::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::vector<std::string> ids;
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    ++line_number;
    const absl::string_view id = absl::StripAsciiWhitespace(line);
    if (id.empty()) continue;
    if (id.find_first_of(" \t/") != absl::string_view::npos) {
      return absl::DataLossError(absl::StrCat(path.string(), ":", line_number,
                                              ": must be a frame's name: got \"", id, "\""));
    }
    ids.emplace_back(id);
  }
  return ids;
}

class KittiDataset : public StereoDataset {
 public:
  KittiDataset(std::string uri, fs::path frames, std::array<std::vector<std::string>, 3> ids)
      : uri_(std::move(uri)), frames_(std::move(frames)), ids_(std::move(ids)) {}

  // Reads every file once.
  absl::Status ComputeDigest() {
    Sha256 digest;
    digest.UpdateField("kitti");
    std::map<std::string, std::string> frames;  // A frame may be in several splits.
    for (const Split split : kSplits) {
      digest.UpdateField(runtime::SplitName(split));
      digest.UpdateField(absl::StrCat(ids_[static_cast<size_t>(split)].size()));
      for (const std::string& id : ids_[static_cast<size_t>(split)]) {
        std::string& frame = frames[id];
        if (frame.empty()) {
          BACKFIRE_ASSIGN_OR_RETURN(frame, FrameDigest(id));
        }
        digest.UpdateField(id).UpdateField(frame);
      }
    }
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

  absl::StatusOr<runtime::TensorMap> RequestInputs(
      Split split, int64_t example, const std::vector<std::string>& names) const override {
    runtime::TensorMap inputs;
    for (const std::string& name : names) {
      if (name == "left") {
        BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, LeftImage(split, example));
        inputs[name] = ImageToTensor(image);
      } else if (name == "right") {
        BACKFIRE_ASSIGN_OR_RETURN(const cv::Mat image, RightImage(split, example));
        inputs[name] = ImageToTensor(image);
      } else if (name == "calibration") {
        BACKFIRE_ASSIGN_OR_RETURN(const StereoCalibration calibration, Calibration(split, example));
        inputs[name] = ToTensor(calibration);
      } else {
        return absl::InvalidArgumentError(absl::StrCat(
            "a stereo dataset has left, right and calibration: it has no \"", name, "\""));
      }
    }
    return inputs;
  }

  absl::StatusOr<cv::Mat> LeftImage(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string id, Id(split, example));
    return ReadRgbImage(Path(kFolders[0], id));
  }
  absl::StatusOr<cv::Mat> RightImage(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string id, Id(split, example));
    return ReadRgbImage(Path(kFolders[2], id));
  }
  absl::StatusOr<StereoCalibration> Calibration(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string id, Id(split, example));
    return ReadCalibration(Path(kFolders[1], id));
  }
  absl::StatusOr<cv::Mat> Disparity(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string id, Id(split, example));
    return ReadDisparityImage(Path(kFolders[4], id));
  }
  absl::StatusOr<std::vector<metrics::Object>> Labels(Split split, int64_t example) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string id, Id(split, example));
    return ReadObjects(Path(kFolders[3], id));
  }

 private:
  absl::StatusOr<std::string> Id(Split split, int64_t example) const {
    if (example < 0 || example >= size(split)) {
      return absl::InvalidArgumentError(
          absl::StrCat("example must be in [0, ", size(split), ") of split ",
                       std::string(runtime::SplitName(split)), ": got ", example));
    }
    return ids_[static_cast<size_t>(split)][static_cast<size_t>(example)];
  }

  fs::path Path(const Folder& folder, const std::string& id) const {
    return frames_ / folder.name / absl::StrCat(id, folder.extension);
  }

  absl::StatusOr<std::string> FrameDigest(const std::string& id) const {
    Sha256 digest;
    for (const Folder& folder : kFolders) {
      const auto content = ReadFile(Path(folder, id));
      if (!content.ok() && (folder.required || !absl::IsNotFound(content.status()))) {
        return content.status();
      }
      if (content.ok()) digest.UpdateField(folder.name).UpdateField(*content);
    }
    return digest.Finish();
  }

  const std::string uri_;
  const fs::path frames_;                              // Holds image_2 and its siblings.
  const std::array<std::vector<std::string>, 3> ids_;  // By split.
  std::string digest_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const StereoDataset>> OpenStereoDataset(const std::string& uri) {
  BACKFIRE_ASSIGN_OR_RETURN(const KittiUri parsed, ParseUri(uri));
  std::error_code error;
  if (!fs::is_directory(parsed.directory, error)) {
    return absl::NotFoundError(
        absl::StrCat(parsed.directory.string(), ": no such directory (dataset ", uri, ")"));
  }
  fs::path frames = parsed.directory;
  if (!fs::is_directory(frames / "image_2", error)) frames /= "training";
  if (!fs::is_directory(frames / "image_2", error)) {
    return absl::NotFoundError(absl::StrCat(parsed.directory.string(),
                                            ": neither image_2/ nor training/image_2/ is there"));
  }
  std::array<std::vector<std::string>, 3> ids;
  for (const Split split : kSplits) {
    const auto index = static_cast<size_t>(split);
    if (parsed.lists[index].empty()) continue;  // `validation=`: an empty split.
    BACKFIRE_ASSIGN_OR_RETURN(ids[index], ReadList(parsed.directory / "ImageSets" /
                                                   absl::StrCat(parsed.lists[index], ".txt")));
  }
  auto dataset = std::make_shared<KittiDataset>(uri, std::move(frames), std::move(ids));
  BACKFIRE_RETURN_IF_ERROR(dataset->ComputeDigest());
  return dataset;
}

}  // namespace backfire::datasets
