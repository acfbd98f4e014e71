#include "services/datasets/kitti_calibration.h"

#include <cmath>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"
#include "services/base/text_file.h"

namespace backfire::datasets {
namespace {

template <size_t N>
absl::StatusOr<std::array<double, N>> ParseNumbers(absl::string_view text,
                                                   absl::string_view where) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  std::array<double, N> numbers{};
  if (fields.size() != N) {
    return absl::DataLossError(
        absl::StrCat(where, " must have ", N, " numbers: got ", fields.size()));
  }
  for (size_t i = 0; i < N; ++i) {
    if (!absl::SimpleAtod(fields[i], &numbers[i]) || !std::isfinite(numbers[i])) {
      return absl::DataLossError(
          absl::StrCat(where, ": \"", fields[i], "\" is not a finite number"));
    }
  }
  return numbers;
}

// A rotation's rows have length 1 and are square to each other; files have 7 to 12 digits.
absl::Status CheckRotation(const double* matrix, size_t stride, absl::string_view where) {
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = i; j < 3; ++j) {
      double dot = 0;
      for (size_t k = 0; k < 3; ++k) dot += matrix[i * stride + k] * matrix[j * stride + k];
      if (std::abs(dot - (i == j ? 1 : 0)) > 1e-2) {
        return absl::DataLossError(absl::StrCat(where, ": its 3x3 part is not a rotation"));
      }
    }
  }
  const double* r = matrix;
  const double* s = matrix + stride;
  const double* t = matrix + 2 * stride;
  const double determinant = r[0] * (s[1] * t[2] - s[2] * t[1]) -
                             r[1] * (s[0] * t[2] - s[2] * t[0]) +
                             r[2] * (s[0] * t[1] - s[1] * t[0]);
  if (determinant > 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      where,
      ": its 3x3 part is mirrored (determinant -1), no rotation: one axis has a wrong sign"));
}

absl::Status CheckMotion(const RigidMotion& motion, absl::string_view where) {
  BACKFIRE_RETURN_IF_ERROR(CheckRotation(motion.data(), 4, where));
  constexpr double kFarthestM = 50;  // Sensors of one vehicle.
  const double distance_m = std::hypot(motion[3], motion[7], motion[11]);
  if (distance_m <= kFarthestM) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(where, ": its sensors must be within ", kFarthestM,
                                          " m of each other: got ", distance_m,
                                          " m (in millimetres?)"));
}

absl::Status CheckProjection(const Projection& projection, absl::string_view where) {
  if (projection[0] > 0 && projection[5] > 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(where, ": focal lengths must be > 0 px: got ",
                                          projection[0], " and ", projection[5]));
}

// The parts of a line before and after its name's colon; KITTI tracking's files have lines that
// lack it.
std::pair<absl::string_view, absl::string_view> SplitName(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  const size_t end = line.find_first_of(": \t");
  if (end == absl::string_view::npos) return {line, {}};
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(line.substr(end));
  absl::ConsumePrefix(&rest, ":");
  return {line.substr(0, end), rest};
}

// What a line's name stands for: a camera's projection (0 to 3), or one of the motions.
// KITTI odometry's motion from the LiDAR goes to the rectified camera: there is no R0_rect.
constexpr absl::string_view kOdometryName = "Tr";

constexpr int kNothing = -1, kRectify = 4, kVelodyne = 5, kInertial = 6;

int Meaning(absl::string_view name) {
  if (name.size() == 2 && name[0] == 'P' && name[1] >= '0' && name[1] <= '3') return name[1] - '0';
  if (name.size() == 9 && name.substr(0, 8) == "P_rect_0" && name[8] >= '0' && name[8] <= '3') {
    return name[8] - '0';
  }
  if (name == "R0_rect" || name == "R_rect_00" || name == "R_rect") return kRectify;
  if (name == "Tr_velo_to_cam" || name == "Tr_velo_cam" || name == kOdometryName) return kVelodyne;
  if (name == "Tr_imu_to_velo" || name == "Tr_imu_velo") return kInertial;
  return kNothing;
}

}  // namespace

absl::StatusOr<StereoCalibration> KittiCalibration::Stereo() const {
  if (!image_from_rect[2] || !image_from_rect[3]) {
    return absl::FailedPreconditionError(
        absl::StrCat(image_from_rect[2] ? "P3" : "P2", " (3x4 projection) is missing"));
  }
  const StereoCalibration stereo = {*image_from_rect[2], *image_from_rect[3]};
  BACKFIRE_RETURN_IF_ERROR(Validate(stereo));
  return stereo;
}

absl::StatusOr<RigidMotion> KittiCalibration::RectFromVelo() const {
  if (!rect_from_cam0 || !cam0_from_velo) {
    return absl::FailedPreconditionError(
        absl::StrCat("the calibration's ", rect_from_cam0 ? "Tr_velo_to_cam" : "R0_rect",
                     " is missing: points of the LiDAR cannot be placed"));
  }
  RigidMotion rect_from_velo{};
  for (size_t row = 0; row < 3; ++row) {
    for (size_t column = 0; column < 4; ++column) {
      for (size_t k = 0; k < 3; ++k) {
        rect_from_velo[row * 4 + column] +=
            (*rect_from_cam0)[row * 3 + k] * (*cam0_from_velo)[k * 4 + column];
      }
    }
  }
  return rect_from_velo;
}

KittiCalibration ParseKittiCalibration(std::string_view content, std::string_view where,
                                       std::vector<absl::Status>& faults) {
  KittiCalibration calibration;
  std::set<int> seen;
  int line_number = 0, right_line = 0;
  bool odometry = false;
  const absl::string_view text(content.data(), content.size());
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    const auto [name, numbers_text] = SplitName(line);
    const int meaning = Meaning(name);
    if (meaning == kNothing) continue;
    if (meaning == 3) right_line = line_number;
    odometry = odometry || name == kOdometryName;
    const std::string place = absl::StrCat(std::string(where), ":", line_number, ": ", name);
    if (!seen.insert(meaning).second) {
      faults.push_back(absl::DataLossError(absl::StrCat(place, " occurs twice")));
      continue;
    }
    absl::Status fault;
    if (meaning == kRectify) {
      const auto numbers = ParseNumbers<9>(numbers_text, place);
      fault = numbers.ok() ? CheckRotation(numbers->data(), 3, place) : numbers.status();
      if (fault.ok()) calibration.rect_from_cam0 = *numbers;
    } else {
      const auto numbers = ParseNumbers<12>(numbers_text, place);
      if (!numbers.ok()) {
        fault = numbers.status();
      } else if (meaning < 4) {
        fault = CheckProjection(*numbers, place);
        if (fault.ok()) calibration.image_from_rect[static_cast<size_t>(meaning)] = *numbers;
      } else {
        fault = CheckMotion(*numbers, place);
        auto& motion =
            meaning == kVelodyne ? calibration.cam0_from_velo : calibration.velo_from_imu;
        if (fault.ok()) motion = *numbers;
      }
    }
    if (!fault.ok()) faults.push_back(std::move(fault));
  }
  if (odometry && seen.count(kRectify) == 0) {
    calibration.rect_from_cam0 = Rotation{1, 0, 0, 0, 1, 0, 0, 0, 1};
  }
  for (const int camera : {2, 3}) {
    if (seen.count(camera) > 0) continue;
    faults.push_back(absl::DataLossError(
        absl::StrCat(std::string(where), ":", std::max(line_number - 1, 1),
                     ": the file ends, and P", camera, " (3x4 projection) is missing")));
  }
  if (faults.empty()) {
    if (const auto stereo = calibration.Stereo(); !stereo.ok()) {
      faults.push_back(absl::DataLossError(
          absl::StrCat(std::string(where), ":", right_line, ": ", stereo.status().message())));
    }
  }
  return calibration;
}

absl::StatusOr<KittiCalibration> ReadKittiCalibration(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadTextFile(path));
  std::vector<absl::Status> faults;
  KittiCalibration calibration = ParseKittiCalibration(content, path.string(), faults);
  if (!faults.empty()) return faults.front();
  return calibration;
}

std::string FormatKittiCalibration(const KittiCalibration& calibration) {
  std::string content;
  const auto add = [&content](absl::string_view name, const auto& numbers) {
    if (!numbers) return;
    absl::StrAppend(&content, name, ":");
    for (const double number : *numbers) absl::StrAppendFormat(&content, " %.12e", number);
    absl::StrAppend(&content, "\n");
  };
  for (size_t i = 0; i < 4; ++i) add(absl::StrCat("P", i), calibration.image_from_rect[i]);
  add("R0_rect", calibration.rect_from_cam0);
  add("Tr_velo_to_cam", calibration.cam0_from_velo);
  add("Tr_imu_to_velo", calibration.velo_from_imu);
  return content;
}

std::array<double, 3> Transform(const RigidMotion& motion, const std::array<double, 3>& point) {
  std::array<double, 3> moved;
  for (size_t row = 0; row < 3; ++row) {
    const double* r = &motion[row * 4];
    moved[row] = r[0] * point[0] + r[1] * point[1] + r[2] * point[2] + r[3];
  }
  return moved;
}

std::array<double, 3> ProjectPoint(const Projection& projection,
                                   const std::array<double, 3>& point) {
  const std::array<double, 3> image = Transform(projection, point);
  return {image[0] / image[2], image[1] / image[2], image[2]};
}

}  // namespace backfire::datasets
