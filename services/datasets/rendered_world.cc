#include "services/datasets/rendered_world.h"

#include <algorithm>
#include <cmath>

#include "services/datasets/rendered/frame_stream.h"
#include "services/datasets/rendered/labels.h"
#include "services/datasets/rendered/painter.h"
#include "services/datasets/rendered/sensor.h"

namespace backfire::datasets {
namespace {

constexpr double kLeftOffsetM = -0.06;  // x of the left camera in the camera-0 frame.

Sensor RandomSensor(const RenderProfile& profile, double exposure, Random& random) {
  Sensor sensor;
  sensor.gain =
      static_cast<float>(exposure * std::clamp(1 + profile.gain * BellCurve(random), 0.5, 2.0));
  const double blur = profile.blur_px * random.Uniform(0.3, 1);
  sensor.blur = static_cast<float>(blur * blur / 2);  // A variance of blur^2.
  sensor.vignetting = static_cast<float>(profile.vignetting * random.Uniform(0.3, 1));
  sensor.noise = static_cast<float>(profile.noise);
  sensor.seed = random.Bits();
  return sensor;
}

// Fills both disparity maps of the frame.
void MakeDisparities(const RenderProfile& profile, const View& left, const View& right,
                     StereoFrame& frame) {
  const double fb = profile.focal_length_px * profile.baseline_m;
  frame.disparity.create(profile.height, profile.width, CV_32FC1);
  frame.visible_disparity.create(profile.height, profile.width, CV_32FC1);
  for (int y = 0; y < profile.height; ++y) {
    const uint32_t* faces = left.centres.faces(y);
    const float* right_row = right.centres.inverse_depths(y);
    auto* all = frame.disparity.ptr<float>(y);
    auto* visible = frame.visible_disparity.ptr<float>(y);
    for (int x = 0; x < profile.width; ++x) {
      const ScreenPolygon& plane = left.polygons[faces[x]];
      const double inverse_depth = plane.w_u * x + plane.w_v * y + plane.w_0;
      const double disparity = fb * inverse_depth;
      all[x] = static_cast<float>(disparity);
      // Seen by the right camera if, where it should be, something at that depth is: nearer by
      // more than 2 % hides it.
      const double match = x - disparity;
      bool seen = match >= 0;
      if (seen) {
        const int low = static_cast<int>(match), high = std::min(low + 1, profile.width - 1);
        seen = std::min(right_row[low], right_row[high]) < 1.02 * inverse_depth;
      }
      visible[x] = seen ? static_cast<float>(disparity) : 0;
    }
  }
}

}  // namespace

Camera LeftCamera(const RenderProfile& profile) {
  return {kLeftOffsetM,        profile.focal_length_px, profile.centre_x_px,
          profile.centre_y_px, profile.width,           profile.height};
}

StereoCalibration ProfileCalibration(const RenderProfile& profile) {
  const double f = profile.focal_length_px;
  const auto projection = [&](double offset_m) {
    return Projection{f, 0, profile.centre_x_px, -f * offset_m, 0, f, profile.centre_y_px, 0, 0, 0,
                      1, 0};
  };
  return {projection(kLeftOffsetM), projection(kLeftOffsetM + profile.baseline_m)};
}

StereoFrame RenderScene(const RenderProfile& profile, const Scene& scene, Random random) {
  const Camera left_camera = LeftCamera(profile);
  Camera right_camera = left_camera;
  right_camera.offset_m += profile.baseline_m;
  const auto contrast = static_cast<float>(profile.contrast);
  const auto reflection = static_cast<float>(profile.reflection);
  View left = PaintView(scene, left_camera, contrast, reflection, /*with_image=*/true);
  View right = PaintView(scene, right_camera, contrast, reflection, /*with_image=*/true);

  StereoFrame frame;
  // Both cameras' exposure follows the scene, as a camera's does.
  constexpr double kMeanLight = 0.17;
  const double exposure = kMeanLight / std::max(MeanLight(left.image), 1e-3);
  frame.left =
      Expose(left.image, profile.width, profile.height, RandomSensor(profile, exposure, random));
  frame.right =
      Expose(right.image, profile.width, profile.height, RandomSensor(profile, exposure, random));
  frame.calibration = ProfileCalibration(profile);
  frame.labels = MakeLabels(scene, left_camera, left);
  MakeDisparities(profile, left, right, frame);
  return frame;
}

StereoFrame RenderFrame(const RenderProfile& profile, uint64_t seed, runtime::Split split,
                        int64_t index) {
  const FrameStream stream = StreamOf(seed, split, index);
  Random random = stream.Scene();
  const Scene scene = MakeScene(profile, random);
  return RenderScene(profile, scene, stream.Sensors());
}

}  // namespace backfire::datasets
