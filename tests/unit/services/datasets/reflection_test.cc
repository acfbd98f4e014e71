#include "services/datasets/rendered/reflection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <opencv2/core.hpp>

#include "services/datasets/rendered_world.h"

namespace backfire::datasets {
namespace {

const RenderProfile kTinyWorld = *FindRenderProfile("tiny");

RenderProfile Clean() {
  RenderProfile profile = kTinyWorld;
  profile.gain = profile.noise = profile.vignetting = profile.blur_px = 0;
  return profile;
}

float Grey(const Rgb& colour) { return (colour[0] + colour[1] + colour[2]) / 3; }

// A face 5 m ahead that looks back at the camera.
Face FaceAhead() {
  Face face;
  face.normal = {0, 0, -1};
  face.axis_a = {1, 0, 0};
  face.axis_b = {0, -1, 0};
  return face;
}

Surface Glass() {
  Surface surface;
  surface.reflectance = 0.04f;
  return surface;
}

// Schlick's approximation of Fresnel's law: 4 % seen straight on, all of it at a flat angle.
TEST(ReflectionTest, MirrorsMoreAtAFlatAngle) {
  const Light light;
  const Reflection reflection(FaceAhead(), Glass(), light, /*strength=*/1);
  const auto mirrored = [&](const Vector3& ray) {
    Rgb black{};
    reflection.AddTo(ray, 0, 0, NoiseTile::Get(), black);
    const Rgb around = Surroundings(Unit({ray.x, ray.y, -ray.z}), light, NoiseTile::Get());
    return Grey(black) / Grey(around);
  };
  // Upwards, where the sky is nearly even: the panel's bend hardly counts.
  EXPECT_NEAR(mirrored({0, -1, 1.2}), 0.04, 0.02);
  EXPECT_GT(mirrored({0, -30, 1}), 0.5);
}

TEST(ReflectionTest, StrengthZeroLeavesTheColour) {
  const Reflection reflection(FaceAhead(), Glass(), Light(), /*strength=*/0);
  Rgb colour = {0.1f, 0.2f, 0.3f};
  reflection.AddTo({0.3, -0.2, 1}, 1, 2, NoiseTile::Get(), colour);
  EXPECT_EQ(colour, (Rgb{0.1f, 0.2f, 0.3f}));
}

TEST(ReflectionTest, SurroundingsHaveSunSkyAndStreet) {
  Light light;
  light.to_sun = Unit({0.4, -0.6, 0.7});
  light.sun = 0.8f;
  light.ambient = 0.4f;
  const auto grey = [&](const Vector3& direction) {
    return Grey(Surroundings(Unit(direction), light, NoiseTile::Get()));
  };
  EXPECT_GT(grey(light.to_sun), 5);
  for (int i = 0; i < 12; ++i) {
    const double x = ExactCosine(i), z = ExactSine(i);
    EXPECT_GT(grey({x, -1.5, z}), 2 * grey({x, 0.5, z})) << i;
  }
}

// What is mirrored moves with the viewer: cars are no longer alike where the disparity says.
TEST(ReflectionTest, CarsLookDifferentToTheTwoCameras) {
  RenderProfile plain = Clean(), shiny = Clean();
  shiny.reflection = 2;
  double plain_error = 0, shiny_error = 0;
  int64_t changed = 0, pixels = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const StereoFrame before = RenderFrame(plain, 5, runtime::Split::kTrain, i);
    const StereoFrame after = RenderFrame(shiny, 5, runtime::Split::kTrain, i);
    EXPECT_EQ(cv::norm(before.disparity, after.disparity, cv::NORM_INF), 0);
    for (int y = 0; y < kTinyWorld.height; ++y) {
      for (int x = 64; x < kTinyWorld.width; ++x) {
        const float disparity = before.visible_disparity.at<float>(y, x);
        // The exposure follows the scene: a level or two say nothing.
        const int change =
            std::abs(after.left.at<cv::Vec3b>(y, x)[1] - before.left.at<cv::Vec3b>(y, x)[1]);
        ++pixels;
        if (disparity <= 0 || change < 8) continue;
        ++changed;
        const int match = static_cast<int>(std::lround(static_cast<float>(x) - disparity));
        const auto error = [&](const StereoFrame& frame) {
          return std::abs(frame.left.at<cv::Vec3b>(y, x)[1] -
                          frame.right.at<cv::Vec3b>(y, match)[1]);
        };
        plain_error += error(before);
        shiny_error += error(after);
      }
    }
  }
  EXPECT_GT(changed, pixels / 200);
  EXPECT_LT(changed, pixels / 5);
  EXPECT_GT(shiny_error, 1.5 * plain_error);
}

}  // namespace
}  // namespace backfire::datasets
