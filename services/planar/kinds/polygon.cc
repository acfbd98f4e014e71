// An upstream classifier by a stated polygon: label 1 inside.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

double DistanceToSegment(Position p, Position a, Position b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double square = dx * dx + dy * dy;
  double t = square > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / square : 0;
  t = std::clamp(t, 0.0, 1.0);
  return Distance(p, {a.x + t * dx, a.y + t * dy});
}

class PolygonRule : public Rule {
 public:
  explicit PolygonRule(std::vector<Position> corners) : corners_(std::move(corners)) {}
  /// The score is the distance from the border, < 0 outside.
  Output Apply(const Input& input) const override {
    double distance = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < corners_.size(); ++i) {
      distance = std::min(distance, DistanceToSegment(input.point, corners_[i],
                                                      corners_[(i + 1) % corners_.size()]));
    }
    Output output;
    output.score = Contains(corners_, input.point) ? distance : -distance;
    return output;
  }

 private:
  const std::vector<Position> corners_;
};

class PolygonKind : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("polygon");
    runtime::Declare(recipe, "corners",
                     ToValue(std::vector<Position>{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}}),
                     "Corners in order, [x, y] each, at least three; label 1 is inside.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override { return Make(recipe).status(); }
  absl::StatusOr<std::string> Train(const Lesson&) const override { return std::string(kStated); }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                   const std::string& weights,
                                                   size_t) const override {
    BACKFIRE_RETURN_IF_ERROR(CheckStated(weights));
    return Make(recipe);
  }

 private:
  static absl::StatusOr<std::unique_ptr<const Rule>> Make(const v1::Recipe& recipe) {
    BACKFIRE_ASSIGN_OR_RETURN(auto corners,
                              ToPoints(Parameter(recipe, "corners"), ParameterPath("corners")));
    if (corners.size() < 3) {
      return absl::InvalidArgumentError(ParameterPath("corners") + " must have at least 3 points");
    }
    return std::make_unique<PolygonRule>(std::move(corners));
  }
};

const bool registered_polygon = RegisterKind(std::make_unique<PolygonKind>());

}  // namespace
}  // namespace backfire::planar
