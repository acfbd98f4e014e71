#include "services/planar/sweep.h"

namespace backfire::planar {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr size_t kMostPoints = 600;
constexpr size_t kMostAngles = 4000;

}  // namespace

std::vector<double> SweepDirections(const std::vector<Position>& points) {
  std::vector<double> critical;  // Normals of lines through two points, in [0, pi).
  if (points.size() <= kMostPoints) {
    for (size_t i = 0; i < points.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (points[i] == points[j]) continue;
        double angle = std::atan2(points[i].x - points[j].x, points[j].y - points[i].y);
        if (angle < 0) angle += kPi;
        critical.push_back(angle >= kPi ? 0 : angle);
      }
    }
    std::sort(critical.begin(), critical.end());
    critical.erase(std::unique(critical.begin(), critical.end(),
                               [](double a, double b) { return b - a < 1e-9; }),
                   critical.end());
  }
  std::vector<double> angles;
  if (critical.empty() || critical.size() > kMostAngles) {
    for (int i = 0; i < 2048; ++i) angles.push_back(2 * kPi * (i + 0.5) / 2048);
    return angles;
  }
  for (const double turn : {0.0, kPi}) {
    for (size_t i = 0; i < critical.size(); ++i) {
      const double next = i + 1 < critical.size() ? critical[i + 1] : critical[0] + kPi;
      angles.push_back((critical[i] + next) / 2 + turn);
    }
  }
  return angles;
}

}  // namespace backfire::planar
