#include "services/datasets/kitti_layout.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/base/text_file.h"
#include "services/datasets/image_file.h"
#include "services/runtime/dataset.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kReferencePair = "_10";  // KITTI 2015's labelled one of two.

// All frames of image_2, sorted; of KITTI 2015 only the labelled pairs.
absl::StatusOr<std::vector<std::string>> ListImages(const fs::path& folder, bool stereo_2015,
                                                    const runtime::DatasetAccess& access) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListPngs(folder, [&access] { return access.CheckWanted(); }));
  std::vector<std::string> ids;
  for (const std::string& name : names) {
    std::string id = fs::path(name).stem().string();
    if (!stereo_2015 || absl::EndsWith(id, kReferencePair)) ids.push_back(std::move(id));
  }
  if (ids.empty()) {
    return absl::NotFoundError(absl::StrCat(folder.string(), ": no frame NNNNNN",
                                            stereo_2015 ? "_10" : "", ".png is in it"));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

absl::StatusOr<KittiOptions> ParseKittiUri(const std::string& uri, const DatasetUri& parsed) {
  KittiOptions options;
  options.directory = parsed.path;
  for (const auto& [name, value] : parsed.parameters) {
    const auto transform = SetTransform(options.transform, name, value);
    if (!transform.ok()) return MalformedUri(uri, transform.status().message());
    if (*transform) continue;
    if (name == "disparity") {
      if (value != "auto" && value != "file" && value != "lidar") {
        return MalformedUri(uri, "disparity must be auto, file or lidar");
      }
      options.disparity = value == "auto"   ? DisparitySource::kAuto
                          : value == "file" ? DisparitySource::kFile
                                            : DisparitySource::kLidar;
      continue;
    }
    if (name == "clusters") {
      if (value.empty()) return MalformedUri(uri, "clusters must be `each`, a folder or a file");
      options.clusters = value;
      continue;
    }
    if (name == kHeightScale) {
      BACKFIRE_ASSIGN_OR_RETURN(options.height_scale, ParseHeightScale(uri, value));
      continue;
    }
    const auto split = runtime::ParseSplit(name);
    if (!split.ok()) {
      return MalformedUri(uri, absl::StrCat("a kitti dataset has train, validation, test, "
                                            "disparity, clusters, crop, size and ",
                                            kHeightScale, ": no \"", name, "\""));
    }
    if (absl::StrContains(value, "/") || absl::StrContains(value, "..")) {
      return MalformedUri(uri, absl::StrCat(name, " names a list of ImageSets, without a folder"));
    }
    options.lists[static_cast<size_t>(*split)] = value;
  }
  return options;
}

absl::StatusOr<KittiLayout> KittiLayout::Find(const fs::path& directory,
                                              const runtime::DatasetAccess& access) {
  BACKFIRE_RETURN_IF_ERROR(access.roots.Check(directory));
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return absl::NotFoundError(absl::StrCat(directory.string(), ": no such directory"));
  }
  KittiLayout layout;
  layout.directory_ = layout.frames_ = directory;
  if (!fs::is_directory(layout.frames_ / "image_2", error)) layout.frames_ /= "training";
  if (!fs::is_directory(layout.frames_ / "image_2", error)) {
    return absl::NotFoundError(
        absl::StrCat(directory.string(), ": neither image_2/ nor training/image_2/ is there"));
  }
  BACKFIRE_RETURN_IF_ERROR(access.roots.Check(layout.frames_ / "image_2"));
  // KITTI 2015 has no labels of objects, and numbers the pictures of a scene.
  if (!fs::is_directory(layout.frames_ / "label_2", error)) {
    for (const auto& entry : fs::directory_iterator(layout.frames_ / "image_2", error)) {
      BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
      if (absl::EndsWith(entry.path().stem().string(), kReferencePair)) {
        layout.stereo_2015_ = true;
        break;
      }
    }
  }
  return layout;
}

fs::path KittiLayout::Path(KittiFile file, const std::string& id) const {
  const auto in = [this](const char* folder, const std::string& name, const char* extension) {
    return frames_ / folder / absl::StrCat(name, extension);
  };
  switch (file) {
    case KittiFile::kLeft:
      return in("image_2", id, ".png");
    case KittiFile::kRight:
      return in("image_3", id, ".png");
    case KittiFile::kLabels:
      return in("label_2", id, ".txt");
    case KittiFile::kDisparity:
      return in("disp_occ_0", id, ".png");
    case KittiFile::kVisibleDisparity:
      return in("disp_noc_0", id, ".png");
    case KittiFile::kLidar:
      return in("velodyne", id, ".bin");
    case KittiFile::kCalibration:
      break;
  }
  if (!stereo_2015_) return in("calib", id, ".txt");
  const std::string scene(absl::StripSuffix(id, kReferencePair));
  const fs::path raw = in("calib_cam_to_cam", scene, ".txt");
  std::error_code error;
  return fs::exists(raw, error) ? raw : in("calib", scene, ".txt");
}

absl::StatusOr<std::vector<std::string>> KittiLayout::ReadList(
    const std::string& list, std::vector<absl::Status>* faults,
    const runtime::DatasetAccess& access) const {
  if (list.empty()) return std::vector<std::string>{};
  const fs::path path = directory_ / "ImageSets" / absl::StrCat(list, ".txt");
  BACKFIRE_RETURN_IF_ERROR(access.roots.Check(path));
  const auto content = ReadTextFile(path);
  if (absl::IsNotFound(content.status())) {
    const std::vector<std::string> range = absl::StrSplit(list, '-');
    size_t first = 0, last = SIZE_MAX;
    if (list != "all" && (range.size() != 2 || !absl::SimpleAtoi(range[0], &first) ||
                          !absl::SimpleAtoi(range[1], &last) || last < first)) {
      return absl::NotFoundError(absl::StrCat(path.string(), ": no such list of frames, and \"",
                                              list, "\" is neither `all` nor FIRST-LAST"));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                              ListImages(frames_ / "image_2", stereo_2015_, access));
    if (list == "all") return all;
    if (last >= all.size()) {
      return absl::NotFoundError(absl::StrCat((frames_ / "image_2").string(), ": has ", all.size(),
                                              " frames, not those of ", list));
    }
    return std::vector<std::string>(all.begin() + static_cast<std::ptrdiff_t>(first),
                                    all.begin() + static_cast<std::ptrdiff_t>(last) + 1);
  }
  if (!content.ok()) return content.status();
  std::vector<std::string> ids;
  std::set<std::string> seen;
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(*content, '\n')) {
    if (++line_number % kLinesBetweenLooks == 0) BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
    const absl::string_view id = absl::StripAsciiWhitespace(line);
    if (id.empty()) continue;
    std::string fault;
    if (id.find_first_of(" \t/") != absl::string_view::npos) {
      fault = absl::StrCat("must be a frame's name: got \"", id, "\"");
    } else if (!seen.insert(std::string(id)).second) {
      fault = absl::StrCat("frame ", id, " is listed twice");
    }
    if (fault.empty()) {
      ids.emplace_back(id);
      continue;
    }
    absl::Status status =
        absl::DataLossError(absl::StrCat(path.string(), ":", line_number, ": ", fault));
    if (faults == nullptr) return status;
    faults->push_back(std::move(status));
  }
  return ids;
}

}  // namespace backfire::datasets
