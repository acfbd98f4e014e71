#include "services/datasets/kitti_writer.h"

#include <cerrno>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/datasets/image_file.h"
#include "services/datasets/kitti_objects.h"

namespace backfire::datasets {
namespace {

// Without fsync: a dataset is thousands of files, flushed together before it is renamed into place.
absl::Status WriteUnsynced(const std::filesystem::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) return ErrnoToStatus(errno, absl::StrCat("write ", path.string()));
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeKittiFolders(const std::filesystem::path& directory) {
  for (const char* folder :
       {"image_2", "image_3", "calib", "label_2", "disp_occ_0", "disp_noc_0"}) {
    BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory / folder));
  }
  return absl::OkStatus();
}

absl::Status WriteKittiFrame(const std::filesystem::path& directory, const std::string& id,
                             const StereoFrame& frame) {
  const std::string png = absl::StrCat(id, ".png"), text = absl::StrCat(id, ".txt");
  BACKFIRE_ASSIGN_OR_RETURN(const std::string left, EncodeRgbPng(frame.left));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string right, EncodeRgbPng(frame.right));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string all, EncodeDisparityPng(frame.disparity));
  BACKFIRE_ASSIGN_OR_RETURN(const std::string visible, EncodeDisparityPng(frame.visible_disparity));
  BACKFIRE_RETURN_IF_ERROR(WriteUnsynced(directory / "image_2" / png, left));
  BACKFIRE_RETURN_IF_ERROR(WriteUnsynced(directory / "image_3" / png, right));
  BACKFIRE_RETURN_IF_ERROR(WriteUnsynced(directory / "disp_occ_0" / png, all));
  BACKFIRE_RETURN_IF_ERROR(WriteUnsynced(directory / "disp_noc_0" / png, visible));
  BACKFIRE_RETURN_IF_ERROR(
      WriteUnsynced(directory / "label_2" / text, FormatObjects(frame.labels)));
  return WriteUnsynced(directory / "calib" / text, FormatCalibration(frame.calibration));
}

}  // namespace backfire::datasets
