#include "services/planar/minimise.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace backfire::planar {
namespace {

using Vertex = std::pair<double, std::vector<double>>;  // Value, where.

// start + factor * (towards - start)
std::vector<double> Along(const std::vector<double>& start, const std::vector<double>& towards,
                          double factor) {
  std::vector<double> point(start.size());
  for (size_t i = 0; i < start.size(); ++i) point[i] = start[i] + factor * (towards[i] - start[i]);
  return point;
}

}  // namespace

std::vector<double> Minimise(const std::function<double(const std::vector<double>&)>& function,
                             std::vector<double> start, double scale, int evaluations) {
  int used = 0;
  const auto measure = [&](std::vector<double> at) {
    ++used;
    const double value = function(at);
    return Vertex{value, std::move(at)};
  };
  Vertex best = measure(std::move(start));
  while (used < evaluations) {
    std::vector<Vertex> simplex = {best};
    for (size_t i = 0; i < best.second.size(); ++i) {
      std::vector<double> corner = best.second;
      corner[i] += scale;
      simplex.push_back(measure(std::move(corner)));
    }
    const double before = best.first;
    while (used < evaluations) {
      std::stable_sort(simplex.begin(), simplex.end(),
                       [](const Vertex& a, const Vertex& b) { return a.first < b.first; });
      double size = 0;
      for (const Vertex& corner : simplex) {
        for (size_t i = 0; i < corner.second.size(); ++i) {
          size = std::max(size, std::abs(corner.second[i] - simplex[0].second[i]));
        }
      }
      if (size < 1e-8) break;
      std::vector<double> centre(best.second.size(), 0);
      for (size_t k = 0; k + 1 < simplex.size(); ++k) {
        for (size_t i = 0; i < centre.size(); ++i) {
          centre[i] += simplex[k].second[i] / static_cast<double>(simplex.size() - 1);
        }
      }
      Vertex& worst = simplex.back();
      Vertex reflected = measure(Along(centre, worst.second, -1));
      if (reflected.first < simplex[0].first) {
        Vertex expanded = measure(Along(centre, worst.second, -2));
        worst = expanded.first < reflected.first ? std::move(expanded) : std::move(reflected);
      } else if (reflected.first < simplex[simplex.size() - 2].first) {
        worst = std::move(reflected);
      } else {
        const bool outside = reflected.first < worst.first;
        Vertex contracted = measure(Along(centre, worst.second, outside ? -0.5 : 0.5));
        if (contracted.first < std::min(worst.first, reflected.first)) {
          worst = std::move(contracted);
        } else {
          for (size_t k = 1; k < simplex.size(); ++k) {
            simplex[k] = measure(Along(simplex[0].second, simplex[k].second, 0.5));
          }
        }
      }
    }
    best = *std::min_element(simplex.begin(), simplex.end(),
                             [](const Vertex& a, const Vertex& b) { return a.first < b.first; });
    if (!(before - best.first > 1e-12)) break;
    scale *= 0.3;
  }
  return best.second;
}

}  // namespace backfire::planar
