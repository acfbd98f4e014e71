#include "services/planar/population.h"

#include <array>
#include <cmath>

#include "services/base/status.h"

namespace backfire::planar {
namespace {

// At whether anybody waits. Each triangle has a thousand components at most.
constexpr size_t kTrianglesBetweenLooks = 16;

}  // namespace

template <typename Visit>
void Population::ForEachTriangle(int step, const Visit& visit) const {
  const std::vector<double>& masses = step == 1 ? fine_ : coarse_;
  size_t triangle = 0;
  for (int row = 0; row < cells_; row += step) {
    for (int column = 0; column < cells_; column += step) {
      const size_t a = Node(column, row), b = Node(column + step, row),
                   c = Node(column + step, row + step), d = Node(column, row + step);
      for (const auto& corners : {std::array<size_t, 3>{a, b, c}, std::array<size_t, 3>{a, c, d}}) {
        visit(corners, masses.data() + triangle * static_cast<size_t>(components_));
        ++triangle;
      }
    }
  }
}

Population::Population(const Distribution& distribution, int cells)
    : distribution_(distribution),
      cells_(distribution.discrete() ? 0 : cells),
      components_(distribution.component_count()),
      component_totals_(static_cast<size_t>(components_), 0) {}

absl::StatusOr<std::unique_ptr<const Population>> Population::Build(
    const Distribution& distribution, int cells, const runtime::DatasetAccess& access) {
  std::unique_ptr<Population> population(new Population(distribution, cells));
  if (population->discrete()) {
    population->TakePoints();
  } else {
    BACKFIRE_RETURN_IF_ERROR(population->Integrate(access));
  }
  return population;
}

void Population::TakePoints() {
  const auto components = static_cast<size_t>(components_);
  for (const Distribution::Atom& atom : distribution_.atoms()) {
    nodes_.push_back(atom.point);
    masses_.resize(nodes_.size() * components, 0);
    masses_[(nodes_.size() - 1) * components + static_cast<size_t>(atom.component)] =
        atom.probability;
    component_totals_[static_cast<size_t>(atom.component)] += atom.probability;
  }
}

absl::Status Population::Integrate(const runtime::DatasetAccess& access) {
  const auto components = static_cast<size_t>(components_);
  const Position low = distribution_.low(), high = distribution_.high();
  for (int row = 0; row <= cells_; ++row) {
    for (int column = 0; column <= cells_; ++column) {
      nodes_.push_back(
          {low.x + (high.x - low.x) * column / cells_, low.y + (high.y - low.y) * row / cells_});
    }
  }
  masses_.assign(nodes_.size() * components, 0);
  const auto triangles = static_cast<size_t>(2 * cells_ * cells_);
  fine_.assign(triangles * components, 0);
  coarse_.assign(triangles / 4 * components, 0);
  size_t triangle = 0;
  absl::Status wanted;
  ForEachTriangle(1, [&](const std::array<size_t, 3>& corners, const double*) {
    if (triangle % kTrianglesBetweenLooks == 0 && wanted.ok()) wanted = access.CheckWanted();
    if (!wanted.ok()) return;
    const Position points[3] = {nodes_[corners[0]], nodes_[corners[1]], nodes_[corners[2]]};
    // Half as many cells: the diagonals are parallel, so four triangles make one.
    const size_t cell = triangle / 2, row = cell / static_cast<size_t>(cells_),
                 column = cell % static_cast<size_t>(cells_);
    const bool upper = row % 2 != column % 2 ? row % 2 == 1 : triangle % 2 == 1;
    const size_t coarse = 2 * (row / 2 * static_cast<size_t>(cells_ / 2) + column / 2) + upper;
    for (int c = 0; c < components_; ++c) {
      double parts[3] = {0, 0, 0};
      distribution_.AddHatMasses(c, points, parts);
      const double mass = parts[0] + parts[1] + parts[2];
      for (int k = 0; k < 3; ++k) {
        masses_[corners[static_cast<size_t>(k)] * components + static_cast<size_t>(c)] +=
            parts[k] * distribution_.share(c);
      }
      fine_[triangle * components + static_cast<size_t>(c)] = mass;
      coarse_[coarse * components + static_cast<size_t>(c)] += mass;
      component_totals_[static_cast<size_t>(c)] += mass * distribution_.share(c);
    }
    ++triangle;
  });
  return wanted;
}

double Population::Total(const std::vector<double>& counts) const {
  double total = 0;
  for (int c = 0; c < components_; ++c) {
    total += counts[static_cast<size_t>(c)] * component_totals_[static_cast<size_t>(c)];
  }
  return total;
}

double Population::MeanCostOn(int step, const Costs& costs,
                              const std::vector<double>& scores) const {
  double sum = 0;
  ForEachTriangle(step, [&](const std::array<size_t, 3>& corners, const double* masses) {
    int positive = 0;
    for (const size_t corner : corners) positive += scores[corner] > 0;
    std::vector<Position> part;
    if (positive == 1 || positive == 2) {
      part = ClipPositive({nodes_[corners[0]], nodes_[corners[1]], nodes_[corners[2]]},
                          {scores[corners[0]], scores[corners[1]], scores[corners[2]]});
    }
    for (int c = 0; c < components_; ++c) {
      const auto i = static_cast<size_t>(c);
      if (costs.counts[i] == 0 || masses[i] == 0) continue;
      double mass_1 = positive == 3 ? masses[i] : 0;
      if (!part.empty() && costs.if_0[i] != costs.if_1[i]) mass_1 = distribution_.Mass(c, part);
      const double cost = mass_1 * costs.if_1[i] + (masses[i] - mass_1) * costs.if_0[i];
      sum += costs.counts[i] * distribution_.share(c) * cost;
    }
  });
  return sum / Total(costs.counts);
}

Integral Population::MeanCost(const Costs& costs, const std::vector<double>& scores) const {
  Integral integral;
  integral.value = MeanCostOn(1, costs, scores);
  integral.error = std::abs(integral.value - MeanCostOn(2, costs, scores));
  return integral;
}

Integral Population::Mean(const std::vector<double>& counts,
                          const std::vector<double>& values) const {
  double sum = 0;
  for (size_t node = 0; node < nodes_.size(); ++node) {
    double mass = 0;
    for (int c = 0; c < components_; ++c) mass += counts[static_cast<size_t>(c)] * Mass(node, c);
    sum += mass * values[node];
  }
  Integral integral;
  integral.value = sum / Total(counts);
  if (discrete()) return integral;
  double coarse = 0;
  ForEachTriangle(2, [&](const std::array<size_t, 3>& corners, const double* masses) {
    const double mean = (values[corners[0]] + values[corners[1]] + values[corners[2]]) / 3;
    for (int c = 0; c < components_; ++c) {
      const auto i = static_cast<size_t>(c);
      coarse += counts[i] * distribution_.share(c) * masses[i] * mean;
    }
  });
  integral.error = std::abs(integral.value - coarse / Total(counts));
  return integral;
}

}  // namespace backfire::planar
