// An upstream classifier by a stated half-plane: label 1 where normal * point > offset.
#include "services/base/status.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

class HalfPlaneRule : public Rule {
 public:
  HalfPlaneRule(Position normal, double offset) : normal_(normal), offset_(offset) {}
  Output Apply(const Input& input) const override {
    Output output;
    output.score = normal_.x * input.point.x + normal_.y * input.point.y - offset_;
    return output;
  }

 private:
  const Position normal_;
  const double offset_;
};

class HalfPlaneKind : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("half-plane");
    runtime::Declare(recipe, "normal", ToValue(std::vector<double>{1, 0}),
                     "Direction towards label 1: [x, y], not [0, 0].");
    runtime::Declare(recipe, "offset", 0, {-1e6, 1e6}, "",
                     "Label 1 is where normal * point is greater than it.");
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
    BACKFIRE_ASSIGN_OR_RETURN(const Position normal,
                              ToPosition(Parameter(recipe, "normal"), ParameterPath("normal")));
    if (normal == Position{}) {
      return absl::InvalidArgumentError(ParameterPath("normal") + " must not be [0, 0]");
    }
    runtime::ParameterReader parameters(recipe);
    const double offset = parameters.Number("offset");
    BACKFIRE_RETURN_IF_ERROR(parameters.status());
    return std::make_unique<HalfPlaneRule>(normal, offset);
  }
};

const bool registered_half_plane = RegisterKind(std::make_unique<HalfPlaneKind>());

}  // namespace
}  // namespace backfire::planar
